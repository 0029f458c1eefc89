"""The streaming client against a real server that sends what servers send, and what they send when they fail."""

import pytest

from patchwright.errors import EngineError
from patchwright.policy.openai import OpenAIPolicy
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import (
    AssistantMessage,
    Delta,
    Reply,
    Request,
    TextDelta,
    ToolCall,
    ToolSpec,
    Usage,
    UserMessage,
)

from .http_server import HttpServer, call_piece, content, serving, status, stream

TOOL = ToolSpec(name="search", description="Find.", parameters={"type": "object", "properties": {}})
REQUEST = Request(messages=(UserMessage(content="hi"),), tools=(TOOL,))
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


async def deltas_of(server: HttpServer, request: Request = REQUEST) -> list[Delta]:
    async with OpenAIPolicy.connected(server.connect) as policy:
        return [delta async for delta in policy.stream(request)]


async def test_text_arrives_in_pieces_and_the_reply_repeats_it_whole() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 7}}
    async with serving(stream(content("Hel"), content("lo"), END, {"choices": [], "usage": usage})) as server:
        deltas = await deltas_of(server)
    assert deltas == [
        TextDelta(text="Hel"),
        TextDelta(text="lo"),
        Reply(
            message=AssistantMessage(content="Hello"),
            usage=Usage(prompt_tokens=9, cached_tokens=7, completion_tokens=2),
            problem="the reply holds no tool call. Call one tool; call finish when the task is done.",
        ),
    ]


async def test_tool_calls_are_put_together_from_their_pieces() -> None:
    answer = stream(
        call_piece(0, "x", "search", ""),
        call_piece(0, None, None, '{"pat'),
        call_piece(1, "y", "search", "{}"),
        call_piece(0, None, None, 'tern": 1}'),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    )
    async with serving(answer) as server:
        [reply] = await deltas_of(server)
    assert isinstance(reply, Reply)
    assert reply.finish_reason == "tool_calls"
    assert reply.message.tool_calls == (
        ToolCall(id="call00001", name="search", arguments='{"pattern": 1}'),
        ToolCall(id="call00002", name="search", arguments="{}"),
    )


async def test_pieces_without_an_index_go_to_the_call_whose_id_they_bear() -> None:
    answer = stream(
        call_piece(None, "x", "search", '{"a"'),
        call_piece(None, None, None, ": 1}"),
        call_piece(None, "y", "search", "{}"),
        END,
    )
    async with serving(answer) as server:
        [reply] = await deltas_of(server)
    assert isinstance(reply, Reply)
    assert [call.arguments for call in reply.message.tool_calls] == ['{"a": 1}', "{}"]


async def test_a_request_is_sent_again_while_nothing_of_its_answer_has_arrived() -> None:
    busy = status(503, {"error": {"message": "loading model"}}, "Retry-After: 0\r\n")
    async with serving(busy, b"", stream(content("ok", "stop"))) as server:
        deltas = await deltas_of(server)
    assert deltas[0] == TextDelta(text="ok")
    assert len(server.bodies) == 3


async def test_a_stream_that_breaks_off_is_an_error_and_is_not_sent_again() -> None:
    async with serving(stream(content("half"), done=False)) as server:
        with pytest.raises(EngineError, match="stopped answering: the stream ended in mid-answer"):
            await deltas_of(server)
    assert len(server.bodies) == 1


async def test_after_a_break_the_endpoint_is_asked_for_again() -> None:
    """The engine may have been restarted elsewhere: `connect` says where."""
    connected: list[Endpoint] = []
    async with serving(stream(content("half"), done=False), stream(content("ok", "stop"))) as server:

        async def connect() -> Endpoint:
            connected.append(await server.connect())
            return connected[-1]

        async with OpenAIPolicy.connected(connect) as policy:
            with pytest.raises(EngineError):
                _ = [delta async for delta in policy.stream(REQUEST)]
            assert await anext(policy.stream(REQUEST)) == TextDelta(text="ok")
    assert len(connected) == 2


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (status(401, {"error": {"message": "wrong key"}}), "answered 401: wrong key"),
        (status(400, {"error": "too long"}), "answered 400: too long"),
        (stream({"error": {"message": "out of memory"}}), "failed in mid-answer: out of memory"),
        (stream({"choices": "none"}), "no completion chunk"),
    ],
)
async def test_a_refusal_is_an_engine_error_in_the_servers_words(answer: bytes, complaint: str) -> None:
    async with serving(answer) as server:
        with pytest.raises(EngineError, match=complaint):
            await deltas_of(server)
    assert len(server.bodies) == 1


async def test_json_calling_sends_a_grammar_and_streams_the_thought() -> None:
    step = ['{"thought": "look', ' first", "tool": "sea', 'rch", "arguments": {"a": "ü"}}']
    async with serving(stream(*map(content, step), END)) as server:
        deltas = await deltas_of(server, REQUEST.model_copy(update={"calling": "json"}))
    assert deltas[:2] == [TextDelta(text="look"), TextDelta(text=" first")]
    reply = deltas[-1]
    assert isinstance(reply, Reply)
    assert reply.problem is None
    assert reply.message == AssistantMessage(
        content="".join(step), tool_calls=(ToolCall(id="call00001", name="search", arguments='{"a": "ü"}'),)
    )
    [body] = server.bodies
    assert "tools" not in body
    assert body["response_format"]["type"] == "json_schema"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


async def test_a_json_step_that_was_cut_off_is_a_problem_not_an_error() -> None:
    async with serving(stream(content('{"thought": "and so'), content(" on", "length"))) as server:
        deltas = await deltas_of(server, REQUEST.model_copy(update={"calling": "json"}))
    reply = deltas[-1]
    assert isinstance(reply, Reply)
    assert reply.finish_reason == "length"
    assert reply.problem is not None
    assert reply.problem.startswith("the reply is not one complete JSON object")


async def test_an_endpoint_that_is_not_there_is_an_engine_error() -> None:
    async def connect() -> Endpoint:
        return Endpoint(base_url="http://127.0.0.1:9/v1", model="m")

    async with OpenAIPolicy.connected(connect) as policy:
        with pytest.raises(EngineError, match=r"127\.0\.0\.1:9/v1 stopped answering"):
            _ = [delta async for delta in policy.stream(REQUEST)]


async def test_tokens_are_counted_where_the_endpoint_is_now() -> None:
    """An engine that was restarted listens on another port."""
    broken = stream(content("he"), done=False)
    async with serving(broken) as before, serving(status(200, {"tokens": [1, 2, 3]})) as after:
        endpoints = iter([await before.connect(), await after.connect()])

        async def connect() -> Endpoint:
            return next(endpoints).model_copy(update={"tokenizes": True})

        async with OpenAIPolicy.connected(connect) as policy:
            with pytest.raises(EngineError):
                [delta async for delta in policy.stream(REQUEST)]
            assert await policy.count_tokens("a b c") == 3


async def test_an_endpoint_that_cannot_stream_is_asked_for_the_whole() -> None:
    call = {"id": "x", "type": "function", "function": {"name": "search", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Look:", "tool_calls": [call]}
    usage = {"prompt_tokens": 9, "completion_tokens": 2}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage}
    async with serving(status(200, whole)) as server:

        async def connect() -> Endpoint:
            return (await server.connect()).model_copy(update={"streams": False})

        async with OpenAIPolicy.connected(connect) as policy:
            deltas = [delta async for delta in policy.stream(REQUEST)]
    called = ToolCall(id="call00001", name="search", arguments="{}")
    assert deltas == [
        TextDelta(text="Look:"),
        Reply(
            message=AssistantMessage(content="Look:", tool_calls=(called,)),
            usage=Usage(prompt_tokens=9, cached_tokens=0, completion_tokens=2),
            finish_reason="tool_calls",
        ),
    ]
    assert not {"stream", "stream_options"} & server.bodies[0].keys()


async def test_a_whole_that_is_no_completion_is_an_error() -> None:
    async with serving(status(200, {"hello": 1})) as server:

        async def connect() -> Endpoint:
            return (await server.connect()).model_copy(update={"streams": False})

        async with OpenAIPolicy.connected(connect) as policy:
            with pytest.raises(EngineError, match="what is no chat completion"):
                _ = [delta async for delta in policy.stream(REQUEST)]
