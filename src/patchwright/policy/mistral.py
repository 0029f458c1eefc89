"""A policy behind llama.cpp's server that is spoken to in Mistral's tokens.

Its route is llama.cpp's own POST /completion, which takes tokens and says with which control tokens it answered.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

from patchwright.chat.calling import CALLING
from patchwright.chat.calls import with_ids
from patchwright.chat.mistral.answer import MistralAnswer
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.errors import ConversationError, EngineError
from patchwright.policy.connection import Connect, Connection
from patchwright.policy.pieces import ROUTE, Piece, read_piece, read_whole
from patchwright.schema.messages import (
    Answer,
    Answers,
    Delta,
    Json,
    Reply,
    Request,
    Sampling,
    TextDelta,
)


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
        last: Piece | None = None
        async with AsyncExitStack() as stack:
            async for last in self._pieces(await self._connection.events(stack, ROUTE, body)):
                if text := answer.add(last.content, last.tokens):
                    yield TextDelta(text=text)
        assert last  # or the stream would have been an error
        yield self._reply(request, answer, last)

    async def answers(self, request: Request, n: int) -> Answers:
        """Raises EngineError."""
        body = self._body(request) | {"n_cmpl": n, "n_probs": 1}
        pieces = read_whole(await self._connection.post(ROUTE, body))
        usages = [piece.usage for piece in pieces]
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

    async def _pieces(self, events: AsyncIterator[str]) -> AsyncIterator[Piece]:
        async for data in events:
            piece = read_piece(data)
            yield piece
            if piece.stop:
                return
        raise self._connection.gone("the stream ended in mid-answer")

    def _reply(self, request: Request, answer: MistralAnswer, last: Piece) -> Reply:
        message = answer.message()
        _, problem = CALLING["native"].read(message.content, message.tool_calls)
        return Reply(
            message=with_ids(message, request.messages),
            usage=last.usage,
            finish_reason=last.finish_reason(called=bool(message.tool_calls)),
            problem=problem,
        )


def _answer(piece: Piece) -> Answer:
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
