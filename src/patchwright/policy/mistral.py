"""A policy behind llama.cpp's server that is spoken to in Mistral's tokens.

Its route is llama.cpp's own POST /completion, which takes tokens and says with which control tokens it answered.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

from pydantic import Field, TypeAdapter, ValidationError

from patchwright.chat.calling import CALLING
from patchwright.chat.calls import with_ids
from patchwright.chat.mistral.answer import MistralAnswer
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.errors import ConversationError, EngineError
from patchwright.policy.completion import Wire
from patchwright.policy.connection import Connect, Connection
from patchwright.schema.messages import (
    Answer,
    Answers,
    Delta,
    FinishReason,
    Json,
    Reply,
    Request,
    Sampling,
    TextDelta,
    Usage,
)

_ROUTE = "/completion"


class _Timings(Wire):
    cache_n: int = 0


class _Probability(Wire):
    logprob: float


class _Error(Wire):
    message: str = "no reason given"


class _Failure(Wire):
    """What comes in the place of a piece when the engine cannot go on."""

    error: _Error


class _Piece(Wire):
    """One event of the stream, or a whole answer."""

    content: str
    tokens: list[int]
    """Those that made a whole character: of others, only the last."""
    stop: bool
    stop_type: str = ""
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    timings: _Timings = _Timings()
    completion_probabilities: list[_Probability] = Field(default_factory=list[_Probability])


_PIECE: TypeAdapter[_Piece | _Failure] = TypeAdapter(_Piece | _Failure)
_ONE_OR_SEVERAL: TypeAdapter[_Piece | list[_Piece]] = TypeAdapter(_Piece | list[_Piece])


class MistralPolicy:
    """Devstral on the embedded engine."""

    def __init__(self, connection: Connection, tokens: MistralTokens) -> None:
        self._connection = connection
        self._tokens = tokens
        self.name = connection.endpoint.model
        self.context_tokens = connection.endpoint.context_tokens

    @classmethod
    @asynccontextmanager
    async def connected(cls, connect: Connect, tokens: MistralTokens) -> AsyncGenerator[Self]:
        """Raises EngineError when no endpoint can be brought up."""
        async with Connection.opened(connect) as connection:
            yield cls(connection, tokens)

    async def stream(self, request: Request) -> AsyncGenerator[Delta]:
        """Raises EngineError. A request is sent again only as long as nothing of its answer has arrived."""
        answer = MistralAnswer(self._tokens)
        body = self._body(request) | {"stream": True}
        last: _Piece | None = None
        async with AsyncExitStack() as stack:
            async for last in self._pieces(await self._connection.events(stack, _ROUTE, body)):
                if text := answer.add(last.content, last.tokens):
                    yield TextDelta(text=text)
        assert last  # or the stream would have been an error
        yield self._reply(request, answer, last)

    async def answers(self, request: Request, n: int) -> Answers:
        """Raises EngineError."""
        body = self._body(request) | {"n_cmpl": n, "n_probs": 1}
        pieces = _several(await self._connection.post(_ROUTE, body))
        usages = [_usage(piece) for piece in pieces]
        # Read once for all of them: llama.cpp counts the prompt in each answer.
        once = usages[0].model_copy(update={"completion_tokens": sum(usage.completion_tokens for usage in usages)})
        return Answers(answers=tuple(map(_answer, pieces)), usage=once)

    async def count_tokens(self, text: str) -> int:
        return len(self._tokens.encoded(text))

    def _body(self, request: Request) -> Json:
        if request.calling != "native":
            raise EngineError(f"{self.name} calls tools in its own format", hint="take `--profile devstral`")
        try:
            prompt = self._tokens.prompt(request)
        except ConversationError as error:
            raise EngineError(str(error)) from None
        return {"prompt": prompt, "return_tokens": True} | _sampling(request.sampling)

    async def _pieces(self, events: AsyncIterator[str]) -> AsyncIterator[_Piece]:
        async for data in events:
            piece = _piece(data)
            yield piece
            if piece.stop:
                return
        raise self._connection.gone("the stream ended in mid-answer")

    def _reply(self, request: Request, answer: MistralAnswer, last: _Piece) -> Reply:
        message = answer.message()
        _, problem = CALLING["native"].read(message.content, message.tool_calls)
        return Reply(
            message=with_ids(message, request.messages),
            usage=_usage(last),
            finish_reason=_finish_reason(last, called=bool(message.tool_calls)),
            problem=problem,
        )


def _answer(piece: _Piece) -> Answer:
    """Its text without the stop word, which is among its tokens."""
    logprobs = [token.logprob for token in piece.completion_probabilities]
    mean = sum(logprobs) / len(logprobs) if logprobs else None
    return Answer(text=piece.content, logprob=mean, complete=piece.stop_type != "limit")


def _sampling(sampling: Sampling) -> Json:
    """OpenAI's parameters by llama.cpp's names."""
    body = sampling.model_dump(exclude_none=True)
    if (limit := body.pop("max_tokens", None)) is not None:
        body["n_predict"] = limit
    return body


def _piece(data: str) -> _Piece:
    try:
        piece = _PIECE.validate_json(data)
    except ValidationError:
        raise EngineError(f"the engine sent what is no piece of an answer: {data[:200]!r}") from None
    if isinstance(piece, _Failure):
        raise EngineError(f"the engine failed in mid-answer: {piece.error.message}")
    return piece


def _several(data: bytes) -> list[_Piece]:
    try:
        found = _ONE_OR_SEVERAL.validate_json(data)
    except ValidationError:
        raise EngineError(f"the engine sent what is no answer: {data[:200]!r}") from None
    pieces = found if isinstance(found, list) else [found]
    if not pieces:
        raise EngineError("the engine sent no answer")
    return pieces


def _usage(piece: _Piece) -> Usage:
    return Usage(
        prompt_tokens=piece.tokens_evaluated,
        cached_tokens=piece.timings.cache_n,
        completion_tokens=piece.tokens_predicted,
    )


def _finish_reason(piece: _Piece, *, called: bool) -> FinishReason:
    if piece.stop_type == "limit":
        return "length"
    return "tool_calls" if called else "stop"
