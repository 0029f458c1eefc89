"""Several upstreams with one model as one: a conversation goes where its beginning is cached, if that is not busy."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from types import MappingProxyType
from typing import Self

from prometheus_client import CollectorRegistry

from patchwright.errors import ConfigError
from patchwright.schema.messages import Json
from patchwright.serving.body import ChatBody
from patchwright.serving.circuit import FIRST_PAUSE_S, Circuit
from patchwright.serving.metrics import UpstreamMetrics
from patchwright.serving.prefixes import TABLE_BLOCKS, Chain, PrefixTable, chain_of, chain_of_text
from patchwright.serving.problems import BUSY, ENGINE, UNAVAILABLE, Problem
from patchwright.serving.silence import SILENCE_S, watched
from patchwright.serving.upstream import Upstream, adapter_of

LOAD_FACTOR = 1.5
LOAD_SLACK = 2
"""An upstream is too busy for its own conversations with more answers than this factor of the least busy one's, and
this many: bounded loads, as in https://arxiv.org/abs/1608.01350, with room for what is not worth computing anew."""

_UPSTREAMS_OWN = (BUSY, ENGINE, UNAVAILABLE)
"""Problems that another upstream may not have. The others are the request's."""

logger = logging.getLogger(__name__)

OnSlots = Callable[[int], None]
Ask = Callable[[Upstream], AsyncGenerator[Json]]


class Balanced:
    """Satisfies Upstream. Each of the upstreams, which have names, works on up to `slots` answers without a queue.

    A request whose upstream fails before its first chunk is sent to another one; after it, the error is passed on.
    One that fails or hangs is set aside, and probed until it answers.
    """

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        slots: int,
        registry: CollectorRegistry,
        first_pause_s: float,
        silence_s: float,
        on_slots: OnSlots,
    ) -> None:
        self.model = _only_model(upstreams)
        self._slots = slots
        self._silence_s = silence_s
        self._on_slots = on_slots
        self._backends = [Backend(name, each, Circuit(first_pause_s)) for name, each in upstreams.items()]
        self._prefixes = PrefixTable(TABLE_BLOCKS)
        self._recoveries: dict[str, asyncio.Task[None]] = {}
        self._metrics = UpstreamMetrics(registry)
        for each in self._backends:
            self._metrics.watch(each.name, lambda each=each: each.running, lambda each=each: not each.is_set_aside)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        upstreams: Mapping[str, Upstream],
        slots: int,
        registry: CollectorRegistry,
        *,
        absent: Mapping[str, str] = MappingProxyType({}),
        first_pause_s: float = FIRST_PAUSE_S,
        silence_s: float = SILENCE_S,
        on_slots: OnSlots = lambda _: None,
    ) -> AsyncGenerator[Self]:
        """absent: those that do not answer yet, and why. first_pause_s: until one that has failed is probed.
        silence_s: until one that sends no chunk is. on_slots: hears of how many answers those that are there work at
        once, when that has changed.

        Raises ConfigError when they serve different models.
        """
        balanced = cls(upstreams, slots, registry, first_pause_s, silence_s, on_slots)
        for each in balanced._backends:
            if each.name in absent:
                balanced._failed(each, Problem(UNAVAILABLE, absent[each.name]))
        try:
            yield balanced
        finally:
            await balanced._close()

    @property
    def context_tokens(self) -> int | None:
        """The smallest window: a conversation may be sent to any of them."""
        windows = [each.upstream.context_tokens for each in self._backends]
        return min((window for window in windows if window is not None), default=None)

    @property
    def adapters(self) -> tuple[str, ...]:
        """Those that all of them have: a request may be sent to any."""
        first, *others = [each.upstream.adapters for each in self._backends]
        return tuple(name for name in first if all(name in other for other in others))

    async def chat(self, body: ChatBody) -> AsyncGenerator[Json]:
        chain = chain_of(body, adapter_of(self, body.model))
        async with aclosing(self._answer(chain, body.answers, lambda each: each.chat(body))) as chunks:
            async for chunk in chunks:
                yield chunk

    async def completion(self, body: Json) -> AsyncGenerator[Json]:
        chain = chain_of_text(body["prompt"], adapter_of(self, body.get("model")))
        async with aclosing(self._answer(chain, body.get("n") or 1, lambda each: each.completion(body))) as chunks:
            async for chunk in chunks:
                yield chunk

    async def ready(self) -> bool:
        """Whether any answers. Those that were set aside are probed all the time, and not asked once more."""
        asked = {asyncio.ensure_future(self._is_ready(each)) for each in self._backends if not each.is_set_aside}
        try:
            for first in asyncio.as_completed(asked):
                if await first:
                    return True
            return False
        finally:
            for each in asked:
                each.cancel()

    async def _is_ready(self, backend: "Backend") -> bool:
        if await backend.upstream.ready():
            return True
        self._failed(backend, Problem(UNAVAILABLE, "it does not answer"))
        return False

    async def _answer(self, chain: Chain, answers: int, ask: Ask) -> AsyncGenerator[Json]:
        problem = Problem(UNAVAILABLE, "no upstream answers")
        for backend in self._candidates(chain, answers):
            begun = False
            try:
                async with aclosing(self._from(backend, chain, answers, ask)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except Problem as error:
                if begun or error.kind not in _UPSTREAMS_OWN:
                    raise
                problem = error
        raise problem

    def _candidates(self, chain: Chain, answers: int) -> "Iterator[Backend]":
        """As long as they fail, the next: those that work, and when none does, those that were set aside: nothing is
        lost by asking, and an engine of ours is started again by it."""
        left = list(self._backends)
        while usable := [each for each in left if each.circuit.lets_in]:
            owner = self._prefixes.owner(chain)
            chosen = choose(usable, owner, answers, self._slots, self._prefixes)
            if chosen.name == owner:
                self._metrics.hit(chosen.name)
            left.remove(chosen)
            yield chosen
        left = [each for each in self._backends if each.circuit.state != "closed"]
        yield from sorted(left, key=lambda each: each.running)

    async def _from(self, backend: "Backend", chain: Chain, answers: int, ask: Ask) -> AsyncGenerator[Json]:
        self._prefixes.remember(chain, backend.name)
        self._metrics.asked(backend.name)
        backend.running += answers
        begun = False
        try:
            with backend.circuit.asked():
                answer = watched(backend.upstream, ask(backend.upstream), self._silence_s)
                async with aclosing(answer) as chunks:
                    async for chunk in chunks:
                        if not begun:
                            begun = True
                            self._succeeded(backend)
                        yield chunk
        except Problem as problem:
            self._failed(backend, problem)
            raise
        finally:
            backend.running -= answers

    def _succeeded(self, backend: "Backend") -> None:
        was_closed = backend.circuit.state == "closed"
        backend.circuit.succeeded()
        if not was_closed:
            self._tell_slots()

    def _failed(self, backend: "Backend", problem: Problem) -> None:
        """An upstream has not failed whose client asks for what cannot be."""
        if problem.kind not in _UPSTREAMS_OWN:
            return
        self._metrics.failed(backend.name)
        backend.circuit.failed(gone=problem.kind is UNAVAILABLE)
        running = self._recoveries.get(backend.name)
        if not backend.is_set_aside:
            return
        self._tell_slots()
        if running is None or running.done():
            logger.warning("%s is set aside until it answers: %s", backend.name, problem)
            self._recoveries[backend.name] = asyncio.create_task(self._recovered(backend))

    async def _recovered(self, backend: "Backend") -> None:
        """Probes it until it answers; it is used again then."""
        while backend.is_set_aside:
            await asyncio.sleep(backend.circuit.pause_s)
            backend.circuit.probed(answers=await _answers(backend))
        logger.warning("%s answers again", backend.name)

    def _tell_slots(self) -> None:
        """Of those whose circuit is closed: one that is back is tried with one request first. When none is, all are
        asked all the same, as if it were one."""
        there = sum(each.circuit.state == "closed" for each in self._backends)
        self._on_slots(self._slots * max(1, there))

    async def _close(self) -> None:
        for each in self._recoveries.values():
            each.cancel()
        await asyncio.gather(*self._recoveries.values(), return_exceptions=True)


async def _answers(backend: "Backend") -> bool:
    """Of one that has to be started, nobody knows what can go wrong: a full disk, too many open files."""
    try:
        return await backend.upstream.ready()
    except Exception:
        logger.exception("%s cannot be asked whether it is there", backend.name)
        return False


class Backend:
    """One of the upstreams, and what is known of it. `running`: answers that it works on."""

    def __init__(self, name: str, upstream: Upstream, circuit: Circuit) -> None:
        self.name = name
        self.upstream = upstream
        self.circuit = circuit
        self.running = 0

    @property
    def is_set_aside(self) -> bool:
        return self.circuit.state == "open"


def choose(usable: list[Backend], owner: str | None, answers: int, slots: int, prefixes: PrefixTable) -> Backend:
    """The prefix's owner, unless it is too busy for so many more answers; else the least busy, and of those the one
    that has least in its cache."""
    least = min(usable, key=lambda each: (each.running, prefixes.owned(each.name)))
    for each in usable:
        if each.name == owner:
            full = each.running + answers > slots and least.running + answers <= slots
            return least if full or each.running > LOAD_FACTOR * least.running + LOAD_SLACK else each
    return least


def _only_model(upstreams: Mapping[str, Upstream]) -> str:
    models = {name: upstream.model for name, upstream in upstreams.items()}
    if len(set(models.values())) > 1:
        served = ", ".join(f"{name} serves {model}" for name, model in models.items())
        raise ConfigError(f"the upstreams have different models: {served}", hint="name those of one model")
    return next(iter(models.values()))
