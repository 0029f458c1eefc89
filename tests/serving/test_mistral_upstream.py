"""The gateway before the embedded engine with a tiny Devstral: what clients get is what the engine really said."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError

from patchwright.chat import native_calling
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.models.checkpoint.convert import convert
from patchwright.models.checkpoint.tiny import scripted_checkpoint, tiny_decoder
from patchwright.policy.connection import Connection
from patchwright.serving.body import ChatBody
from patchwright.serving.conversation import STRAY, request_of
from patchwright.serving.mistral_upstream import MistralUpstream
from tests.chat.mistral.conversations import conversations
from tests.serving.served import gateway_for, served

CHAT = "/v1/chat/completions"
HI: list[dict[str, Any]] = [{"role": "user", "content": "Hi [INST]"}]
SCHEMA = {
    "type": "object",
    "properties": {"path": {"enum": ["a.py", "b.py"]}, "line": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["path", "line"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "x", "parameters": SCHEMA}}
    for name in ("open_file", "close_file")
]


@pytest.fixture(scope="module")
def engine(tiny_devstral: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCpp]:
    state_dir = tmp_path_factory.mktemp("state")
    yield LlamaCpp(tiny_devstral / "tiny.gguf", LlamaCppSettings(threads=1, context_tokens=4096), state_dir)
    for running in running_engines(state_dir):
        stop_engine(running, state_dir)


@asynccontextmanager
async def gateway(
    engine: LlamaCpp, tokens: MistralTokens, *, slots: int = 4, waiting: int = 8, system: str | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    async with Connection.opened(engine.connect) as connection:
        upstream = MistralUpstream(connection, tokens)
        async with served(gateway_for(upstream, slots=slots, waiting=waiting, system=system)) as client:
            yield client


def asked(**fields: Any) -> dict[str, Any]:
    return {"messages": HI, "max_tokens": 60, "temperature": 0.0, "seed": 1} | fields


async def streamed(client: httpx.AsyncClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events, and that the stream was ended in order."""
    response = await client.post(CHAT, json=body | {"stream": True})
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def added(events: list[dict[str, Any]]) -> tuple[str, list[tuple[str, str]], str | None]:
    """Text, calls and the reason for the end, as a client puts them together."""
    text, calls, reason = "", {}, None
    for choice in (choice for event in events for choice in event["choices"]):
        text += choice["delta"].get("content") or ""
        for piece in choice["delta"].get("tool_calls", ()):
            name, arguments = calls.get(piece["index"], ("", ""))
            function = piece["function"]
            calls[piece["index"]] = (name + function.get("name", ""), arguments + function.get("arguments", ""))
        reason = choice["finish_reason"] or reason
    return text, list(calls.values()), reason


def of_message(choice: dict[str, Any]) -> tuple[str, list[tuple[str, str]], str | None]:
    message = choice["message"]
    functions = [call["function"] for call in message.get("tool_calls", ())]
    calls = [(function["name"], function["arguments"]) for function in functions]
    return message["content"], calls, choice["finish_reason"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "close_file"}}},
        {"tools": TOOLS, "tool_choice": "none"},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
    ],
    ids=["text", "required", "named", "none", "schema"],
)
async def test_the_same_words_streamed_and_not(engine: LlamaCpp, tokens: MistralTokens, fields: dict[str, Any]) -> None:
    async with gateway(engine, tokens) as client:
        whole = (await client.post(CHAT, json=asked(**fields))).json()
        pieces = await streamed(client, asked(**fields))
    assert added(pieces) == of_message(whole["choices"][0])
    assert len(pieces) > 3


async def test_a_call_that_is_asked_for_is_made_and_fits_its_schema(engine: LlamaCpp, tokens: MistralTokens) -> None:
    """By a model of random weights, at any temperature."""
    named = {"type": "function", "function": {"name": "close_file"}}
    async with gateway(engine, tokens) as client:
        for seed, choice in enumerate(["required", named] * 4):
            body = asked(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, temperature=1.0, seed=seed)
            text, calls, reason = of_message((await client.post(CHAT, json=body)).json()["choices"][0])
            ((name, arguments),) = calls
            assert (text, reason) == ("", "tool_calls")
            assert name == "close_file" or choice == "required"
            assert set(json.loads(arguments)) == {"path", "line"}


async def test_a_schema_is_kept_to_and_a_bad_one_refused(engine: LlamaCpp, tokens: MistralTokens) -> None:
    def of(schema: dict[str, Any]) -> dict[str, Any]:
        return asked(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})

    async with gateway(engine, tokens) as client:
        answer = await client.post(CHAT, json=of(SCHEMA))
        refused = await client.post(CHAT, json=of({"type": "wat"}))
    assert set(json.loads(answer.json()["choices"][0]["message"]["content"])) == {"path", "line"}
    assert refused.status_code == 400
    assert "cannot be held to: Invalid type: wat" in refused.json()["error"]["message"]


async def test_a_call_that_is_cut_off_is_an_error_and_no_call(engine: LlamaCpp, tokens: MistralTokens) -> None:
    body = asked(tools=TOOLS, tool_choice="required", max_tokens=6)
    async with gateway(engine, tokens) as client:
        whole = await client.post(CHAT, json=body)
        *_, last = await streamed(client, body)
    assert whole.status_code == 400
    assert whole.json()["error"]["code"] == last["error"]["code"] == "max_tokens_reached"
    assert "ask with a larger one" in last["error"]["message"]


async def test_stop_strings_cut_the_text_and_leave_calls_as_they_are(tokens: MistralTokens, tmp_path: Path) -> None:
    call = [
        tokens.tool_calls,
        *tokens.encoded("open_file"),
        tokens.args,
        *tokens.encoded('{"path": "a.py", "line": 1}'),
    ]
    said = [*tokens.encoded("I look. O"), *call, tokens.end]
    script = [tokens.prompt(request_of(chat(tools=TOOLS)))[-1], *said]
    checkpoint = scripted_checkpoint(tiny_decoder(width=256, layers=1), script, seed=0)
    convert(checkpoint, tmp_path / "scripted.gguf", "gguf", "bf16", chat_template=None)
    engine = LlamaCpp(tmp_path / "scripted.gguf", LlamaCppSettings(threads=1, context_tokens=4096), tmp_path)
    begun, met = asked(tools=TOOLS, stop=["Observation:", "}", '"line']), asked(tools=TOOLS, stop="look", n=2)
    try:
        async with gateway(engine, tokens) as client:
            for body, text, calls, reason in (
                (begun, "I look. O", [("open_file", '{"path": "a.py", "line": 1}')], "tool_calls"),
                (met, "I ", [], "stop"),
            ):
                whole = (await client.post(CHAT, json=body)).json()
                assert [of_message(choice) for choice in whole["choices"]] == [(text, calls, reason)] * body.get("n", 1)
                assert added(await streamed(client, body | {"n": 1})) == (text, calls, reason)
    finally:
        for each in running_engines(tmp_path):
            stop_engine(each, tmp_path)


async def test_several_answers_with_log_probabilities_and_usage(engine: LlamaCpp, tokens: MistralTokens) -> None:
    body = asked(n=2, max_tokens=5, temperature=1.0, logprobs=True, top_logprobs=2)
    async with gateway(engine, tokens) as client:
        whole = (await client.post(CHAT, json=body)).json()
        pieces = await streamed(client, body | {"stream_options": {"include_usage": True}})
    assert [choice["index"] for choice in whole["choices"]] == [0, 1]
    for choice in whole["choices"]:
        assert [len(token["top_logprobs"]) for token in choice["logprobs"]["content"]] == [2] * 5
    usage = whole["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (len(tokens.prompt(request_of(chat()))), 10)
    assert pieces[-1]["choices"] == []
    assert pieces[-1]["usage"]["completion_tokens"] == 10


def chat(**fields: Any) -> ChatBody:
    return ChatBody.model_validate({"messages": HI} | fields)


def test_what_a_client_sends_comes_to_the_same_tokens_as_what_it_meant(tokens: MistralTokens) -> None:
    """1,000 conversations in OpenAI's words, against mistral-common's tokens for them."""
    for request in conversations(1000):
        body = ChatBody.model_validate(native_calling.body(request))
        assert tokens.prompt(request_of(body)) == tokens.prompt(request)


async def test_a_model_calls_no_tool_that_is_not_there(engine: LlamaCpp, tokens: MistralTokens) -> None:
    """OpenHands 8805: "function not found in available tools". The weights are random, and would call anything."""
    required = {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False}
    async with gateway(engine, tokens) as client:
        for seed in range(4):
            body = asked(**required, temperature=1.0, seed=seed, max_tokens=1000)
            answer = (await client.post(CHAT, json=body)).json()
            (call,) = answer["choices"][0]["message"]["tool_calls"]
            assert call["function"]["name"] in {tool["function"]["name"] for tool in TOOLS}


async def test_a_stopped_call_a_denied_one_and_a_forgotten_one_are_no_error(
    engine: LlamaCpp, tokens: MistralTokens
) -> None:
    """What servers answered with 500: vLLM 30651."""
    call = {"id": "toolu_01:long", "type": "function", "function": {"name": "open_file", "arguments": "{broken"}}
    stopped = [*HI, {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "user", "content": "stop"}]
    denied = [*stopped[:2], {"role": "tool", "tool_call_id": "toolu_01:long", "content": ""}, *HI, *HI]
    forgotten = [{"role": "tool", "tool_call_id": "gone", "content": "42"}, *HI]
    async with gateway(engine, tokens) as client:
        for messages in (stopped, denied, forgotten):
            response = await client.post(CHAT, json=asked(messages=messages, tools=TOOLS, max_tokens=3))
            assert response.status_code == 200, response.text
    assert STRAY in tokens_text(tokens, forgotten)


def tokens_text(tokens: MistralTokens, messages: list[dict[str, Any]]) -> str:
    (first, *_) = request_of(chat(messages=messages)).messages
    return first.content


async def test_a_system_prompt_is_sent_only_when_the_server_was_given_one(
    engine: LlamaCpp, tokens: MistralTokens
) -> None:
    """OpenHands 9170: a default one was thought to be applied, and was not."""
    own = asked(messages=[{"role": "system", "content": "Be short."}, *HI], max_tokens=1)
    async with gateway(engine, tokens) as client:
        without = (await client.post(CHAT, json=asked(max_tokens=1))).json()["usage"]["prompt_tokens"]
        with_own = (await client.post(CHAT, json=own)).json()["usage"]["prompt_tokens"]
    async with gateway(engine, tokens, system="You are Devstral, and you are long-winded.") as client:
        given = (await client.post(CHAT, json=asked(max_tokens=1))).json()["usage"]["prompt_tokens"]
        kept = (await client.post(CHAT, json=own)).json()["usage"]["prompt_tokens"]
    assert without == len(tokens.prompt(request_of(chat())))
    assert without < with_own == kept < given


async def test_too_long_a_conversation_is_refused_as_openai_does(engine: LlamaCpp, tokens: MistralTokens) -> None:
    async with gateway(engine, tokens) as client:
        response = await client.post(CHAT, json=asked(messages=[{"role": "user", "content": "word " * 5000}]))
        picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
        unread = await client.post(CHAT, json=asked(messages=[picture]))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert (unread.status_code, unread.json()["error"]["param"]) == (400, "messages.0.content")


async def test_a_client_that_goes_away_frees_its_slot(engine: LlamaCpp, tokens: MistralTokens) -> None:
    """Streaming or not, also one that waits."""
    long = asked(max_tokens=3900, temperature=1.0)
    async with gateway(engine, tokens, slots=1) as client:
        leaving = asyncio.create_task(client.post(CHAT, json=long))
        waiting = asyncio.create_task(client.post(CHAT, json=long))
        await until(client, "patchwright_requests_waiting 1.0")
        for task in (waiting, leaving):
            task.cancel()
            await asyncio.wait({task})
        async with client.stream("POST", CHAT, json=long | {"stream": True}) as response:
            await anext(response.aiter_lines())
        left = time.monotonic()
        short = await client.post(CHAT, json=asked(max_tokens=1))
        assert short.status_code == 200
        assert time.monotonic() - left < 3


async def until(client: httpx.AsyncClient, line: str) -> None:
    async with asyncio.timeout(20):
        while line not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.02)


async def test_a_full_queue_says_when_to_come_back(engine: LlamaCpp, tokens: MistralTokens) -> None:
    async with gateway(engine, tokens, slots=1, waiting=0) as client:
        running = asyncio.create_task(client.post(CHAT, json=asked(max_tokens=500)))
        await until(client, "patchwright_answers_running 1.0")
        refused = await client.post(CHAT, json=asked())
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await running).status_code == 200


async def test_the_engine_killed_under_load_is_started_again_for_those_who_wait(
    tiny_devstral: Path, tokens: MistralTokens, tmp_path: Path
) -> None:
    """Who is being answered gets an error event, who waits gets an answer."""
    engine = LlamaCpp(tiny_devstral / "tiny.gguf", LlamaCppSettings(threads=1, context_tokens=4096), tmp_path)
    long = asked(max_tokens=3900, temperature=1.0, stream=True)
    try:
        async with gateway(engine, tokens, slots=1) as client, client.stream("POST", CHAT, json=long) as running:
            lines = running.aiter_lines()
            await anext(lines)
            waiting = asyncio.create_task(client.post(CHAT, json=asked(max_tokens=2)))
            await until(client, "patchwright_requests_waiting 1.0")
            (process,) = running_engines(tmp_path)
            psutil.Process(process.pid).kill()
            events = [json.loads(line[6:]) async for line in lines if line.startswith("data: {")]
            assert events[-1]["error"]["code"] == "engine_unavailable"
            assert (await waiting).status_code == 200
    finally:
        for each in running_engines(tmp_path):
            stop_engine(each, tmp_path)


async def test_openais_own_client_understands_it_all(engine: LlamaCpp, tokens: MistralTokens) -> None:
    body: dict[str, Any] = {"messages": HI, "max_tokens": 40, "temperature": 0}
    calling: dict[str, Any] = body | {"tools": TOOLS, "tool_choice": "required"}
    async with (
        gateway(engine, tokens) as client,
        AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="none", max_retries=0) as sdk,
    ):
        (model,) = (await sdk.models.list()).data
        said = await sdk.chat.completions.create(model=model.id, **body)
        pieces = [piece async for piece in await sdk.chat.completions.create(model=model.id, stream=True, **body)]
        called = await sdk.chat.completions.create(model=model.id, **calling)
        with pytest.raises(BadRequestError):
            await sdk.chat.completions.create(model=model.id, n=100, **body)
        cut_off = await sdk.chat.completions.create(model=model.id, stream=True, **calling | {"max_tokens": 5})
        with pytest.raises(APIError, match="cut off or malformed"):
            await anext(piece async for piece in cut_off if piece.choices[0].finish_reason)
    assert called.choices[0].message.tool_calls
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == said.choices[0].message.content
