"""The queue: so many at once, so many waiting, everybody in turn."""

import asyncio

import pytest

from patchwright.serving.queue import FairQueue, QueueFull


class Work:
    """Requests that note when they are let in, and run until they are told to end."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.admitted: list[str] = []
        self._end: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, name: str, answers: int = 1) -> None:
        """The owner is the name's first letter."""
        self._end[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._run(name, answers))
        await settled()

    async def refused(self, name: str) -> None:
        if name not in self._tasks:
            await self.ask(name)
        await asyncio.wait_for(self._tasks[name], 1)

    async def end(self, name: str) -> None:
        self._end[name].set()
        await self._tasks[name]
        await settled()

    async def leave(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.wait({self._tasks[name]})
        await settled()

    async def _run(self, name: str, answers: int) -> None:
        async with self.queue.place(name[0], answers):
            self.admitted.append(name)
            await self._end[name].wait()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_as_many_run_as_there_are_slots() -> None:
    work = Work(FairQueue(slots=2, waiting=5))
    for name in ("a1", "a2", "a3"):
        await work.ask(name)
    assert (work.admitted, work.queue.running, work.queue.waiting) == (["a1", "a2"], 2, 1)
    await work.end("a1")
    assert (work.admitted, work.queue.running, work.queue.waiting) == (["a1", "a2", "a3"], 2, 0)


async def test_who_has_most_gives_up_its_newest_place_to_who_has_fewer() -> None:
    work = Work(FairQueue(slots=2, waiting=2))
    for name in ("a1", "a2", "a3", "a4"):
        await work.ask(name)
    with pytest.raises(QueueFull):
        await work.refused("a5")
    await work.ask("b1")
    with pytest.raises(QueueFull):
        await work.refused("a4")
    assert (work.queue.running, work.queue.waiting) == (2, 2)
    with pytest.raises(QueueFull):  # nor is b1 turned out again by who has more
        await work.refused("a6")
    await work.end("a1")
    await work.end("a2")
    assert work.admitted == ["a1", "a2", "a3", "b1"]
    await work.end("a3")
    await work.end("b1")
    assert (work.queue.running, work.queue.waiting) == (0, 0)


async def test_owners_take_turns() -> None:
    """Who asks a lot does not keep others waiting."""
    work = Work(FairQueue(slots=1, waiting=9))
    for name in ("a1", "a2", "a3", "a4", "b1", "c1", "b2"):
        await work.ask(name)
    for name in ("a1", "a2", "b1", "c1", "a3", "b2"):
        await work.end(name)
    assert work.admitted == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]


async def test_who_finds_the_queue_full_is_told_when_to_come_back() -> None:
    work = Work(FairQueue(slots=1, waiting=1))
    await work.ask("a1")
    await work.ask("b1")
    with pytest.raises(QueueFull) as full:
        async with work.queue.place("c", 1):
            pass
    assert full.value.retry_after_s > 0
    await work.end("a1")
    assert work.admitted == ["a1", "b1"]


async def test_who_leaves_while_waiting_is_passed_over() -> None:
    work = Work(FairQueue(slots=1, waiting=5))
    for name in ("a1", "b1", "c1"):
        await work.ask(name)
    await work.leave("b1")
    await work.end("a1")
    assert (work.admitted, work.queue.running, work.queue.waiting) == (["a1", "c1"], 1, 0)


async def test_who_leaves_while_running_gives_the_place_to_the_next() -> None:
    work = Work(FairQueue(slots=1, waiting=5))
    await work.ask("a1")
    await work.ask("b1")
    await work.leave("a1")
    assert (work.admitted, work.queue.running) == (["a1", "b1"], 1)


async def test_several_answers_take_several_slots_and_are_not_passed_by_small_requests() -> None:
    work = Work(FairQueue(slots=3, waiting=5))
    await work.ask("a1", answers=2)
    await work.ask("b1", answers=3)
    await work.ask("c1", answers=1)
    assert (work.admitted, work.queue.running, work.queue.waiting) == (["a1"], 2, 2)
    await work.end("a1")
    await work.end("b1")
    assert work.admitted == ["a1", "b1", "c1"]


async def test_where_a_large_request_made_room_nobody_waits_behind_it() -> None:
    work = Work(FairQueue(slots=4, waiting=1))
    await work.ask("a1")
    await work.ask("a2", answers=4)
    await work.ask("b1")
    assert work.admitted == ["a1", "b1"]
    with pytest.raises(QueueFull):
        await work.refused("a2")


async def test_who_leaves_in_the_moment_in_which_a_place_is_free_takes_none() -> None:
    """Cancelled, it is still in the queue when the slot is given away."""
    work = Work(FairQueue(slots=1, waiting=5))
    for name in ("a1", "b1", "c1"):
        await work.ask(name)
    work._end["a1"].set()
    work._tasks["b1"].cancel()
    await settled()
    assert (work.admitted, work.queue.running, work.queue.waiting) == (["a1", "c1"], 1, 0)


async def test_admitted_and_cancelled_in_the_same_moment_loses_no_slot() -> None:
    work = Work(FairQueue(slots=1, waiting=5))
    await work.ask("a1")
    await work.ask("b1")
    work._end["a1"].set()
    await asyncio.wait({work._tasks["a1"]})
    await work.leave("b1")
    assert (work.queue.running, work.queue.waiting) == (0, 0)


async def test_with_fewer_slots_what_runs_ends_before_others_are_let_in() -> None:
    work = Work(FairQueue(slots=2, waiting=5))
    for name in ("a1", "a2", "a3"):
        await work.ask(name)
    work.queue.resize(1)
    await work.end("a1")
    assert (work.admitted, work.queue.running, work.queue.waiting) == (["a1", "a2"], 1, 1)
    await work.end("a2")
    assert work.admitted == ["a1", "a2", "a3"]


async def test_more_slots_let_in_who_waits() -> None:
    work = Work(FairQueue(slots=1, waiting=5))
    for name in ("a1", "a2", "a3"):
        await work.ask(name)
    work.queue.resize(3)
    await settled()
    assert (work.admitted, work.queue.running) == (["a1", "a2", "a3"], 3)
