"""Several answers to one request: from servers that know `n`, and from those that don't."""

from typing import Any

import pytest

from patchwright.errors import EngineError
from patchwright.policy.openai import OpenAIPolicy
from patchwright.schema.messages import Answer, Answers, Request, Sampling, Usage, UserMessage

from .http_server import HttpServer, serving, status

REQUEST = Request(messages=(UserMessage(content="hi"),), sampling=Sampling(temperature=0.5, max_tokens=9))


def choice(text: str, *logprobs: float, finish: str = "stop") -> dict[str, Any]:
    tokens = {"content": [{"logprob": logprob} for logprob in logprobs]} if logprobs else None
    return {"message": {"content": text}, "logprobs": tokens, "finish_reason": finish}


def completion(*choices: dict[str, Any]) -> bytes:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return status(200, {"choices": list(choices), "usage": usage}, "Content-Type: application/json\r\n")


async def answers_of(server: HttpServer, n: int) -> Answers:
    async with OpenAIPolicy.connected(server.connect) as policy:
        return await policy.answers(REQUEST, n)


async def test_the_answers_with_their_mean_log_probabilities() -> None:
    async with serving(completion(choice("a", -0.5, -1.5), choice("b", finish="length"))) as server:
        found = await answers_of(server, 2)
    assert found == Answers(
        answers=(Answer(text="a", logprob=-1.0), Answer(text="b", complete=False)),
        usage=Usage(prompt_tokens=7, completion_tokens=3),
    )
    [body] = server.bodies
    assert (body["n"], body["temperature"], body["max_tokens"], "stream" in body) == (2, 0.5, 9, False)


async def test_a_server_without_n_is_asked_as_often_as_it_takes() -> None:
    async with serving(completion(choice("a")), completion(choice("b")), completion(choice("c"))) as server:
        found = await answers_of(server, 3)
    assert [answer.text for answer in found.answers] == ["a", "b", "c"]
    assert found.usage == Usage(prompt_tokens=21, completion_tokens=9)
    assert [body["n"] for body in server.bodies] == [3, 2, 1]


async def test_a_busy_server_is_asked_again() -> None:
    busy = status(503, {"error": {"message": "loading"}}, "Retry-After: 0\r\n")
    async with serving(busy, b"", completion(choice("a"))) as server:
        assert [answer.text for answer in (await answers_of(server, 1)).answers] == ["a"]


@pytest.mark.parametrize("body", [{"choices": []}, {"choices": 3}])
async def test_what_is_no_completion_is_an_error(body: dict[str, Any]) -> None:
    async with serving(status(200, body)) as server:
        with pytest.raises(EngineError, match="chat completion"):
            await answers_of(server, 1)
