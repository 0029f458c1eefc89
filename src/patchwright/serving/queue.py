"""The queue in front of an engine: bounded, and fair between those who ask."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

FIRST_GUESS_S = 10.0
"""What a request is taken to last before one has ended."""
SMOOTHING = 0.2


class QueueFull(Exception):
    """As many are waiting as may. `retry_after_s`: when a place may be free, by how long requests took so far."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("the queue is full")
        self.retry_after_s = retry_after_s


class FairQueue:
    """Lets requests for up to `slots` answers run at once, and up to `waiting` others wait.

    Owners take turns: of those who wait, each gets one request through before any gets a second.
    """

    def __init__(self, slots: int, waiting: int) -> None:
        self.slots = slots
        self._most_waiting = waiting
        self._free = slots
        self._waiting: OrderedDict[str, deque[_Place]] = OrderedDict()
        self._mean_s = FIRST_GUESS_S

    @property
    def running(self) -> int:
        """Answers that are being worked on."""
        return self.slots - self._free

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(map(len, self._waiting.values()))

    def resize(self, slots: int) -> None:
        """So many from now on. What runs beyond them runs to its end."""
        self._free += slots - self.slots
        self.slots = slots
        self._admit()

    @asynccontextmanager
    async def place(self, owner: str, answers: int) -> AsyncGenerator[None]:
        """Held while a request for so many answers, `slots` at most, runs. Raises QueueFull at once."""
        await self._admitted(owner, answers)
        started = time.monotonic()
        try:
            yield
        finally:
            self._mean_s += SMOOTHING * (time.monotonic() - started - self._mean_s)
            self._release(answers)

    async def _admitted(self, owner: str, answers: int) -> None:
        if not self._waiting and answers <= self._free:
            self._free -= answers
            return
        if self.waiting >= self._most_waiting:
            raise QueueFull(self._mean_s * (1 + self.waiting / self.slots))
        place = _Place(answers)
        self._waiting.setdefault(owner, deque()).append(place)
        try:
            await place.admitted
        except asyncio.CancelledError:
            if place.admitted.done() and not place.admitted.cancelled():
                self._release(answers)
            else:
                self._leave(owner, place)
            raise

    def _release(self, answers: int) -> None:
        self._free += answers
        self._admit()

    def _leave(self, owner: str, place: "_Place") -> None:
        if place in self._waiting.get(owner, ()):
            self._waiting[owner].remove(place)
            self._forget_if_empty(owner)
        self._admit()

    def _admit(self) -> None:
        """The owner whose turn it is comes first, also with a large request: small ones would pass it for ever."""
        while self._waiting:
            owner, places = next(iter(self._waiting.items()))
            if places[0].admitted.done():  # cancelled, and not yet passed over by itself
                places.popleft()
                self._forget_if_empty(owner)
                continue
            if places[0].answers > self._free:
                return
            place = places.popleft()
            self._free -= place.answers
            self._waiting.move_to_end(owner)
            self._forget_if_empty(owner)
            place.admitted.set_result(None)

    def _forget_if_empty(self, owner: str) -> None:
        if not self._waiting[owner]:
            del self._waiting[owner]


class _Place:
    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
