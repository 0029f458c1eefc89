"""vLLM and transformers as they are installed, with a tiny model of Devstral's architecture that says one thing."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from patchwright.chat.mistral.normal import chat_completion
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.cli.model import app
from patchwright.config import load_settings
from patchwright.engines.base import InstalledName
from patchwright.engines.installation import Installation
from patchwright.engines.mistral_inference import Generated, MistralInference
from patchwright.engines.running import find_engine, running_engines, stop_engine
from patchwright.engines.transformers import Transformers, TransformersSettings
from patchwright.engines.vllm import Vllm, VllmSettings
from patchwright.models.checkpoint.convert import convert, opened
from patchwright.policy.connection import Connection
from patchwright.policy.openai import OpenAIPolicy
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import Reply, Request, ToolSpec, UserMessage
from patchwright.serving.openai_upstream import OpenAIUpstream
from tests.chat.mistral.conversations import conversations
from tests.engines.asking import ask, client
from tests.engines.one_call import ADD, ARGUMENTS, one_call_checkpoint
from tests.engines.waiting import has_ended, wait_until
from tests.models.checkpoint.reference import NEW_TOKENS, by_llama_cpp
from tests.models.checkpoint.test_reference import CONVERSATION
from tests.serving.served import gateway_for, served

pytestmark = pytest.mark.engines

QUESTION = [{"role": "user", "content": "Add [INST] one </s> to it."}]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tokens: MistralTokens) -> Path:
    """A model that answers whatever is asked with one call, in both formats of safetensors."""
    directory = tmp_path_factory.mktemp("models")
    checkpoint = one_call_checkpoint(tokens)
    convert(checkpoint, directory / "mistral", "mistral", "bf16", chat_template=None)
    convert(checkpoint, directory / "hf", "hf", "bf16", chat_template=None)
    return directory


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("state")
    yield directory
    for engine in running_engines(directory):
        stop_engine(engine, directory)


def installation(engine: InstalledName) -> Installation:
    found = Installation(load_settings().data_dir / "engines", engine)
    if found.recipe() is None:
        pytest.skip(f"{engine} is not installed: run script/test --engines")
    return found


async def vllm(models: Path, state_dir: Path, tensor_parallel: int) -> Endpoint:
    settings = VllmSettings(context_tokens=4096, slots=4, tensor_parallel=tensor_parallel)
    return await Vllm(models / "mistral", settings, state_dir, installation("vllm"), "tiny").connect()


def called(answer: dict[str, Any]) -> tuple[str, Any]:
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    return call["function"]["name"], json.loads(call["function"]["arguments"])


async def test_vllm_reads_the_reference_tokens_and_parses_the_call(
    models: Path, state_dir: Path, tokens: MistralTokens
) -> None:
    endpoint = await vllm(models, state_dir, 1)
    answer = await ask(endpoint, QUESTION, 20, model="tiny", tools=[ADD], return_token_ids=True)
    tool = ToolSpec.model_validate(ADD["function"])
    asked = Request(messages=(UserMessage(content=QUESTION[0]["content"]),), tools=(tool,))
    assert endpoint.context_tokens == 4096
    assert answer["prompt_token_ids"] == tokens.prompt(asked)
    assert called(answer) == ("add", {"a": 1})


async def test_vllm_reads_the_reference_tokens_of_a_thousand_conversations(
    models: Path, state_dir: Path, tokens: MistralTokens
) -> None:
    """Of the same conversations in OpenAI's words as they are, vLLM 0.32 refuses 634, and takes three otherwise."""
    endpoint = await vllm(models, state_dir, 1)
    turns = asyncio.Semaphore(4)

    async with client(endpoint) as http:

        async def is_same(request: Request) -> bool:
            body = {"model": "tiny", "max_tokens": 1, "temperature": 0, "return_token_ids": True}
            async with turns:
                answer = await http.post("/chat/completions", json=chat_completion(request) | body)
            return answer.raise_for_status().json()["prompt_token_ids"] == tokens.prompt(request)

        assert all(await asyncio.gather(*map(is_same, conversations(1000))))


async def test_a_stopped_call_is_no_error_of_vllms(models: Path, state_dir: Path) -> None:
    """vLLM 30651: it answers 400 or 500 to a call without a result, and to an answer of nothing."""
    endpoint = await vllm(models, state_dir, 1)

    async def connect() -> Endpoint:
        return endpoint

    call = {"id": "toolu_01:long", "type": "function", "function": {"name": "add", "arguments": ARGUMENTS}}
    nothing = {"role": "assistant", "content": ""}
    stopped = [*QUESTION, {"role": "assistant", "content": None, "tool_calls": [call]}, *QUESTION, nothing, *QUESTION]
    body = {"messages": stopped, "tools": [ADD], "max_tokens": 20, "temperature": 0}
    async with (
        Connection.opened(connect) as connection,
        served(gateway_for(OpenAIUpstream(connection))) as gateway,
    ):
        answer = await gateway.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert called(answer.json()) == ("add", {"a": 1})


async def test_vllm_is_spoken_to_as_every_endpoint(models: Path, state_dir: Path) -> None:
    endpoint = await vllm(models, state_dir, 1)

    async def connect() -> Endpoint:
        return endpoint

    long = UserMessage(content="Add. " * 300)  # its cache on a CPU is kept in blocks of 128 tokens
    request = Request(messages=(long,), tools=(ToolSpec.model_validate(ADD["function"]),))
    async with OpenAIPolicy.connected(connect) as policy:
        *_, reply = [delta async for delta in policy.stream(request)]
        *_, again = [delta async for delta in policy.stream(request)]
    assert isinstance(reply, Reply)
    assert isinstance(again, Reply)
    assert [(call.name, call.arguments) for call in reply.message.tool_calls] == [("add", ARGUMENTS)]
    assert (reply.problem, reply.finish_reason) == (None, "tool_calls")
    assert again.usage.cached_tokens > 0.5 * again.usage.prompt_tokens


async def test_vllm_in_two_processes_says_the_same_and_ends_whole(models: Path, state_dir: Path) -> None:
    for engine in running_engines(state_dir):
        stop_engine(engine, state_dir)
    endpoint = await vllm(models, state_dir, 2)
    assert called(await ask(endpoint, QUESTION, 20, model="tiny", tools=[ADD])) == ("add", {"a": 1})
    watcher = psutil.Process(find_engine(state_dir, "tiny").pid)
    processes = [watcher, *watcher.children(recursive=True)]
    stop_engine(find_engine(state_dir, "tiny"), state_dir)
    wait_until(lambda: all(map(has_ended, processes)))
    assert len(processes) >= 5


async def test_the_publishers_code_llama_cpp_and_vllm_write_the_same_twelve_tokens(
    tiny_devstral: Path, tmp_path: Path, state_dir: Path, tokens: MistralTokens
) -> None:
    """After a tool call and its result. That transformers does is among the tests of checkpoints."""
    prompt = tokens.prompt(CONVERSATION)
    with opened(tiny_devstral / "mistral") as checkpoint:
        convert(checkpoint, tmp_path / "f32", "mistral", "f32", chat_template=None)
        convert(checkpoint, tmp_path / "tiny.gguf", "gguf", "f32", chat_template="")
    expected = by_llama_cpp(tmp_path / "tiny.gguf", prompt).greedy
    publishers = MistralInference(tmp_path / "f32", installation("mistral-inference"))
    generated = await publishers.generate(prompt, end=tokens.end, max_tokens=NEW_TOKENS)
    settings = VllmSettings(context_tokens=4096, slots=4)
    endpoint = await Vllm(tmp_path / "f32", settings, state_dir, installation("vllm"), "f32").connect()
    body = {"model": "f32", "prompt": prompt, "max_tokens": NEW_TOKENS, "temperature": 0, "return_token_ids": True}
    async with client(endpoint) as http:
        answer = (await http.post("/completions", json=body)).raise_for_status().json()
    assert list(generated.tokens) == answer["choices"][0]["token_ids"] == expected


def test_the_publishers_code_is_asked_by_a_command(models: Path) -> None:
    installation("mistral-inference")
    directory = str(models / "mistral")
    result = CliRunner().invoke(app, ["generate", directory, "Add.", "--max-tokens", "40"])
    assert (result.exit_code, result.stdout) == (0, f"[TOOL_CALLS]add[ARGS]{ARGUMENTS}\n")
    asked = ["generate", directory, "-", "--json", "--temperature", "0.7", "--seed", "3"]
    result = CliRunner().invoke(app, asked, input="Add.")
    assert len(Generated.model_validate_json(result.stdout).logprobs) == len(json.loads(result.stdout)["tokens"])


async def test_transformers_answers(models: Path, state_dir: Path) -> None:
    installed = installation("transformers")
    endpoint = await Transformers(models / "hf", TransformersSettings(), state_dir, installed, "tiny-hf").connect()

    async def connect() -> Endpoint:
        return endpoint

    async with OpenAIPolicy.connected(connect) as policy:
        *_, reply = [delta async for delta in policy.stream(Request(messages=(UserMessage(content="Add."),)))]
    assert isinstance(reply, Reply)
    assert ARGUMENTS in reply.message.content
    assert (endpoint.context_tokens, endpoint.streams) == (131072, False)
