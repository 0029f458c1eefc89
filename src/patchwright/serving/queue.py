"""The queue in front of an engine: bounded, and fair between those who ask."""

import asyncio
import time
from collections import Counter, OrderedDict, deque
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

    Owners take turns: of those who wait, each gets one request through before any gets a second. When all places are
    taken, who has most gives up the newest to who has fewer.
    """

    def __init__(self, slots: int, waiting: int) -> None:
        self.slots = slots
        self._most_waiting = waiting
        self._free = slots
        self._waiting: OrderedDict[str, deque[_Place]] = OrderedDict()
        self._of: Counter[str] = Counter()
        """By owner, what runs and waits."""
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
        """Held while a request for so many answers, `slots` at most, runs. Raises QueueFull, at once or when somebody
        else is to have the place in the queue."""
        self._of[owner] += 1
        try:
            await self._admitted(owner, answers)
            started = time.monotonic()
            try:
                yield
            finally:
                self._mean_s += SMOOTHING * (time.monotonic() - started - self._mean_s)
                self._release(answers)
        finally:
            self._of[owner] -= 1
            self._of += Counter()  # forgets who has nothing

    async def _admitted(self, owner: str, answers: int) -> None:
        if not self._waiting and answers <= self._free:
            self._free -= answers
            return
        if self.waiting >= self._most_waiting:
            self._make_room(owner)
        place = _Place(answers)
        self._waiting.setdefault(owner, deque()).append(place)
        self._admit()  # who had to make room may have been in the way
        try:
            await place.admitted
        except asyncio.CancelledError:
            if place.admitted.done() and not place.admitted.cancelled() and not place.admitted.exception():
                self._release(answers)
            else:
                self._leave(owner, place)
            raise

    def _make_room(self, owner: str) -> None:
        """Raises QueueFull when nobody has more than the owner, this request counted."""
        full = QueueFull(self._mean_s * (1 + self.waiting / self.slots))
        most = max(self._waiting, key=self._of.__getitem__, default=owner)
        if self._of[most] <= self._of[owner]:
            raise full
        newest = self._waiting[most].pop()
        self._forget_if_empty(most)
        if not newest.admitted.done():
            newest.admitted.set_exception(full)

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
