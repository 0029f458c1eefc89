"""POST /v1/responses before an endpoint that says what it is told to: what it is asked, and what clients are told."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from patchwright.policy.connection import Connection
from patchwright.serving.openai_upstream import OpenAIUpstream
from patchwright.serving.responses_chat import IMAGE_LEFT_OUT
from tests.policy.http_server import HttpServer, call_piece, content, serving, status, stream
from tests.serving.served import gateway_for, served

ROUTE = "/v1/responses"
LS = {"type": "function", "name": "ls", "description": "Lists.", "parameters": {"type": "object"}, "strict": False}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
CUT = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
CALLED = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
THOUGHT = {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}
USAGE: dict[str, Any] = {
    "choices": [],
    "usage": {
        "prompt_tokens": 5,
        "completion_tokens": 4,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}
TOLD_USAGE = {
    "input_tokens": 5,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 9,
}
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
BEYOND_THE_SDK = {"name", "store"}
"""Fields that OpenAI documents and the SDK's types lack: of the end of a call's arguments, and of a response."""


@asynccontextmanager
async def gateway(*answers: bytes, patience_s: float = 10) -> AsyncGenerator[tuple[httpx.AsyncClient, HttpServer]]:
    async with (
        serving(*answers) as engine,
        Connection.opened(engine.connect) as connection,
        served(gateway_for(OpenAIUpstream(connection), patience_s=patience_s)) as client,
    ):
        yield client, engine


async def streamed(client: httpx.AsyncClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events, each of which is what its name says, as OpenAI's own types have it, with its number in order."""
    response = await client.post(ROUTE, json=body | {"stream": True})
    assert response.status_code == 200, response.text
    pairs = [event.splitlines() for event in response.text.split("\n\n") if event]
    events = [json.loads(data.removeprefix("data: ")) for _, data in pairs]
    assert [name for name, _ in pairs] == [f"event: {event['type']}" for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        found = EVENT.validate_json(json.dumps(event), strict=True)
        assert set(found.model_extra or ()) <= BEYOND_THE_SDK, event
        if "response" in event:
            validated(event["response"])
    return events


def validated(response: dict[str, Any]) -> Response:
    found = Response.model_validate_json(json.dumps(response), strict=True)
    assert set(found.model_extra or ()) <= BEYOND_THE_SDK
    return found


def without_ids(value: Any) -> Any:
    """What is the same in two answers with the same words."""
    if isinstance(value, list):
        return [without_ids(each) for each in value]
    if isinstance(value, dict):
        return {name: without_ids(each) for name, each in value.items() if name not in {"id", "item_id", "created_at"}}
    return value


def message(text: str, status: str = "completed") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "role": "assistant", "status": status, "content": [part]}


def called(call_id: str, arguments: str, name: str = "ls", **fields: Any) -> dict[str, Any]:
    item = {"type": "function_call", "status": "completed", "call_id": call_id, "name": name, "arguments": arguments}
    return item | fields


REASONING = {
    "type": "reasoning",
    "status": "completed",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "hm"}],
}
TWO_CALLS = [
    call_piece(0, "a", "ls", '{"p"'),
    call_piece(0, None, None, ": 1}"),
    call_piece(1, "b", "ls", "{}"),
    CALLED,
]
CUT_CALL = [call_piece(0, "a", "ls", '{"p": 1}'), call_piece(1, "b", "ls", '{"p'), CUT]


@pytest.mark.parametrize(
    ("chunks", "output", "status"),
    [
        ([content("Hel"), content("lo"), END], [message("Hello")], "completed"),
        ([THOUGHT, content("Hello"), END], [REASONING, message("Hello")], "completed"),
        (TWO_CALLS, [called("a", '{"p": 1}'), called("b", "{}")], "completed"),
        ([THOUGHT, content("So"), *TWO_CALLS[2:]], [REASONING, message("So"), called("b", "{}")], "completed"),
        (
            [call_piece(0, "a", "ls", "{}"), content("So"), CALLED],
            [called("a", "{}"), message("So")],
            "completed",
        ),
        ([call_piece(0, "a", "ls", ""), CALLED], [called("a", "{}")], "completed"),
        ([END], [message("")], "completed"),
        ([content("Hel"), CUT], [message("Hel", "incomplete")], "incomplete"),
        ([content("So"), *CUT_CALL], [message("So")], "incomplete"),
        ([call_piece(0, "a", "ls", "{}"), CUT], [], "incomplete"),
    ],
    ids=[
        *("text", "thought", "calls", "all", "text-after-call", "no-arguments"),
        *("nothing", "cut-text", "cut-call", "cut-after-call"),
    ],
)
async def test_an_answer_is_the_same_streamed_and_not(
    chunks: list[dict[str, Any]], output: list[dict[str, Any]], status: str
) -> None:
    """What is done in the stream is what the response has; a call that an agent runs is never one that was cut off."""
    body = {"input": "Hi", "tools": [LS]}
    async with gateway(stream(*chunks, USAGE)) as (client, _):
        whole = (await client.post(ROUTE, json=body)).json()
        events = await streamed(client, body)
    assert without_ids(validated(whole).to_dict(mode="json")["output"]) == without_ids(whole["output"]) == output
    assert (whole["status"], events[-1]["type"]) == (status, f"response.{status}")
    assert without_ids(events[-1]["response"]) == without_ids(whole)
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert sorted(map(json.dumps, done)) == sorted(map(json.dumps, events[-1]["response"]["output"]))
    assert whole["incomplete_details"] == ({"reason": "max_output_tokens"} if status == "incomplete" else None)
    assert whole["usage"] == (None if CUT_CALL[1] in chunks else TOLD_USAGE)


async def test_events_come_in_openais_order() -> None:
    chunks = [content("Hel"), content("lo"), call_piece(0, "a", "ls", '{"p"'), call_piece(0, None, None, ": 1}")]
    async with gateway(stream(*chunks, CALLED, USAGE)) as (client, _):
        events = await streamed(client, {"input": "Hi", "tools": [LS]})
    text = {"output_index": 0, "content_index": 0}
    call = {"output_index": 1}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    empty = message("", "in_progress") | {"content": []}
    assert [without_ids(event) for event in events if "response" not in event] == [
        {"type": "response.output_item.added", "output_index": 0, "item": empty, "sequence_number": 2},
        {"type": "response.content_part.added", **text, "part": part, "sequence_number": 3},
        {"type": "response.output_text.delta", **text, "delta": "Hel", "logprobs": [], "sequence_number": 4},
        {"type": "response.output_text.delta", **text, "delta": "lo", "logprobs": [], "sequence_number": 5},
        {"type": "response.output_text.done", **text, "text": "Hello", "logprobs": [], "sequence_number": 6},
        {"type": "response.content_part.done", **text, "part": part | {"text": "Hello"}, "sequence_number": 7},
        {"type": "response.output_item.done", "output_index": 0, "item": message("Hello"), "sequence_number": 8},
        {
            "type": "response.output_item.added",
            **call,
            "item": called("a", "", status="in_progress"),
            "sequence_number": 9,
        },
        {"type": "response.function_call_arguments.delta", **call, "delta": '{"p"', "sequence_number": 10},
        {"type": "response.function_call_arguments.delta", **call, "delta": ": 1}", "sequence_number": 11},
        {
            "type": "response.function_call_arguments.done",
            **call,
            "name": "ls",
            "arguments": '{"p": 1}',
            "sequence_number": 12,
        },
        {"type": "response.output_item.done", **call, "item": called("a", '{"p": 1}'), "sequence_number": 13},
    ]
    around = [(event["type"], event["response"]["status"]) for event in events if "response" in event]
    assert around == [
        ("response.created", "in_progress"),
        ("response.in_progress", "in_progress"),
        ("response.completed", "completed"),
    ]


async def test_a_conversation_reaches_the_engine_as_a_chat() -> None:
    """One system message at the beginning (Qwen's templates), the items of a turn in one message, text as text."""
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}
    body: dict[str, Any] = {
        "model": "m",
        "instructions": "Be short.",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be safe."}]},
            {"role": "user", "content": "Look"},
            {"role": "user", "content": [{"type": "input_text", "text": "at"}, image]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
            message("I look.") | {"id": "msg_1"},
            {"type": "function_call", "call_id": "a", "name": "ls", "arguments": "{}", "id": "fc_1"},
            {"type": "function_call", "call_id": "b", "name": "ls", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "a.py"},
            {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "b"}, image]},
            {"type": "message", "role": "developer", "content": "No network from here on."},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "user", "content": [{"type": "input_text", "text": "Go"}, {"type": "input_text", "text": "on"}]},
        ],
        "tools": [LS],
        "tool_choice": {"type": "function", "name": "ls"},
        "parallel_tool_calls": False,
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True}},
        "max_output_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "reasoning": {"effort": "high"},
        "metadata": {"run": "1"},
    }
    async with gateway(stream(*TWO_CALLS)) as (client, engine):
        answer = (await client.post(ROUTE, json=body)).json()
    function = {"name": "ls", "arguments": "{}"}
    url = {"url": "data:image/png;base64,AA", "detail": "low"}
    assert engine.bodies == [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be short.\n\nBe safe."},
                {"role": "user", "content": "Look"},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "at"}, {"type": "image_url", "image_url": url}],
                },
                {
                    "role": "assistant",
                    "content": "I look.",
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": function},
                        {"id": "b", "type": "function", "function": function},
                    ],
                },
                {"role": "tool", "tool_call_id": "a", "content": "a.py"},
                {"role": "tool", "tool_call_id": "b", "content": f"b\n{IMAGE_LEFT_OUT}"},
                {"role": "user", "content": "No network from here on."},
                {"role": "assistant", "content": "No."},
                {"role": "user", "content": "Go\non"},
            ],
            "tools": [{"type": "function", "function": {name: LS[name] for name in LS if name != "type"}}],
            "tool_choice": {"type": "function", "function": {"name": "ls"}},
            "parallel_tool_calls": False,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "object"}, "strict": True},
            },
            "max_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.9,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]
    asked = ("instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "max_output_tokens", "metadata")
    assert {name: answer[name] for name in asked} == {name: body[name] for name in asked}
    assert (answer["model"], answer["store"], answer["previous_response_id"]) == ("m", False, None)


async def test_the_tools_of_an_mcp_server_are_called_as_codex_knows_them() -> None:
    """And what Codex sends beside functions is left aside. https://github.com/openai/codex/issues/36942"""
    mcp = {"type": "namespace", "name": "mcp__files__", "description": "x", "tools": [LS, {"type": "custom"}]}
    aside = [{"type": "web_search", "external_web_access": False}, {"type": "custom", "name": "apply_patch"}]
    before = {"type": "function_call", "call_id": "z", "name": "ls", "namespace": "mcp__files__", "arguments": "{}"}
    body = {"input": [before, {"role": "user", "content": "Hi"}], "tools": [mcp, *aside], "tool_choice": "auto"}
    chunks = [call_piece(0, "a", "mcp__files__ls", "{}"), call_piece(1, "b", "other", "{}"), CALLED]
    async with gateway(stream(*chunks)) as (client, engine):
        events = await streamed(client, body | {"tools": [mcp | {"tools": [LS]}, *aside]})
        whole = (await client.post(ROUTE, json=body)).json()
        without = (await client.post(ROUTE, json=body | {"tools": aside})).status_code
    sent, _, last = engine.bodies
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["mcp__files__ls"]
    assert sent["messages"][0]["tool_calls"][0]["function"]["name"] == "mcp__files__ls"
    output = [called("a", "{}", namespace="mcp__files__"), called("b", "{}", "other")]
    assert without_ids(events[-1]["response"]["output"]) == without_ids(whole["output"]) == output
    assert [tool["type"] for tool in events[-1]["response"]["tools"]] == ["namespace"]
    assert (without, "tools" in last, "tool_choice" in last) == (200, False, False)


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "send the whole conversation as input"),
        ({"conversation": {"id": "conv_1"}}, "conversation", "send the whole conversation as input"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "send the whole conversation as input"),
        ({"background": True}, "background", "stream the answer"),
        ({"tools": [{"type": "file_search"}]}, "tools.0.other.type", "tools of type file_search cannot be run here"),
        ({"tools": [LS | {"name": "a b"}]}, "tools.0.function.name", "pattern"),
        ({"tool_choice": "required"}, None, "there are no tools"),
        ({"tool_choice": {"type": "function", "name": "rm"}, "tools": [LS]}, None, "not among the tools"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.list.0.other.type", "type item_reference"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input.list.0.message.role", "'user'"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}]},
            "input.list.0.message.content.list.0.other.type",
            "parts of type input_file are not taken here",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "x"}]}]},
            "input.list.0.message.content.list.0.image.image_url",
            "required",
        ),
        ({"input": []}, "input", "send a message"),
        ({"input": [{"type": "reasoning", "summary": []}]}, "input", "send a message"),
        ({"input": 7}, "input.list", "list"),
        ({"input": ["Hi"]}, "input.list.0.message", "dict"),
        ({"input": [{"type": {"a": []}}]}, "input.list.0.other.type", "string"),
        ({"max_output_tokens": 0}, "max_output_tokens", "greater"),
        ({"metadata": {"a": 1}}, "metadata.a", "string"),
        ({"text": {"format": {"type": "xml"}}}, "text.format", "tag"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_way_out(
    fields: dict[str, Any], param: str | None, word: str
) -> None:
    async with gateway(stream(END)) as (client, engine):
        responses = [await client.post(ROUTE, json={"input": "Hi"} | fields | {"stream": on}) for on in (True, False)]
    errors = [response.json()["error"] for response in responses]
    assert {response.status_code for response in responses} == {400}
    assert errors[0] == errors[1]
    assert (errors[0]["type"], errors[0]["code"], errors[0]["param"]) == (
        *("invalid_request_error", "invalid_request"),
        param,
    )
    assert word in errors[0]["message"]
    assert engine.bodies == []


async def test_a_body_that_is_hostile_or_too_large_is_refused() -> None:
    headers = {"Content-Type": "application/json"}
    bodies = [b"", b"{", b"[]", b'{"input": ' + b"[" * 5000, b'{"input": "x", "top_p": NaN}', b'{"input": "\\ud800"}']
    async with gateway(stream(END)) as (client, engine):
        refused = [await client.post(ROUTE, content=body, headers=headers) for body in bodies]
        large = await client.post(ROUTE, json={"input": "x" * 300_000})
        another = await client.post(ROUTE, json={"input": "x", "model": "gpt-9"})
    assert [response.status_code for response in refused] == [400] * len(bodies)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")
    assert (another.status_code, another.json()["error"]["code"]) == (404, "model_not_found")
    assert engine.bodies == []


@pytest.mark.parametrize(
    ("answer", "kind", "code", "output"),
    [
        (stream(content("Hel"), done=False), "engine_failed", "server_error", []),
        (stream(content("Hel"), {"error": {"message": "burnt"}}), "engine_failed", "server_error", []),
        (
            stream(content("So"), call_piece(0, "a", "ls", "[1]"), CALLED),
            "malformed_answer",
            "server_error",
            [message("So")],
        ),
    ],
    ids=["broken-off", "error", "malformed"],
)
async def test_an_answer_that_fails_says_so_in_its_last_events(
    answer: bytes, kind: str, code: str, output: list[dict[str, Any]]
) -> None:
    """No call is done of it, and its text only where it had come to its end."""
    body = {"input": "Hi", "tools": [LS]}
    async with gateway(answer) as (client, _):
        events = await streamed(client, body)
        whole = await client.post(ROUTE, json=body)
    *_, error, failed = events
    told = whole.json()["error"]
    assert (whole.status_code, told["code"]) == (502, kind)
    assert (error["type"], error["code"], error["message"]) == ("error", kind, told["message"])
    assert failed["type"] == "response.failed"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": code, "message": told["message"]}
    assert without_ids(failed["response"]["output"]) == output
    assert [e["item"]["type"] for e in events if e["type"] == "response.output_item.done"] == ["message"] * len(output)


@pytest.mark.parametrize(
    ("answer", "told", "code"),
    [
        (status(400, {"error": {"message": "exceeds the context size"}}), 400, "context_length_exceeded"),
        (status(400, {"error": {"message": "because"}}), 400, "invalid_prompt"),
        (status(500, {"error": {"message": "Context size has been exceeded"}}), 429, "rate_limit_exceeded"),
    ],
)
async def test_a_refusal_has_a_status_and_where_the_stream_is_open_an_event(
    answer: bytes, told: int, code: str
) -> None:
    """Codex compacts its history when it hears of context_length_exceeded, which OpenAI's types of events lack."""
    async with gateway(answer) as (client, _):
        response = await client.post(ROUTE, json={"input": "Hi", "stream": True})
    async with gateway(answer, patience_s=0) as (client, _):
        late = await client.post(ROUTE, json={"input": "Hi", "stream": True})
    assert response.status_code == told
    *_, error, failed = [json.loads(line[6:]) for line in late.text.splitlines() if line.startswith("data: ")]
    assert (late.status_code, error["code"]) == (200, response.json()["error"]["code"])
    assert failed["response"]["error"]["code"] == code


async def test_responses_are_counted_with_the_rest() -> None:
    async with gateway(stream(content("Hi"), END, USAGE)) as (client, _):
        await client.post(ROUTE, json={"input": "Hi"})
        metrics = (await client.get("/metrics")).text
    assert 'patchwright_requests_total{route="/v1/responses",status="200"} 1.0' in metrics
    assert 'patchwright_tokens_total{kind="completion"} 4.0' in metrics
