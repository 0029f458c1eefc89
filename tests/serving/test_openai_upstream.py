"""The gateway before an endpoint that says what it is told to: what is passed on, and what is not."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from patchwright.chat.mistral.normal import NO_RESULT
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.policy.connection import Connection
from patchwright.schema.endpoint import Endpoint, Rules
from patchwright.serving import replies
from patchwright.serving.guard import LOOPBACK, Guard
from patchwright.serving.keys import KeyStore
from patchwright.serving.openai_upstream import OpenAIUpstream
from tests.engines.tiny_gguf import write_tiny_gguf
from tests.policy.http_server import HttpServer, call_piece, content, serving, status, stream
from tests.serving.served import gateway_for, served

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
TOOLS = [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}]
FLAT_TOOL = {"type": "function", "name": "ls", "parameters": {"type": "object"}}
"""The same as the Responses API has it."""
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
CALLED = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}


@asynccontextmanager
async def gateway(*answers: bytes, guard: Guard | None = None) -> AsyncGenerator[tuple[httpx.AsyncClient, HttpServer]]:
    async with (
        serving(*answers) as engine,
        Connection.opened(engine.connect) as connection,
        served(gateway_for(OpenAIUpstream(connection)), guard) as client,
    ):
        yield client, engine


async def test_what_the_engine_says_is_passed_on_under_the_gateways_own_name() -> None:
    reasoning = {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}], "id": "x", "model": "other"}
    async with gateway(stream(reasoning, content("Hel"), content("lo"), END, USAGE)) as (client, _):
        answer = (await client.post(CHAT, json=BODY)).json()
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello", "reasoning_content": "hm"}
    assert (answer["model"], answer["object"], answer["usage"]) == ("m", "chat.completion", USAGE["usage"])
    assert answer["id"].startswith("chatcmpl-")


async def test_fields_that_the_gateway_does_not_know_reach_the_engine() -> None:
    body = BODY | {"top_k": 7, "chat_template_kwargs": {"thinking": False}, "model": "m"}
    async with gateway(stream(content("x"), END)) as (client, engine):
        await client.post(CHAT, json=body)
    (sent,) = engine.bodies
    assert sent == body | {"stream": True, "stream_options": {"include_usage": True}}


async def test_calls_in_the_history_reach_the_engine_as_templates_take_them() -> None:
    """llama.cpp answers 500 to a call without its type, and to arguments that are no JSON."""
    call = {"id": "c1", "function": {"name": "ls", "arguments": "{broken"}}
    messages = [*BODY["messages"], {"role": "assistant", "content": None, "tool_calls": [call]}, *BODY["messages"]]
    async with gateway(stream(content("x"), END)) as (client, engine):
        await client.post(CHAT, json={"messages": messages})
    (sent,) = engine.bodies[0]["messages"][1]["tool_calls"]
    function = {"name": "ls", "arguments": '{"malformed": "{broken"}'}
    assert sent == {"id": "c1", "type": "function", "function": function}


@asynccontextmanager
async def under_mistrals_rules(
    *answers: bytes, rules: Rules = "mistral"
) -> AsyncGenerator[tuple[httpx.AsyncClient, HttpServer]]:
    async with serving(*answers) as engine:

        async def connect() -> Endpoint:
            return (await engine.connect()).model_copy(update={"rules": rules})

        async with (
            Connection.opened(connect) as connection,
            served(gateway_for(OpenAIUpstream(connection))) as client,
        ):
            yield client, engine


async def test_mistral_common_is_given_a_result_for_each_call_and_no_answer_of_nothing() -> None:
    call = {"id": "toolu_01:long", "function": {"name": "ls", "arguments": "{}"}}
    stopped = [*BODY["messages"], {"role": "assistant", "content": None, "tool_calls": [call]}, *BODY["messages"]]
    messages = [*stopped, {"role": "assistant", "content": ""}, *BODY["messages"]]
    async with under_mistrals_rules(stream(content("x"), END)) as (client, engine):
        await client.post(CHAT, json={"messages": messages, "tools": TOOLS})
    sent = engine.bodies[0]
    assert [message["role"] for message in sent["messages"]] == [
        *("user", "assistant", "tool", "user", "assistant", "user")
    ]
    assert sent["messages"][2] == {"role": "tool", "tool_call_id": "call00001", "content": NO_RESULT}
    assert sent["messages"][4]["content"] == " "
    assert sent["tools"] == TOOLS


@pytest.mark.parametrize(
    "last",
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        {
            "role": "user",
            "content": [{"type": "image_url", "text": "", "image_url": {"url": "data:image/png;base64,AA"}}],
        },
        {"role": "assistant", "content": "I begin", "prefix": True},
    ],
)
async def test_what_is_no_text_or_cannot_be_put_right_is_the_endpoints_business(last: dict[str, Any]) -> None:
    messages = [*BODY["messages"], last]
    async with under_mistrals_rules(stream(content("x"), END)) as (client, engine):
        await client.post(CHAT, json={"messages": messages})
    assert engine.bodies[0]["messages"] == messages


async def test_what_the_system_says_later_comes_from_the_user() -> None:
    later = {"role": "system", "content": "Be short."}
    async with under_mistrals_rules(stream(content("x"), END)) as (client, engine):
        await client.post(CHAT, json={"messages": [later, *BODY["messages"], later]})
    assert engine.bodies[0]["messages"] == [later, *BODY["messages"], later | {"role": "user"}]


CALL = {"id": "call00001", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
USER = BODY["messages"][0]
SAID = {"role": "assistant", "content": "Hello"}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call00001", "content": "a"}
EMPTY = {"role": "assistant", "content": " "}


@pytest.mark.parametrize(
    ("sent", "arrived"),
    [
        ([USER, CALLING, RESULT, USER], [USER, CALLING, RESULT, EMPTY, USER]),
        ([USER, USER], [USER | {"content": "Hi\n\nHi"}]),
        ([USER, CALLING, USER], [USER, CALLING, RESULT | {"content": NO_RESULT}, EMPTY, USER]),
        ([USER, SAID, SAID, USER], [USER, SAID | {"content": "Hello\n\nHello"}, USER]),
        ([USER, SAID, CALLING, RESULT], [USER, CALLING | {"content": "Hello"}, RESULT]),
        ([SAID, USER], [{"role": "user", "content": " "}, SAID, USER]),
        ([USER, CALLING, RESULT, SAID, USER], [USER, CALLING, RESULT, SAID, USER]),
    ],
)
async def test_turns_alternate_for_a_template_that_refuses_others(
    sent: list[dict[str, Any]], arrived: list[dict[str, Any]]
) -> None:
    """mistral-vibe 1006 and 255, mini-swe-agent 759: after a stop or a denial, 500 without end."""
    async with under_mistrals_rules(stream(content("x"), END), rules="alternating") as (client, engine):
        await client.post(CHAT, json={"messages": sent})
    assert engine.bodies[0]["messages"] == arrived


STRICT = """{%- set ns = namespace(index=0) %}{%- for message in messages %}
{%- if message.role == 'user' or (message.role == 'assistant' and not message.tool_calls) %}
{%- if (message.role == 'user') != (ns.index % 2 == 0) %}
{{- raise_exception('conversation roles must alternate user and assistant') }}
{%- endif %}{%- set ns.index = ns.index + 1 %}{%- endif %}
{{- '<|im_start|>' + message.role + ' ' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}{{- call.function.name }}{%- endfor %}{%- endfor %}"""


async def test_llama_cpp_with_such_a_template_answers_after_a_stop(tmp_path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "strict.gguf", chat_template=STRICT)
    engine = LlamaCpp(weights, LlamaCppSettings(threads=1, context_tokens=2048), tmp_path)
    stopped = {"messages": [USER, CALLING, RESULT, USER, USER], "max_tokens": 2}
    try:
        async with Connection.opened(engine.connect) as connection:
            async with served(gateway_for(OpenAIUpstream(connection))) as client:
                answer = await client.post(CHAT, json=stopped)
            connection.endpoint = connection.endpoint.model_copy(update={"rules": "any"})
            async with served(gateway_for(OpenAIUpstream(connection))) as client:
                refused = await client.post(CHAT, json=stopped)
    finally:
        for running in running_engines(tmp_path):
            stop_engine(running, tmp_path)
    assert answer.status_code == 200, answer.text
    assert (refused.status_code, "must alternate" in refused.text) == (400, True)


async def test_an_endpoint_is_found_once_for_all_who_ask_and_also_when_the_first_has_left() -> None:
    searches = 0
    there = asyncio.Event()
    async with serving(stream(content("x"), END)) as engine:

        async def connect() -> Endpoint:
            nonlocal searches
            searches += 1
            await there.wait()
            return await engine.connect()

        async with (
            Connection.to(await engine.connect(), connect, lost=True) as connection,
            served(gateway_for(OpenAIUpstream(connection))) as client,
        ):
            leaving, staying = (asyncio.create_task(client.post(CHAT, json=BODY)) for _ in range(2))
            while not searches:
                await asyncio.sleep(0.01)
            leaving.cancel()
            await asyncio.wait({leaving})
            there.set()
            assert (await staying).status_code == 200
    assert searches == 1


async def test_a_search_for_an_endpoint_ends_with_the_connection() -> None:
    ended = asyncio.Event()

    async def connect() -> Endpoint:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with Connection.to(Endpoint(base_url="http://127.0.0.1:9/v1", model="m"), connect, lost=True) as connection:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.found(), 0.05)
        assert not ended.is_set()
    assert ended.is_set()


async def test_reasoning_in_the_history_is_kept() -> None:
    thought = {"role": "assistant", "content": "Hello", "reasoning_content": "They greet me."}
    messages = [*BODY["messages"], thought, *BODY["messages"]]
    async with under_mistrals_rules(stream(content("x"), END)) as (client, engine):
        await client.post(CHAT, json={"messages": messages})
    assert engine.bodies[0]["messages"] == messages


async def test_an_endpoint_that_cannot_stream_is_asked_for_the_whole() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Hello", "tool_calls": [call]}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": USAGE["usage"]}
    async with serving(status(200, whole)) as engine:

        async def connect() -> Endpoint:
            return (await engine.connect()).model_copy(update={"streams": False})

        async with (
            Connection.opened(connect) as connection,
            served(gateway_for(OpenAIUpstream(connection))) as client,
        ):
            answer = (await client.post(CHAT, json=BODY | {"stream": False})).json()
            pieces = (await client.post(CHAT, json=BODY | {"stream": True})).text
    assert (answer["choices"][0]["message"]["tool_calls"], answer["usage"]) == ([call], USAGE["usage"])
    assert '"content": "Hello"' in pieces
    assert "stream" not in engine.bodies[0]


async def test_usage_is_streamed_only_to_who_asks_for_it() -> None:
    async with gateway(stream(content("x"), END, USAGE)) as (client, _):
        without = (await client.post(CHAT, json=BODY | {"stream": True})).text
        with_usage = (
            await client.post(CHAT, json=BODY | {"stream": True, "stream_options": {"include_usage": True}})
        ).text
    assert '"usage"' not in without
    assert '"total_tokens": 7' in with_usage


async def test_tokens_of_an_answer_are_counted_once_also_when_each_chunk_says_what_it_has_come_to() -> None:
    so_far = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    async with gateway(stream(content("Hel") | {"usage": so_far}, content("lo"), END, USAGE)) as (client, _):
        await client.post(CHAT, json=BODY)
        counted = (await client.get("/metrics")).text
    assert 'patchwright_tokens_total{kind="prompt"} 5.0' in counted
    assert 'patchwright_tokens_total{kind="completion"} 2.0' in counted


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([call_piece(0, "c", "ls", '{"path": '), CALLED], "the call of ls is cut off or malformed"),
        ([call_piece(0, "c", "ls", '{"path": 1}[ARGS]'), CALLED], "the call of ls is cut off or malformed"),
        ([call_piece(0, "c", "ls", "[1]"), CALLED], "its arguments are no object"),
        ([content("I will call ls."), END], "no tool was called, although tool_choice asks for it"),
    ],
)
async def test_a_call_that_is_none_is_an_explicit_error(chunks: list[dict[str, Any]], message: str) -> None:
    """Streamed or not. Ollama 17274 and 11158, vLLM 20028: broken arguments, [ARGS] in them, a call that is missing."""
    body = BODY | {"tools": TOOLS, "tool_choice": "required"}
    async with gateway(stream(*chunks)) as (client, _):
        whole = await client.post(CHAT, json=body)
        pieces = (await client.post(CHAT, json=body | {"stream": True})).text
    assert (whole.status_code, whole.json()["error"]["code"]) == (502, "malformed_answer")
    assert message in whole.json()["error"]["message"]
    *_, error, done = [line for line in pieces.splitlines() if line]
    assert json.loads(error.removeprefix("data: ")) == whole.json()
    assert done == "data: [DONE]"


@pytest.mark.parametrize(
    "chunks",
    [
        [content('ls[ARGS]{"path": "."}'), END],
        [content("I look. [TOOL_"), content('CALLS]ls[ARGS]{"path": "."}'), END],
        [content('[TOOL_CALLS][{"name": "ls", "arguments": {}}]'), END],
        [content("I look."), CALLED],
    ],
)
async def test_a_call_that_the_endpoint_missed_is_an_explicit_error_also_when_none_was_asked_for(
    chunks: list[dict[str, Any]],
) -> None:
    """vLLM 20028: with tool_choice "auto", calls stood in the text, or were gone."""
    async with under_mistrals_rules(stream(*chunks)) as (client, _):
        whole = await client.post(CHAT, json=BODY | {"tools": TOOLS})
        pieces = (await client.post(CHAT, json=BODY | {"tools": TOOLS, "stream": True})).text
    assert (whole.status_code, whole.json()["error"]["code"]) == (502, "malformed_answer")
    *_, error, _ = [line for line in pieces.splitlines() if line]
    assert json.loads(error.removeprefix("data: ")) == whole.json()


@pytest.mark.parametrize("text", ["A call begins with [TOOL_CALLS], then [ARGS].", 'other[ARGS]{"a": 1}'])
async def test_text_about_control_tokens_is_text(text: str) -> None:
    async with under_mistrals_rules(stream(content(text), END)) as (client, _):
        answer = await client.post(CHAT, json=BODY | {"tools": TOOLS})
    assert answer.json()["choices"][0]["message"]["content"] == text


async def test_a_call_of_another_tool_than_the_named_one_is_an_explicit_error() -> None:
    named = {"type": "function", "function": {"name": "ls"}}
    for name, code in (("ls", 200), ("rm", 502)):
        async with gateway(stream(call_piece(0, "c", name, "{}"), CALLED)) as (client, _):
            answer = await client.post(CHAT, json=BODY | {"tools": TOOLS, "tool_choice": named})
        assert answer.status_code == code, answer.text
    assert answer.json()["error"]["message"] == "rm was called, although tool_choice names ls"


async def test_an_answer_that_breaks_off_is_an_error() -> None:
    async with gateway(stream(content("Hel"), done=False)) as (client, _):
        whole = await client.post(CHAT, json=BODY)
        pieces = (await client.post(CHAT, json=BODY | {"stream": True})).text
    assert (whole.status_code, whole.json()["error"]["code"]) == (502, "engine_failed")
    assert '"code": "engine_failed"' in pieces


@pytest.mark.parametrize(
    ("said", "told", "code"),
    [
        (400, 400, "invalid_request"),
        (422, 400, "invalid_request"),
        (401, 502, "engine_failed"),
        (500, 502, "engine_failed"),
    ],
)
async def test_the_engines_refusals_are_told_as_what_they_are_to_the_client(said: int, told: int, code: str) -> None:
    """The gateway's own key is none of the client's business."""
    async with gateway(status(said, {"error": {"message": "because"}})) as (client, _):
        response = await client.post(CHAT, json=BODY | {"stream": True})
    assert (response.status_code, response.json()["error"]["code"]) == (told, code)
    assert "because" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("said", "reason", "told", "code"),
    [
        (400, "the request exceeds the available context size", 400, "context_length_exceeded"),
        (400, "This model's maximum context length is 4096 tokens", 400, "context_length_exceeded"),
        (400, "tool context7_get has no parameters", 400, "invalid_request"),
        (502, "bad gateway", 502, "engine_failed"),
        (503, "no backend", 502, "engine_failed"),
    ],
)
async def test_what_is_too_long_or_away_is_told_from_the_rest(said: int, reason: str, told: int, code: str) -> None:
    async with gateway(*[status(said, {"error": {"message": reason}})] * 3) as (client, _):
        response = await client.post(CHAT, json=BODY)
    assert (response.status_code, response.json()["error"]["code"]) == (told, code)


async def test_a_busy_engine_says_when_to_come_back_though_it_does_not_know() -> None:
    for header in ("", "Retry-After: inf\r\n", "Retry-After: 30\r\n"):
        busy = status(429, {"error": {"message": "later"}}, header)
        async with gateway(*[busy] * 3) as (client, _):
            response = await client.post(CHAT, json=BODY)
        assert (response.status_code, response.json()["error"]["code"]) == (429, "queue_full")
        assert response.headers["Retry-After"] == ("30" if "30" in header else "10")


async def test_the_password_of_an_upstream_stays_here() -> None:
    async with serving(*[status(400, {"error": {"message": "because"}})] * 2) as engine:

        async def connect() -> Endpoint:
            found = await engine.connect()
            return found.model_copy(update={"base_url": found.base_url.replace("://", "://me:hunter2@")})

        async with Connection.opened(connect) as connection, served(gateway_for(OpenAIUpstream(connection))) as client:
            refused = (await client.post(CHAT, json=BODY)).json()["error"]["message"]
    assert "answered 400: because" in refused
    assert "hunter2" not in refused + str(connection.gone("it broke"))


async def test_llama_cpp_is_asked_for_a_named_call_as_json() -> None:
    """It takes a name for "auto", and lets text come before a call that is required."""
    other = {"type": "function", "function": {"name": "rm", "parameters": {"type": "object"}}}
    named = {"type": "function", "function": {"name": "ls"}}
    pieces = [content(text) for text in ('{"name"', ': "ls", "argu', 'ments": {"a": {', "}} ", "}")]
    async with serving(stream(*pieces, END)) as engine:

        async def connect() -> Endpoint:
            return (await engine.connect()).model_copy(update={"tokenizes": True})

        async with Connection.opened(connect) as connection, served(gateway_for(OpenAIUpstream(connection))) as client:
            body = BODY | {"tools": [other, *TOOLS], "tool_choice": named, "stop": ["}"]}
            answer = await client.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    (choice,) = answer.json()["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert (call["function"], choice["message"]["content"]) == ({"name": "ls", "arguments": '{"a": {}}'}, None)
    assert choice["finish_reason"] == "tool_calls"
    (sent,) = engine.bodies
    assert (sent["tools"], sent["tool_choice"], sent["stop"]) == ([other, *TOOLS], "none", None)
    (only,) = sent["response_format"]["json_schema"]["schema"]["anyOf"]
    assert only["properties"]["name"] == {"const": "ls"}


async def test_text_completions_add_up() -> None:
    def piece(text: str, reason: str | None = None) -> dict[str, Any]:
        return {"choices": [{"index": 0, "text": text, "finish_reason": reason}]}

    async with gateway(stream(piece("on"), piece("ce", "length"), USAGE)) as (client, engine):
        answer = (await client.post("/v1/completions", json={"prompt": "Once", "max_tokens": 2})).json()
    choice = {"index": 0, "text": "once", "logprobs": None, "finish_reason": "length"}
    assert (answer["object"], answer["choices"], answer["usage"]) == ("text_completion", [choice], USAGE["usage"])
    assert engine.bodies[0]["prompt"] == "Once"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "required"),
        (b"{", "json"),
        (b"[]", "valid"),
        (b'{"messages": []}', "at least 1 item"),
        (b'{"messages": [{"role": "wizard", "content": "x"}]}', "tag"),
        (b'{"messages": [{"role": "user", "content": "x"}], "n": 0}', "greater than"),
        (b'{"messages": [{"role": "user", "content": "x"}], "n": 5}', "n is from 1 to 4"),
        (b'{"messages": [{"role": "user", "content": "x"}], "tool_choice": "required"}', "there are no tools"),
        (b'{"messages": [{"role": "user", "content": "x"}], "n_cmpl": 4}', "n_cmpl is not taken here"),
        (
            b'{"messages": [{"role": "user", "content": "x"}], "use_beam_search": true}',
            "use_beam_search is not taken here",
        ),
        (b'{"messages": [{"role": "user", "content": "x"}], "top_k": 1e400}', "too large"),
        (b'{"messages": [{"role": "user", "content": "x"}], "a": [{"b": -1e999}]}', "too large"),
        (b'{"messages": [{"role": "user", "content": "x"}], "stop": "' + b"x" * 1001 + b'"}', "at most 1000"),
        (b'{"messages": ' + b"[" * 100_000 + b"}", "too deeply"),
        (b'{"a": ' * 300 + b"1" + b"}" * 300, "too deeply"),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused_with_a_reason(body: bytes, word: str) -> None:
    async with gateway(stream(END)) as (client, engine):
        response = await client.post(CHAT, content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")
    assert word in response.json()["error"]["message"].lower()
    assert engine.bodies == []


async def test_a_body_that_is_too_large_is_refused_also_when_its_length_is_not_said() -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(1000):
            yield b" " * 1000

    async with gateway(stream(END)) as (client, _):
        announced = await client.post(CHAT, content=b" " * 300_000)
        chunked = await client.post(CHAT, content=endless())
    assert (announced.status_code, chunked.status_code) == (413, 413)


async def test_another_model_is_not_found() -> None:
    async with gateway(stream(END)) as (client, _):
        asked = await client.post(CHAT, json=BODY | {"model": "gpt-9"})
        named = await client.get("/v1/models/gpt-9")
        served_model = await client.get("/v1/models/m")
    assert (asked.status_code, named.status_code) == (404, 404)
    assert asked.json()["error"]["code"] == "model_not_found"
    assert served_model.json()["max_model_len"] == 1000


class Silent:
    """An engine that takes requests and never answers. `left`: the other end has closed the connection."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.port = 0

    async def connect(self) -> Endpoint:
        return Endpoint(base_url=f"http://127.0.0.1:{self.port}/v1", model="m")

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        while await reader.read(1000):
            pass
        self.left.set()
        writer.close()


@pytest.mark.parametrize(("route", "body"), [(CHAT, BODY), ("/v1/responses", {"input": "Hi"})])
@pytest.mark.parametrize("streaming", [True, False])
async def test_who_leaves_while_a_prompt_is_read_leaves_nothing_behind(
    streaming: bool, route: str, body: dict[str, Any]
) -> None:
    """Also after the stream was opened, to keep a proxy from closing it."""
    engine = Silent()
    server = await asyncio.start_server(engine.handle, "127.0.0.1", 0)
    engine.port = server.sockets[0].getsockname()[1]
    async with server, Connection.opened(engine.connect) as connection:
        gateway = gateway_for(OpenAIUpstream(connection), slots=1, patience_s=0.05)
        async with served(gateway) as client:
            asking = asyncio.create_task(client.post(route, json=body | {"stream": streaming}))
            await engine.asked.wait()
            await asyncio.wait({asking}, timeout=0.3)
            asking.cancel()
            async with asyncio.timeout(1):
                await engine.left.wait()
                while gateway.queue.running:
                    await asyncio.sleep(0.01)


async def test_pages_and_foreign_names_are_refused_at_every_route() -> None:
    async with gateway(stream(END)) as (client, _):
        for route in ("/health", "/metrics", "/v1/models", "/docs", "/openapi.json", "/nowhere"):
            for header in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
                assert (await client.get(route, headers=header)).status_code == 403
        preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        response = await client.options(CHAT, headers=preflight)
    assert "access-control-allow-origin" not in response.headers


async def test_of_who_has_no_key_no_body_is_read(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys.json")
    secret = keys.create("ada")
    async with gateway(stream(content("Hello"), END), guard=Guard(keys, LOOPBACK)) as (client, _):
        port = client.base_url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 100000\r\n\r\n".encode())
        async with asyncio.timeout(5):
            assert b" 401 " in await reader.readline()
        writer.close()
        response = await client.post(CHAT, json=BODY, headers={"Authorization": f"Bearer {secret}"})
        assert response.json()["choices"][0]["message"]["content"] == "Hello"
        assert (await client.get("/health")).status_code == 200


async def test_errors_are_as_the_openapi_page_describes_them() -> None:
    async with gateway(stream(content("Hello"), END)) as (client, _):
        page = (await client.get("/openapi.json")).json()
        refused = await client.post(CHAT, json={"messages": 1})
    described = page["paths"][CHAT]["post"]["responses"]
    assert "422" not in described
    shape = described[str(refused.status_code)]["content"]["application/json"]["schema"]
    jsonschema.validate(refused.json(), shape | {"components": page["components"]})


async def test_what_takes_no_body_reads_none() -> None:
    async with gateway(stream(content("Hello"), END)) as (client, _):
        port = client.base_url.port
        for path in ("/health", "/nowhere"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 100000\r\n\r\n".encode())
            async with asyncio.timeout(5):
                assert (await reader.readline()).split()[1] in {b"404", b"405"}
            writer.close()


async def test_an_answer_without_an_end_is_an_error() -> None:
    piece = call_piece(0, "c", "ls", '{"path": ')
    for chunks in ([], [piece], [content("Hel")]):
        async with gateway(stream(*chunks)) as (client, _):
            response = await client.post(CHAT, json=BODY | {"tools": TOOLS})
        assert (response.status_code, response.json()["error"]["code"]) == (502, "engine_failed")


async def test_a_call_without_arguments_has_empty_ones() -> None:
    async with gateway(stream(call_piece(0, "c", "ls", ""), {"object": "ping"}, CALLED)) as (client, _):
        whole = (await client.post(CHAT, json=BODY | {"tools": TOOLS})).json()
        pieces = (await client.post(CHAT, json=BODY | {"tools": TOOLS, "stream": True})).text
    (call,) = whole["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "ls", "arguments": "{}"}
    assert '"arguments": "{}"' in pieces
    assert pieces.endswith("data: [DONE]\n\n")


async def test_what_python_would_take_for_json_and_no_engine_would_is_refused() -> None:
    async with gateway(stream(END)) as (client, engine):
        for extra in (b'"top_k": NaN', b'"user": "\\ud800"'):
            body = b'{"messages": [{"role": "user", "content": "x"}], ' + extra + b"}"
            response = await client.post(CHAT, content=body, headers={"Content-Type": "application/json"})
            assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")
    assert engine.bodies == []


async def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    pieces = [
        call_piece(None, "a", "ls", '{"path"'),
        call_piece(None, None, None, ': "x"}'),
        call_piece(None, "b", "ls", "{"),
        call_piece(None, "b", None, "}"),
    ]
    del pieces[1]["choices"][0]["delta"]["tool_calls"][0]["index"]
    async with gateway(stream(*pieces, CALLED)) as (client, _):
        whole = (await client.post(CHAT, json=BODY | {"tools": TOOLS})).json()
        streamed = (await client.post(CHAT, json=BODY | {"tools": TOOLS, "stream": True})).text
        response = (await client.post("/v1/responses", json={"input": "Hi", "tools": [FLAT_TOOL]})).json()
    calls = whole["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [("a", '{"path": "x"}'), ("b", "{}")]
    assert [call["arguments"] for call in response["output"]] == ['{"path": "x"}', "{}"]
    chunks = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    numbers = [call["index"] for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert numbers == [0, 0, 1, 1]


async def test_a_failure_that_nobody_has_thought_of_is_counted_as_it_was_answered() -> None:
    async with gateway(stream({"choices": [7]})) as (client, _):
        response = await client.post(CHAT, json=BODY)
        metrics = (await client.get("/metrics")).text
    assert (response.status_code, response.json()["error"]["code"]) == (502, "engine_failed")
    assert f'patchwright_requests_total{{route="{CHAT}",status="502"}} 1.0' in metrics


async def test_no_answer_may_have_more_tokens_than_the_server_allows() -> None:
    async with (
        serving(stream(content("x"), END)) as engine,
        Connection.opened(engine.connect) as connection,
        served(gateway_for(OpenAIUpstream(connection), tokens=50)) as client,
    ):
        asked = ({}, {"max_tokens": 7}, {"max_completion_tokens": 99}, {"n_predict": -1, "max_tokens": 60})
        for fields in (*asked, {"n_predict": 16}):
            await client.post(CHAT, json=BODY | fields)
        await client.post("/v1/completions", json={"prompt": "Once"})
    limits = [{name: body[name] for name in body if "tokens" in name or name == "n_predict"} for body in engine.bodies]
    fifty = {"max_tokens": 50}
    said = [
        fifty,
        {"max_tokens": 7},
        {"max_completion_tokens": 50},
        fifty | {"n_predict": 50},
        {"n_predict": 16},
        fifty,
    ]
    assert limits == said


async def test_who_reads_no_more_is_given_up(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(replies, "SEND_S", 0.5)
    chunks = [content("x" * 1_000_000)] * 20
    async with serving(stream(*chunks, END)) as engine, Connection.opened(engine.connect) as connection:
        gateway = gateway_for(OpenAIUpstream(connection), slots=1)
        async with served(gateway) as client:
            body = json.dumps(BODY | {"stream": True}).encode()
            head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port, limit=1000)
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert b"200 OK" in await reader.readline()
            async with asyncio.timeout(10):
                while gateway.queue.running:
                    await asyncio.sleep(0.01)
            assert (await client.get("/health")).status_code == 200
            writer.close()
    assert "a client did not read its answer" in caplog.text


async def test_what_was_said_of_an_answer_that_fails_is_counted() -> None:
    async with gateway(stream(content("Hel"), content("lo"))) as (client, _):
        assert (await client.post(CHAT, json=BODY)).status_code == 502
        metrics = (await client.get("/metrics")).text
    assert 'patchwright_tokens_total{kind="completion"} 2.0' in metrics
