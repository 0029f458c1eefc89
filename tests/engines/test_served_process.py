"""A served engine with a real program, which is small and starts a helper that does not end by itself."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import httpx
import psutil
import pytest
from pydantic import SecretStr

from patchwright.engines.launch import ServedLaunch
from patchwright.engines.running import find_engine, running_engines, stop_engine
from patchwright.engines.starting import brought_up
from patchwright.engines.state import EngineFiles
from patchwright.errors import EngineError
from patchwright.schema.endpoint import Endpoint
from tests.engines import served_program
from tests.engines.asking import ask, client
from tests.engines.waiting import has_ended, wait_until

Address = Literal["uds", "port"]
HELLO = [{"role": "user", "content": "hello"}]


def served(
    *options: str, address: Address = "uds", idle_s: float = 900, start_timeout_s: float = 60
) -> Callable[[EngineFiles], ServedLaunch]:
    def launch(files: EngineFiles) -> ServedLaunch:
        return ServedLaunch(
            engine="vllm",
            id=files.id,
            directory=files.state.parent,
            model="m",
            path=Path("/models/m"),
            context_tokens=4096,
            kv_type="bf16",
            threads=1,
            slots=2,
            planned_bytes=0,
            idle_s=idle_s,
            start_timeout_s=start_timeout_s,
            api_key=SecretStr("key"),
            command=(sys.executable, served_program.__file__, *options),
            address=address,
            variables={"GREETING": "hello"},
        )

    return launch


async def connect(state_dir: Path, launch: Callable[[EngineFiles], ServedLaunch], timeout_s: float = 60) -> Endpoint:
    return await brought_up("m-1", state_dir, launch, timeout_s)


def family(state_dir: Path) -> list[psutil.Process]:
    """The watcher, the warden, the program and its helper."""
    watcher = psutil.Process(find_engine(state_dir, None).pid)
    return [watcher, *watcher.children(recursive=True)]


@pytest.mark.parametrize("address", ["uds", "port"])
async def test_a_program_is_served_through_the_gate_wherever_it_listens(address: Address, state_dir: Path) -> None:
    endpoint = await connect(state_dir, served(address=address))
    assert endpoint.model_dump(exclude={"base_url", "api_key"}) == {
        "model": "m",
        "context_tokens": 4096,
        "tokenizes": False,
        "dialect": "openai",
        "rules": "any",
        "streams": True,
        "adapters": (),
    }
    answer = await ask(endpoint, HELLO, tokens=3)
    assert answer["choices"][0]["message"]["content"] == "hello"


async def test_several_requests_share_a_connection_and_several_connections_the_program(state_dir: Path) -> None:
    endpoint = await connect(state_dir, served())
    async with client(endpoint) as http:
        responses = [await http.get("/models") for _ in range(3)]
        responses += await asyncio.gather(*(http.get("/models") for _ in range(5)))
    assert [response.status_code for response in responses] == [200] * 8


async def test_the_gate_lets_nobody_in_without_the_key_on_any_route(state_dir: Path) -> None:
    endpoint = await connect(state_dir, served())
    root = endpoint.base_url.removesuffix("/v1")
    async with httpx.AsyncClient(trust_env=False, headers={"Origin": "http://example.org"}) as stranger:
        answers = [
            await stranger.get(f"{root}/v1/models"),
            await stranger.options(f"{root}/v1/chat/completions"),
            await stranger.post(f"{root}/invocations", json={"messages": HELLO}),
            await stranger.get(f"{root}/v1/models", headers={"Authorization": "Bearer wrong"}),
        ]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert not any("access-control-allow-origin" in answer.headers for answer in answers)


async def test_a_second_connect_finds_it_and_ps_tells_of_it(state_dir: Path) -> None:
    endpoint = await connect(state_dir, served())
    assert await connect(state_dir, served()) == endpoint
    engine = find_engine(state_dir, "m")
    assert (engine.engine, engine.slots, engine.kv_type) == ("vllm", 2, "bf16")
    assert engine.resident_bytes > psutil.Process(engine.pid).memory_info().rss


async def test_a_stopped_engine_leaves_none_of_its_processes(state_dir: Path) -> None:
    await connect(state_dir, served())
    processes = family(state_dir)
    stop_engine(find_engine(state_dir, None), state_dir)
    assert len(processes) == 4
    wait_until(lambda: all(map(has_ended, processes)))
    assert running_engines(state_dir) == []


async def test_when_the_watcher_is_killed_everything_it_started_ends(state_dir: Path) -> None:
    await connect(state_dir, served())
    processes = family(state_dir)
    processes[0].kill()
    wait_until(lambda: all(map(has_ended, processes)))


async def test_when_the_program_dies_its_state_goes_and_the_next_connect_starts_another(state_dir: Path) -> None:
    first = await connect(state_dir, served())
    processes = family(state_dir)
    program = next(each for each in processes if served_program.__file__ in each.cmdline())
    program.kill()
    wait_until(lambda: all(map(has_ended, processes)))
    second = await connect(state_dir, served())
    assert second.base_url != first.base_url
    assert (await ask(second, HELLO, tokens=3))["choices"][0]["message"]["content"] == "hello"


async def test_nobody_asks_and_it_ends(state_dir: Path) -> None:
    await connect(state_dir, served(idle_s=0.1))
    processes = family(state_dir)
    wait_until(lambda: all(map(has_ended, processes)))
    assert list((state_dir / "engines").glob("*.json")) == []


async def test_a_program_that_fails_is_told_of_in_its_words(state_dir: Path) -> None:
    with pytest.raises(EngineError, match="vllm cannot run /models/m: ValueError: no such architecture") as caught:
        await connect(state_dir, served("--fail"))
    assert caught.value.hint == "`patchwright engine logs m-1` shows all that it said"


async def test_a_program_that_never_listens_is_given_up_with_all_it_started(state_dir: Path) -> None:
    with pytest.raises(EngineError, match=r"it was not ready within 1 s"):
        await connect(state_dir, served("--never", start_timeout_s=1))
    assert not [each for each in psutil.process_iter() if str(state_dir) in _directory_of(each)]


def _directory_of(process: psutil.Process) -> str:
    try:
        return "" if process.pid == os.getpid() else process.cwd()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return ""
