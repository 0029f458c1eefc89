"""OpenVINO GenAI as it is installed, with SmolLM2 135M."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.config import load_settings
from patchwright.engines.installation import Installation
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.openvino import OpenVino, OpenVinoSettings
from patchwright.engines.running import find_engine, running_engines, stop_engine
from patchwright.models.checkpoint.convert import convert, opened
from patchwright.policy.connection import Connection
from patchwright.policy.openai import OpenAIPolicy
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import Request, Sampling, ToolSpec, UserMessage
from patchwright.serving.body import ChatBody
from patchwright.serving.chunks import Completion
from patchwright.serving.openai_upstream import OpenAIUpstream
from tests.engines.asking import ask, client, drain, stream
from tests.engines.waiting import has_ended, wait_until
from tests.models.checkpoint.reference import NEW_TOKENS, by_llama_cpp
from tests.models.checkpoint.test_reference import CONVERSATION

pytestmark = pytest.mark.engines

QUESTION = [{"role": "user", "content": "Write hello in Japanese. \u65e5\u672c"}]
NONSENSE = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
SETTINGS = OpenVinoSettings(context_tokens=8192)


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
async def endpoint(model_path: Callable[[str], Path], state_dir: Path) -> Endpoint:
    installation = Installation(load_settings().data_dir / "engines", "openvino")
    if installation.recipe() is None:
        pytest.skip("openvino is not installed: run script/test --engines")
    return await OpenVino(model_path("smollm2-135m"), SETTINGS, state_dir, installation, "smol").connect()


async def texts(chunks: AsyncGenerator[dict[str, object]]) -> str:
    choices = [choice for chunk in await drain(chunks) for choice in chunk["choices"]]  # type: ignore[union-attr]
    return "".join(choice["delta"]["content"] for choice in choices)


async def test_an_answer_is_the_same_in_pieces_and_whole(endpoint: Endpoint) -> None:
    whole = await ask(endpoint, QUESTION, 24, ignore_eos=True)
    assert whole["usage"]["completion_tokens"] == 24
    assert whole["choices"][0]["finish_reason"] == "length"
    assert await texts(stream(endpoint, QUESTION, 24)) == whole["choices"][0]["message"]["content"]


async def test_several_answers_have_log_probabilities_and_a_seed_repeats_them(endpoint: Endpoint) -> None:
    options = {"n": 3, "temperature": 0.9, "logprobs": True, "seed": 5}
    first, again = [(await ask(endpoint, QUESTION, 8, **options))["choices"] for _ in range(2)]
    assert [choice["index"] for choice in first] == [0, 1, 2]
    assert all(token["logprob"] <= 0 for choice in first for token in choice["logprobs"]["content"])
    said = [[choice["message"]["content"] for choice in choices] for choices in (first, again)]
    assert sorted(said[0]) == sorted(said[1])
    likeliest = (await ask(endpoint, QUESTION, 8, n=2))["choices"]
    assert likeliest[0]["message"] == likeliest[1]["message"]


async def test_a_schema_and_a_stop_are_held_to(endpoint: Endpoint) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "said", "schema": {"enum": ["yes"]}}}
    answer = await ask(endpoint, QUESTION, 60, response_format=form)
    assert answer["choices"][0]["message"]["content"].strip() == '"yes"'
    counted = await ask(endpoint, [{"role": "user", "content": "Say: a b c"}], 40, stop=[" "])
    assert " " not in counted["choices"][0]["message"]["content"]


async def test_calls_are_made_in_json(endpoint: Endpoint) -> None:
    async def connect() -> Endpoint:
        return endpoint

    tool = ToolSpec(name="ls", description="List.", parameters={"type": "object", "properties": {}})
    asked = (UserMessage(content="List the files."),)
    request = Request(messages=asked, tools=(tool,), calling="json", sampling=Sampling(max_tokens=200))
    async with OpenAIPolicy.connected(connect) as policy:
        *_, reply = [delta async for delta in policy.stream(request)]
        assert await policy.count_tokens("hello world") == 2
    assert [call.name for call in reply.message.tool_calls] == ["ls"]  # type: ignore[union-attr]


async def test_a_long_text_has_the_tokens_that_llama_cpp_counts_and_none_is_cut_off(
    endpoint: Endpoint, model_path: Callable[[str], Path], tmp_path: Path
) -> None:
    """The library's own tokenizer ends after 8192 of them."""
    text = Path(json.__file__).with_name("encoder.py").read_text() * 4
    settings = LlamaCppSettings(context_tokens=1024, threads=1)
    other = await LlamaCpp(model_path("smollm2-135m"), settings, tmp_path).connect()
    counts: list[list[int]] = []
    for each in (endpoint, other):
        async with client(each) as http:
            answer = await http.post(each.base_url.removesuffix("v1") + "tokenize", json={"content": text})
            counts.append(answer.json()["tokens"])
    stop_engine(find_engine(tmp_path, None), tmp_path)
    assert len(counts[0]) > 10_000
    assert counts[0] == counts[1]


async def test_unquantised_it_writes_the_twelve_tokens_that_llama_cpp_does(
    tiny_devstral: Path, tmp_path: Path, tokens: MistralTokens
) -> None:
    """Of Devstral's architecture, after a tool call and its result, given as tokens. Each rounds quantised numbers in
    its own way."""
    prompt = tokens.prompt(CONVERSATION)
    with opened(tiny_devstral / "mistral") as checkpoint:
        convert(checkpoint, tmp_path / "tiny.gguf", "gguf", "f16", chat_template="")
    installed = Installation(load_settings().data_dir / "engines", "openvino")
    endpoint = await OpenVino(tmp_path / "tiny.gguf", SETTINGS, tmp_path, installed, "tiny").connect()
    body = {"prompt": prompt, "max_tokens": NEW_TOKENS, "temperature": 0, "return_token_ids": True}
    async with client(endpoint) as http:
        answer = (await http.post("/completions", json=body)).raise_for_status().json()
    stop_engine(find_engine(tmp_path, None), tmp_path)
    assert answer["choices"][0]["token_ids"] == by_llama_cpp(tmp_path / "tiny.gguf", prompt).greedy


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "the template cannot write this conversation"),
        ({"messages": "hi"}, "the template cannot write this conversation"),
        ({"messages": QUESTION, "n": 1000}, "n is from 1 to 64"),
        ({"messages": QUESTION, "max_tokens": "many"}, "a field of the request is not as it should be"),
        ({"messages": [{"role": "user", "content": "word " * 9000}]}, "the prompt has 90"),
        ({"messages": QUESTION, "response_format": NONSENSE}, 'held to this schema: Unsupported type "nonsense"'),
    ],
)
async def test_what_cannot_be_is_refused_with_a_reason(
    endpoint: Endpoint, body: dict[str, object], problem: str
) -> None:
    async with client(endpoint) as http:
        response = await http.post("/chat/completions", json=body)
    assert response.status_code == 400
    assert problem in response.json()["error"]["message"]


@pytest.mark.parametrize("token", [-1, 49_152, 1 << 63])
async def test_a_token_that_the_model_does_not_have_is_refused(endpoint: Endpoint, token: int) -> None:
    async with client(endpoint) as http:
        response = await http.post("/completions", json={"prompt": [1, token], "max_tokens": 1})
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "the model's tokens are from 0 to 49151"


async def test_who_leaves_is_not_answered_on(endpoint: Endpoint, state_dir: Path) -> None:
    watcher = psutil.Process(find_engine(state_dir, "smol").pid)
    (program,) = [each for each in watcher.children(recursive=True) if each.memory_info().rss > 2e8]

    def is_at_rest() -> bool:
        return program.cpu_percent(interval=0.5) < 20

    answer = stream(endpoint, QUESTION, 8000)
    await anext(answer)
    assert not is_at_rest()
    await answer.aclose()
    wait_until(is_at_rest)


async def test_a_schema_that_nothing_can_be_held_to_ends_neither_the_engine_nor_another_answer(
    endpoint: Endpoint, state_dir: Path
) -> None:
    before = find_engine(state_dir, None).pid
    async with client(endpoint) as http:
        body: dict[str, Any] = {"messages": QUESTION, "max_tokens": 200, "ignore_eos": True}
        nonsense = body | {"response_format": NONSENSE}
        other = asyncio.create_task(http.post("/chat/completions", json=body))
        await asyncio.sleep(0.5)
        refused = await http.post("/chat/completions", json=nonsense)
        async with http.stream("POST", "/chat/completions", json=nonsense | {"stream": True}) as told:
            events = [line async for line in told.aiter_lines() if line]
        answered = (await other).raise_for_status().json()
    assert refused.status_code == 400
    assert len(events) == 1
    assert "nonsense" in json.loads(events[0].removeprefix("data: "))["error"]["message"]
    assert answered["usage"]["completion_tokens"] == 200
    assert (await ask(endpoint, QUESTION, 4))["choices"][0]["finish_reason"] == "length"
    assert find_engine(state_dir, None).pid == before


async def test_what_comes_together_with_such_a_schema_is_answered(endpoint: Endpoint) -> None:
    async with client(endpoint) as http:
        plain: dict[str, Any] = {"messages": QUESTION, "max_tokens": 8, "ignore_eos": True}
        bodies = [plain | {"response_format": NONSENSE}, plain] * 3
        answers = await asyncio.gather(*(http.post("/chat/completions", json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [400, 200] * 3


async def test_it_says_that_it_is_there_while_it_reads_a_long_prompt(endpoint: Endpoint) -> None:
    """The library lets no other thread of Python run during a step."""
    async with client(endpoint) as http:
        body = {"prompt": [100 + number % 1000 for number in range(8000)], "max_tokens": 1, "temperature": 0}
        began = time.monotonic()
        asked = asyncio.create_task(http.post("/completions", json=body))
        await asyncio.sleep(0.2)
        waits: list[float] = []
        while not asked.done():
            probed = time.monotonic()
            await http.get("/models")
            waits.append(time.monotonic() - probed)
        took_s = time.monotonic() - began
    assert (await asked).status_code == 200
    assert max(waits) < took_s / 4


async def test_it_ends_whole(endpoint: Endpoint, state_dir: Path) -> None:
    watcher = psutil.Process(find_engine(state_dir, "smol").pid)
    processes = [watcher, *watcher.children(recursive=True)]
    stop_engine(find_engine(state_dir, "smol"), state_dir)
    wait_until(lambda: all(map(has_ended, processes)))
    assert running_engines(state_dir) == []


async def test_a_call_that_must_be_made_is_made_by_a_model_that_was_never_taught_to(endpoint: Endpoint) -> None:
    async def connect() -> Endpoint:
        return endpoint

    parameters = {
        "type": "object",
        "properties": {"city": {"enum": ["Oslo", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "weather", "parameters": parameters}}
    asked = {"messages": [{"role": "user", "content": "Hi"}], "tools": [tool], "tool_choice": "required"}
    body = ChatBody.model_validate(asked | {"max_tokens": 200, "temperature": 0})
    completion = Completion()
    async with Connection.opened(connect) as connection:
        async for chunk in OpenAIUpstream(connection).chat(body):
            completion.add(chunk)
    (choice,) = completion.json()["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert (call["function"]["name"], choice["finish_reason"]) == ("weather", "tool_calls")
    assert json.loads(call["function"]["arguments"])["city"] in {"Oslo", "Rome"}
