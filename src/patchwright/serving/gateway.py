"""The gateway: takes a request in, lets it wait for its turn, watches its answer, and counts."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from prometheus_client import CollectorRegistry

from patchwright.schema.messages import Json
from patchwright.schema.record import Record
from patchwright.serving.body import Asked, ChatBody, SystemBody, TextBody
from patchwright.serving.chunks import checked
from patchwright.serving.metrics import Metrics
from patchwright.serving.problems import BUSY, INVALID, NO_MODEL, Problem
from patchwright.serving.queue import FairQueue, QueueFull
from patchwright.serving.upstream import Upstream

B = TypeVar("B", bound=Asked)


class Limits(Record):
    """What one request may ask for."""

    body_bytes: int = 16_000_000
    """A full window of text has less than a million; images have more."""
    tokens: int | None = None
    """Of one answer: who asks for more, or does not say, gets so many at most."""
    answers: int = 4
    """`n`: no more than the engine works on at once."""
    patience_s: float = 10.0
    """So long an answer may still fail with a status of HTTP. Then the stream is opened, and comments keep it so: a
    proxy closes what is silent for as long as a CPU may read a prompt."""


class Gateway:
    """One model, served to many. `system`: the system prompt of conversations that bring none. `registry`: of what the
    upstream counts by itself."""

    def __init__(
        self,
        upstream: Upstream,
        queue: FairQueue,
        limits: Limits,
        system: str | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self.upstream = upstream
        self.queue = queue
        self.limits = limits
        self.metrics = Metrics(lambda: queue.running, lambda: queue.waiting, registry)
        self._system = system

    async def chat(self, body: ChatBody, owner: str) -> AsyncGenerator[Json]:
        """The chunks of the answer, the last with the usage. Raises Problem, before the first chunk or after any."""
        self._check(body.model, body.answers)
        answer = checked(self.upstream.chat(self._with_system(self._limited(body))), body)
        async with aclosing(self._in_turn(answer, owner, body.answers)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def text(self, body: TextBody, owner: str) -> AsyncGenerator[Json]:
        """The same for /v1/completions."""
        self._check(body.model, body.answers)
        asked = self._limited(body).model_dump(exclude_unset=True) | {"prompt": body.only_prompt}
        async with aclosing(self._in_turn(self.upstream.completion(asked), owner, body.answers)) as chunks:
            async for chunk in chunks:
                yield chunk

    @property
    def names(self) -> tuple[str, ...]:
        """What a request's `model` may be: the model, and the adapters to it that are loaded."""
        return (self.upstream.model, *self.upstream.adapters)

    def check_model(self, name: str) -> None:
        """Raises Problem when it is not one of those that are served."""
        if name and name not in self.names:
            raise Problem(NO_MODEL, f"no model {name} is served here, only {', '.join(self.names)}", param="model")

    def _check(self, model: str, answers: int) -> None:
        self.check_model(model)
        if not 1 <= answers <= self.limits.answers:
            raise Problem(INVALID, f"n is from 1 to {self.limits.answers}", param="n")

    def _limited(self, body: B) -> B:
        return body if self.limits.tokens is None else body.limited(self.limits.tokens)

    def _with_system(self, body: ChatBody) -> ChatBody:
        if self._system is None or isinstance(body.messages[0], SystemBody):
            return body
        system = SystemBody(role="system", content=self._system)
        return body.model_copy(update={"messages": [system, *body.messages]})

    async def _in_turn(self, chunks: AsyncGenerator[Json], owner: str, answers: int) -> AsyncGenerator[Json]:
        asked = time.monotonic()
        try:
            async with self.queue.place(owner, answers), aclosing(chunks):
                async for chunk in self._counted(chunks, asked):
                    yield chunk
        except QueueFull as full:
            message = f"{self.queue.waiting} requests wait already; try again later"
            raise Problem(BUSY, message, retry_after_s=full.retry_after_s) from None

    async def _counted(self, chunks: AsyncIterator[Json], asked: float) -> AsyncGenerator[Json]:
        """The last usage is the answer's: some endpoints say with each chunk what it has come to. Of an answer that
        fails or is given up, each chunk is taken for a token: it has no usage."""
        first_s, told = 0.0, 0
        usage: Json | None = None
        try:
            async for chunk in chunks:
                first_s = first_s or time.monotonic() - asked
                usage = chunk.get("usage") or usage
                told += bool(chunk.get("choices"))
                yield chunk
        finally:
            if told or usage:
                self.metrics.answered(usage or {"completion_tokens": told}, first_s, time.monotonic() - asked)
