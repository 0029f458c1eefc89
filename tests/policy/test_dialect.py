from contextlib import AbstractAsyncContextManager

from patchwright.chat.mistral.normal import NO_RESULT
from patchwright.policy.openai import OpenAIPolicy
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import AssistantMessage, Request, Sampling, ToolCall, UserMessage
from tests.policy.http_server import HttpServer, content, serving, status, stream

ASKED = Request(messages=(UserMessage(content="hi"),), sampling=Sampling(seed=3, max_tokens=5, temperature=0.15))
WHOLE = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}


async def test_mistrals_api_gets_no_field_that_it_refuses() -> None:
    async with serving(stream(content("hi", "stop")), status(200, WHOLE)) as server:

        async def connect() -> Endpoint:
            return (await server.connect()).model_copy(update={"dialect": "mistral"})

        async with OpenAIPolicy.connected(connect) as policy:
            _ = [delta async for delta in policy.stream(ASKED)]
            await policy.answers(ASKED, 1)
    streamed, answered = server.bodies
    sampling = {"random_seed": 3, "max_tokens": 5, "temperature": 0.15}
    said = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert streamed == said | sampling | {"stream": True}
    assert answered == said | sampling | {"n": 1}


async def test_others_get_openais_fields() -> None:
    async with serving(stream(content("hi", "stop"))) as server:
        await _streamed(server)
    assert server.bodies[0]["seed"] == 3
    assert server.bodies[0]["stream_options"] == {"include_usage": True}


STOPPED = (
    UserMessage(content="hi"),
    AssistantMessage(tool_calls=(ToolCall(id="call00001", name="ls", arguments="{}"),)),
    UserMessage(content="stop"),
)


async def test_mistral_common_gets_a_result_for_a_call_that_was_stopped() -> None:
    async with serving(stream(content("hi", "stop"))) as server, _under_mistrals_rules(server) as policy:
        _ = [delta async for delta in policy.stream(Request(messages=STOPPED))]
    assert server.bodies[0]["messages"][2:] == [
        {"role": "tool", "tool_call_id": "call00001", "content": NO_RESULT},
        {"role": "user", "content": "stop"},
    ]


async def test_what_cannot_be_put_right_goes_as_it_is() -> None:
    over = (UserMessage(content="hi"), AssistantMessage(content="done"))
    async with serving(stream(content("hi", "stop"))) as server, _under_mistrals_rules(server) as policy:
        _ = [delta async for delta in policy.stream(Request(messages=over))]
    assert server.bodies[0]["messages"][-1] == {"role": "assistant", "content": "done"}


def _under_mistrals_rules(server: HttpServer) -> AbstractAsyncContextManager[OpenAIPolicy]:
    async def connect() -> Endpoint:
        return (await server.connect()).model_copy(update={"rules": "mistral"})

    return OpenAIPolicy.connected(connect)


async def _streamed(server: HttpServer) -> None:
    async with OpenAIPolicy.connected(server.connect) as policy:
        _ = [delta async for delta in policy.stream(ASKED)]
