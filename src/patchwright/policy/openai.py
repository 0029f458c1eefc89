"""A policy behind an OpenAI-compatible endpoint, streamed."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Self

from pydantic import BaseModel, ValidationError

from patchwright.chat.calling import CALLING
from patchwright.chat.calls import with_ids
from patchwright.chat.mistral.normal import chat_completion
from patchwright.errors import ConversationError, EngineError
from patchwright.policy.answers import read_answers
from patchwright.policy.completion import Chunk, Completion, read_whole
from patchwright.policy.connection import Connect, Connection
from patchwright.policy.dialect import in_mistrals_dialect
from patchwright.schema.messages import Answers, Delta, Json, Reply, Request, Sampling, TextDelta

_COMPLETIONS = "/v1/chat/completions"
_STREAMING = ("stream", "stream_options")
_DONE = "[DONE]"
BYTES_PER_TOKEN = 3
"""A careful estimate for code in any of today's vocabularies (measured: 3.2 to 4.5), where none can be asked."""


class OpenAIPolicy:
    """Streams chat completions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.name = connection.endpoint.model
        self.context_tokens = connection.endpoint.context_tokens

    @classmethod
    @asynccontextmanager
    async def connected(cls, connect: Connect) -> AsyncGenerator[Self]:
        """Raises EngineError when no endpoint can be brought up."""
        async with Connection.opened(connect) as connection:
            yield cls(connection)

    async def stream(self, request: Request) -> AsyncGenerator[Delta]:
        """Raises EngineError. A request is sent again only as long as nothing of its answer has arrived."""
        completion = Completion()
        calling = CALLING[request.calling]
        shown = 0
        async with AsyncExitStack() as stack:
            async for chunk in await self._asked(stack, request):
                completion.add(chunk)
                text = calling.shown(completion.content)
                if len(text) > shown:
                    yield TextDelta(text=text[shown:])
                    shown = len(text)
        yield _reply(request, completion)

    async def answers(self, request: Request, n: int) -> Answers:
        """Endpoints that know no `n` are asked as often as it takes. Raises EngineError."""
        body = _whole(self._body(request))
        found = Answers(answers=())
        while (missing := n - len(found.answers)) > 0:
            seeded = {} if request.sampling.seed is None else {"seed": request.sampling.seed + len(found.answers)}
            asked = body | seeded | {"n": missing, "logprobs": True}
            more = read_answers(await self._connection.post(_COMPLETIONS, self._in_dialect(asked)))
            found = Answers(answers=found.answers + more.answers, usage=found.usage + more.usage)
        return found

    async def count_tokens(self, text: str) -> int:
        """Exact where the server has llama.cpp's POST /tokenize, otherwise bytes ÷ 3."""
        await self._connection.found()
        if not self._connection.endpoint.tokenizes:
            return -(-len(text.encode()) // BYTES_PER_TOKEN)
        answer = await self._connection.post("/tokenize", {"content": text}, attempts=1)
        return len(_Tokens.model_validate_json(answer).tokens)

    async def _asked(self, stack: AsyncExitStack, request: Request) -> AsyncIterator[Chunk]:
        body = self._in_dialect(self._body(request))
        if self._connection.endpoint.streams:
            return self._chunks(await self._connection.events(stack, _COMPLETIONS, body))
        return _only(read_whole(await self._connection.post(_COMPLETIONS, _whole(body))))

    def _body(self, request: Request) -> Json:
        options = {"model": self.name, "stream": True, "stream_options": {"include_usage": True}}
        return self._conversation(request) | options | _sampling(request.sampling)

    def _conversation(self, request: Request) -> Json:
        rules = self._connection.endpoint.rules
        if request.calling == "native" and rules != "any":
            # What cannot be put right goes as it is: the endpoint may know what to do.
            with suppress(ConversationError):
                return chat_completion(request, alternating=rules == "alternating")
        return CALLING[request.calling].body(request)

    def _in_dialect(self, body: Json) -> Json:
        return in_mistrals_dialect(body) if self._connection.endpoint.dialect == "mistral" else body

    async def _chunks(self, events: AsyncIterator[str]) -> AsyncIterator[Chunk]:
        finished = False
        async for data in events:
            if data == _DONE:
                break
            chunk = _chunk(data)
            finished = finished or any(choice.finish_reason for choice in chunk.choices)
            yield chunk
        if not finished:
            raise self._connection.gone("the stream ended in mid-answer")


class _Tokens(BaseModel):
    tokens: list[int]


def _whole(body: Json) -> Json:
    return {key: value for key, value in body.items() if key not in _STREAMING}


async def _only(chunk: Chunk) -> AsyncIterator[Chunk]:
    yield chunk


def _sampling(sampling: Sampling) -> Json:
    return sampling.model_dump(exclude_none=True)


def _reply(request: Request, completion: Completion) -> Reply:
    message, problem = CALLING[request.calling].read(completion.content, completion.calls)
    return Reply(
        message=with_ids(message, request.messages),
        usage=completion.usage,
        finish_reason=completion.finish_reason or "stop",
        problem=problem,
    )


def _chunk(data: str) -> Chunk:
    try:
        chunk = Chunk.model_validate_json(data)
    except ValidationError:
        raise EngineError(f"the endpoint sent what is no completion chunk: {data[:200]!r}") from None
    if chunk.error:
        text = chunk.error if isinstance(chunk.error, str) else chunk.error.message
        raise EngineError(f"the endpoint failed in mid-answer: {text}")
    return chunk
