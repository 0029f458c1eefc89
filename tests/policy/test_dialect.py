from patchwright.policy.openai import OpenAIPolicy
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import Request, Sampling, UserMessage
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


async def _streamed(server: HttpServer) -> None:
    async with OpenAIPolicy.connected(server.connect) as policy:
        _ = [delta async for delta in policy.stream(ASKED)]
