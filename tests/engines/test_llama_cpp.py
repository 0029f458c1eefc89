import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import find_engine, running_engines
from patchwright.errors import EngineError
from tests.engines.asking import ask, client, drain, stream
from tests.engines.tiny_gguf import write_tiny_gguf
from tests.engines.waiting import has_ended, wait_until

HELLO = [{"role": "user", "content": "hello"}]
CONNECT = """
import asyncio, sys
from pathlib import Path
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.llama_cpp import LlamaCpp
engine = LlamaCpp(Path(sys.argv[1]), LlamaCppSettings(threads=1, context_tokens=8192), Path(sys.argv[2]))
endpoint = asyncio.run(engine.connect())
print(endpoint.base_url, endpoint.api_key.get_secret_value())
"""


async def test_the_endpoint_answers_counts_tokens_and_states_its_window(tiny_engine: LlamaCpp) -> None:
    endpoint = await tiny_engine.connect()
    answer = await ask(endpoint, HELLO, tokens=7, ignore_eos=True)
    async with client(endpoint) as http:
        counted = await http.post(endpoint.base_url.removesuffix("v1") + "tokenize", json={"content": "hello"})
    assert (endpoint.model, endpoint.context_tokens, endpoint.tokenizes) == ("tiny", 8192, True)
    assert (answer["model"], answer["usage"]["completion_tokens"]) == ("tiny", 7)
    assert len(counted.json()["tokens"]) == len("hello")


async def test_a_second_connect_finds_the_running_engine(tiny_engine: LlamaCpp) -> None:
    assert await tiny_engine.connect() == await tiny_engine.connect()


def test_processes_that_connect_at_once_share_one_engine(tiny_gguf: Path, state_dir: Path) -> None:
    command = [sys.executable, "-c", CONNECT, str(tiny_gguf), str(state_dir)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate(timeout=60)[0] for process in processes}
    assert len(answers) == 1
    assert answers.pop().startswith(find_engine(state_dir, None).url)


async def test_other_settings_are_another_engine(tiny_gguf: Path, tiny_engine: LlamaCpp, state_dir: Path) -> None:
    two_slots = LlamaCpp(tiny_gguf, LlamaCppSettings(threads=1, context_tokens=4096, slots=2), state_dir)
    first, second = await tiny_engine.connect(), await two_slots.connect()
    assert first.base_url != second.base_url
    assert second.context_tokens == 4096


async def test_only_the_owner_can_find_the_key_and_only_the_key_opens(tiny_engine: LlamaCpp, state_dir: Path) -> None:
    endpoint = await tiny_engine.connect()
    assert endpoint.api_key
    key = endpoint.api_key.get_secret_value()
    engine = find_engine(state_dir, None)
    process = psutil.Process(engine.pid)
    files = list((state_dir / "engines").iterdir())
    async with httpx.AsyncClient(trust_env=False, headers={"Origin": "http://example.org"}) as stranger:
        refused = await stranger.get(f"{endpoint.base_url}/models")
    modes = {file.suffix: file.stat().st_mode & 0o777 for file in files}
    assert (modes[".json"], modes[".log"]) == (0o600, 0o600)
    assert (state_dir / "engines").stat().st_mode & 0o777 == 0o700
    assert key not in " ".join(process.cmdline())
    assert key not in process.environ().values()
    assert key not in engine.log.read_text()
    assert refused.status_code == 401
    assert not refused.headers.get("access-control-allow-origin")


async def test_an_engine_that_nobody_asks_ends_and_leaves_no_state(tiny_gguf: Path, state_dir: Path) -> None:
    engine = LlamaCpp(tiny_gguf, LlamaCppSettings(threads=1, context_tokens=512, idle_s=0.1), state_dir)
    await engine.connect()
    process = psutil.Process(find_engine(state_dir, None).pid)
    wait_until(lambda: has_ended(process))
    assert list((state_dir / "engines").glob("*.json")) == []


async def test_an_engine_at_work_is_not_idle(tiny_gguf: Path, state_dir: Path) -> None:
    engine = LlamaCpp(tiny_gguf, LlamaCppSettings(threads=1, context_tokens=16384, idle_s=0.1), state_dir)
    endpoint = await engine.connect()
    began_s = time.monotonic()
    while time.monotonic() - began_s < 3:
        answer = await ask(endpoint, HELLO, tokens=2000, ignore_eos=True)
    assert answer["usage"]["completion_tokens"] == 2000


async def test_an_engine_whose_state_file_is_gone_ends(tiny_engine: LlamaCpp, state_dir: Path) -> None:
    await tiny_engine.connect()
    process = psutil.Process(find_engine(state_dir, None).pid)
    shutil.rmtree(state_dir / "engines")
    wait_until(lambda: has_ended(process))


async def test_killed_in_mid_answer_the_caller_knows_at_once_and_the_next_connect_starts_another(
    tiny_engine: LlamaCpp, state_dir: Path
) -> None:
    first = await tiny_engine.connect()
    process = psutil.Process(find_engine(state_dir, None).pid)
    chunks = stream(first, HELLO, tokens=8000)
    await anext(chunks)
    process.kill()
    killed_s = time.monotonic()
    with pytest.raises(httpx.TransportError):
        await drain(chunks)
    assert time.monotonic() - killed_s < 2
    second = await tiny_engine.connect()
    after = find_engine(state_dir, None)
    assert second.base_url != first.base_url
    assert has_ended(process)
    assert [engine.pid for engine in running_engines(state_dir)] == [after.pid]
    assert (await ask(second, HELLO, tokens=3, ignore_eos=True))["usage"]["completion_tokens"] == 3


async def test_the_engine_is_a_single_process_that_is_nobodys_child(tiny_engine: LlamaCpp, state_dir: Path) -> None:
    await tiny_engine.connect()
    process = psutil.Process(find_engine(state_dir, None).pid)
    assert process.children() == []
    assert process.ppid() != os.getpid()
    assert os.getsid(process.pid) == process.pid


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(None, "no such file", id="missing"),
        pytest.param(b"", "not a GGUF file", id="empty"),
        pytest.param(b"hello, world", "not a GGUF file", id="foreign"),
        pytest.param("half", "cut short", id="truncated"),
    ],
)
async def test_a_file_that_is_no_model_is_refused_with_the_reason(
    content: bytes | str | None, problem: str, tiny_gguf: Path, state_dir: Path
) -> None:
    path = state_dir / "model.gguf"
    if content is not None:
        whole = tiny_gguf.read_bytes()
        path.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    began_s = time.monotonic()
    with pytest.raises(EngineError, match=problem):
        await LlamaCpp(path, LlamaCppSettings(), state_dir).connect()
    assert time.monotonic() - began_s < 5


async def test_a_model_that_only_llama_cpp_refuses_is_refused_in_its_words(state_dir: Path) -> None:
    path = write_tiny_gguf(state_dir / "unknown.gguf", architecture="unheard-of")
    began_s = time.monotonic()
    with pytest.raises(EngineError, match=r"unknown model architecture: 'unheard-of'") as caught:
        await LlamaCpp(path, LlamaCppSettings(), state_dir).connect()
    assert time.monotonic() - began_s < 5
    assert caught.value.hint
    assert "patchwright engine logs unknown-" in caught.value.hint
    assert running_engines(state_dir) == []


async def test_a_load_that_takes_too_long_is_given_up(tiny_gguf: Path, state_dir: Path) -> None:
    settings = LlamaCppSettings(threads=1, context_tokens=512, start_timeout_s=0.001)
    with pytest.raises(EngineError, match=r"not ready within 0\.001 s"):
        await LlamaCpp(tiny_gguf, settings, state_dir).connect()


async def test_a_connect_that_is_cancelled_leaves_no_engine_and_no_lock(
    tiny_gguf: Path, state_dir: Path, tiny_engine: LlamaCpp
) -> None:
    for delay_s in (0.0, 0.1, 0.3):
        with suppress(TimeoutError):  # a fast machine is ready before the last one is over
            await asyncio.wait_for(tiny_engine.connect(), delay_s)
    endpoint = await tiny_engine.connect()
    assert [engine.url for engine in running_engines(state_dir)] == [endpoint.base_url.removesuffix("/v1")]


async def test_a_state_that_another_version_wrote_is_replaced(tiny_engine: LlamaCpp, state_dir: Path) -> None:
    await tiny_engine.connect()
    process = psutil.Process(find_engine(state_dir, None).pid)
    (state,) = (state_dir / "engines").glob("*.json")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"version": 1}))
    await tiny_engine.connect()
    assert find_engine(state_dir, None).pid != process.pid
    wait_until(lambda: has_ended(process))
