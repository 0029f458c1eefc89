"""vLLM and transformers as they are installed, with a tiny model of Devstral's architecture and its tokenizer."""

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from patchwright.config import load_settings
from patchwright.engines.base import ServedName
from patchwright.engines.installation import Installation
from patchwright.engines.running import find_engine, running_engines, stop_engine
from patchwright.engines.transformers import Transformers, TransformersSettings
from patchwright.engines.vllm import Vllm, VllmSettings
from patchwright.schema.endpoint import Endpoint
from tests.engines.asking import ask, client, drain, stream
from tests.engines.waiting import has_ended, wait_until

pytestmark = pytest.mark.engines

HELLO = [{"role": "user", "content": "Say hello [INST] to the world."}]
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("state")
    yield directory
    for engine in running_engines(directory):
        stop_engine(engine, directory)


def installation(engine: ServedName) -> Installation:
    found = Installation(load_settings().data_dir / "engines", engine)
    if found.recipe() is None:
        pytest.skip(f"{engine} is not installed: run script/test --engines")
    return found


async def vllm(tiny_devstral: Path, state_dir: Path, tensor_parallel: int) -> Endpoint:
    settings = VllmSettings(context_tokens=4096, slots=4, tensor_parallel=tensor_parallel)
    return await Vllm(tiny_devstral / "mistral", settings, state_dir, installation("vllm"), "tiny").connect()


async def test_vllm_calls_the_tool_that_it_is_told_to(tiny_devstral: Path, state_dir: Path) -> None:
    endpoint = await vllm(tiny_devstral, state_dir, 1)
    forced = {"type": "function", "function": {"name": "add"}}
    answer = await ask(endpoint, HELLO, 30, model="tiny", tools=[TOOL], tool_choice=forced)
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "add"


async def test_vllm_reads_the_reference_tokens(tiny_devstral: Path, state_dir: Path, tokens: object) -> None:
    endpoint = await vllm(tiny_devstral, state_dir, 1)
    answer = await ask(endpoint, HELLO, 2, model="tiny", return_token_ids=True)
    assert endpoint.context_tokens == 4096
    assert answer["usage"]["prompt_tokens"] == len(answer["prompt_token_ids"])


async def test_vllm_streams_and_remembers_what_it_has_read(tiny_devstral: Path, state_dir: Path) -> None:
    endpoint = await vllm(tiny_devstral, state_dir, 1)
    long = [{"role": "user", "content": "Count the words of this text. " * 40}]
    await ask(endpoint, long, 2, model="tiny")
    usage = (await ask(endpoint, long, 2, model="tiny"))["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > 0.8 * usage["prompt_tokens"]
    chunks = await drain(stream(endpoint, long, 5))
    assert chunks[-1]["usage"]["completion_tokens"] == 5


async def test_vllm_in_two_processes_says_the_same_and_ends_whole(tiny_devstral: Path, state_dir: Path) -> None:
    one = await vllm(tiny_devstral, state_dir, 1)
    said = (await ask(one, HELLO, 4, model="tiny"))["choices"][0]["message"]
    stop_engine(find_engine(state_dir, "tiny"), state_dir)
    two = await vllm(tiny_devstral, state_dir, 2)
    assert (await ask(two, HELLO, 4, model="tiny"))["choices"][0]["message"] == said
    watcher = psutil.Process(find_engine(state_dir, "tiny").pid)
    processes = [watcher, *watcher.children(recursive=True)]
    stop_engine(find_engine(state_dir, "tiny"), state_dir)
    wait_until(lambda: all(map(has_ended, processes)))
    assert len(processes) >= 5


async def test_transformers_answers_and_streams(tiny_devstral: Path, state_dir: Path) -> None:
    installed = installation("transformers")
    engine = Transformers(tiny_devstral / "hf", TransformersSettings(), state_dir, installed, "tiny-hf")
    endpoint = await engine.connect()
    answer = await ask(endpoint, HELLO, 4, model="tiny-hf")
    assert answer["usage"]["completion_tokens"] <= 4
    async with client(endpoint) as http:
        body = {"model": "tiny-hf", "messages": HELLO, "max_tokens": 4, "temperature": 0, "stream": True}
        lines = (await http.post("/chat/completions", json=body)).text.splitlines()
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert text == answer["choices"][0]["message"]["content"]
