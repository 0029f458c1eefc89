"""Which of llama.cpp's slots a request goes to, where adapters make a difference.

By itself llama.cpp takes the slot whose tokens are most like the request's, and throws them away when they were
computed with another adapter: of two agents with one system prompt and different adapters, each would compute
everything anew at each turn.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager

from patchwright.schema.messages import Json
from patchwright.serving.body import ChatBody
from patchwright.serving.prefixes import Chain, chain_of, chain_of_text
from patchwright.serving.upstream import Upstream, adapter_of

FIELD = "id_slot"
"""Of llama.cpp's requests: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"""

ANY = -1
"""llama.cpp chooses. A slot that is not there would be waited for for ever, so clients choose none."""


class Slotted:
    """Satisfies Upstream: an embedded engine with so many slots."""

    def __init__(self, upstream: Upstream, slots: int) -> None:
        self.model = upstream.model
        self._upstream = upstream
        self._slots = Slots(slots)

    @property
    def context_tokens(self) -> int | None:
        return self._upstream.context_tokens

    @property
    def adapters(self) -> tuple[str, ...]:
        return self._upstream.adapters

    async def chat(self, body: ChatBody) -> AsyncGenerator[Json]:
        chain = chain_of(body, adapter_of(self, body.model)) if self._chooses(body.answers) else None
        with self._slots.taken(chain) as slot:
            answer = self._upstream.chat(body.model_copy(update={FIELD: slot}))
            async with aclosing(answer) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def completion(self, body: Json) -> AsyncGenerator[Json]:
        chooses = self._chooses(body.get("n") or 1)
        chain = chain_of_text(body["prompt"], adapter_of(self, body.get("model"))) if chooses else None
        with self._slots.taken(chain) as slot:
            answer = self._upstream.completion(body | {FIELD: slot})
            async with aclosing(answer) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def ready(self) -> bool:
        return await self._upstream.ready()

    def _chooses(self, answers: int) -> bool:
        """Several answers to one prompt have several slots, and share what they begin with: llama.cpp sees to that."""
        return bool(self.adapters) and answers == 1


class Slots:
    """What each slot has in its cache, as far as can be told from outside: a wrong guess costs time, nothing else."""

    def __init__(self, slots: int) -> None:
        self._free = {number: Chain(()) for number in range(slots)}
        """In the order in which they became free."""
        self._unknown = 0
        """Requests that run somewhere."""

    @contextmanager
    def taken(self, chain: Chain | None) -> Generator[int]:
        """The slot with the longest beginning of the chain, else the one that was used longest ago.

        ANY without a chain, and as long as nobody knows which slots are taken.
        """
        if chain is None or self._unknown or not self._free:
            with self._somewhere():
                yield ANY
            return
        slot = max(self._free, key=lambda number: self._free[number].shared(chain))
        del self._free[slot]
        try:
            yield slot
        finally:
            self._free[slot] = chain

    @contextmanager
    def _somewhere(self) -> Generator[None]:
        self._unknown += 1
        try:
            yield
        finally:
            self._unknown -= 1
