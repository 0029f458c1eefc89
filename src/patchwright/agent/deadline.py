"""The end of a run that comes from outside: its time is up, or the user wants it to stop."""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from patchwright.schema.events import StopReason

T = TypeVar("T")


class Stopped(Exception):
    """Ends the run from wherever it is."""

    def __init__(self, reason: StopReason, message: str = "") -> None:
        super().__init__(message)
        self.reason: StopReason = reason


class Deadline:
    """Lets awaitables run until `time_s` have passed or `stop` is set, whichever comes first."""

    def __init__(self, time_s: float, stop: asyncio.Event) -> None:
        self._ends_at = time.monotonic() + time_s
        self._stop = stop

    async def within(self, awaitable: Awaitable[T]) -> T:
        """The awaitable's result. Raises Stopped, after the awaitable has been cancelled and has cleaned up."""
        work = asyncio.ensure_future(awaitable)
        stop = asyncio.create_task(self._stop.wait())
        try:
            if self.left_s() <= 0 or self._stop.is_set():  # or what is quick would never be stopped
                raise Stopped("interrupted" if self._stop.is_set() else "time_limit")
            await asyncio.wait({work, stop}, timeout=self.left_s(), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            raise Stopped("interrupted" if stop.done() else "time_limit")
        finally:
            await _cancel(work)
            await _cancel(stop)

    def left_s(self) -> float:
        return max(0.0, self._ends_at - time.monotonic())


async def _cancel(task: "asyncio.Future[T]") -> None:
    if task.done():
        return
    task.cancel()
    await asyncio.wait({task})
