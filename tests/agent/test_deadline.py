"""Work is cut off when the time is up or the user wants it to stop, and has cleaned up by then."""

import asyncio

import pytest

from patchwright.agent.deadline import Deadline, Stopped


async def endless(log: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        log.append("cleaned up")


async def test_time_is_up() -> None:
    log: list[str] = []
    with pytest.raises(Stopped) as stopped:
        await Deadline(0.01, asyncio.Event()).within(endless(log))
    assert (stopped.value.reason, log) == ("time_limit", ["cleaned up"])


async def test_the_user_stops_it() -> None:
    log: list[str] = []
    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    with pytest.raises(Stopped) as stopped:
        await Deadline(60, stop).within(endless(log))
    assert (stopped.value.reason, log) == ("interrupted", ["cleaned up"])


async def test_a_result_and_an_error_come_through() -> None:
    deadline = Deadline(60, asyncio.Event())
    assert await deadline.within(asyncio.sleep(0, result=7)) == 7
    with pytest.raises(ZeroDivisionError):
        await deadline.within(_fail())


async def _fail() -> None:
    raise ZeroDivisionError


async def test_what_is_quick_is_not_begun_any_more_when_the_time_is_up() -> None:
    deadline = Deadline(0, asyncio.Event())
    with pytest.raises(Stopped):
        await deadline.within(asyncio.sleep(0, result=7))
