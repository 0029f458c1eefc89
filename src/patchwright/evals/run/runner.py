"""The runner: makes the attempts that are not over yet, so many at once, and keeps each as it ends."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from patchwright.evals.run.directory import RunDirectory, prediction_of
from patchwright.evals.run.work import Job, Place
from patchwright.evals.scaffolds.base import Outcome, Terms
from patchwright.schema.attempt import Attempt, RunFacts
from patchwright.schema.instance import Grade, Instance

TRIES = 2
DETAIL_CHARS = 500

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Runner:
    """One run of a benchmark, in a directory that is held open."""

    def __init__(self, facts: RunFacts, instances: Sequence[Instance], directory: RunDirectory, place: Place) -> None:
        self._facts = facts
        self._instances = instances
        self._directory = directory
        self._place = place

    async def run(self, workers: int) -> AsyncGenerator[Attempt]:
        """Every attempt that was not over, as it ends. What goes on when this is closed is given up, and not kept."""
        going_on: set[asyncio.Task[Attempt]] = set()
        try:
            for job in self._jobs():
                going_on.add(asyncio.create_task(self._attempt(job)))
                if len(going_on) >= workers:
                    over, going_on = await asyncio.wait(going_on, return_when=asyncio.FIRST_COMPLETED)
                    for task in over:
                        yield task.result()
            for task in asyncio.as_completed(going_on):
                yield await task
        finally:
            for task in going_on:
                task.cancel()
            await asyncio.gather(*going_on, return_exceptions=True)

    def _jobs(self) -> Iterator[Job]:
        """Each instance once before any twice, so that a run which is cut short says something of them all."""
        for number in range(1, self._facts.attempts + 1):
            for instance in self._instances:
                if not self._directory.is_over(instance.instance_id, number):
                    yield self._job(instance, number)

    def _job(self, instance: Instance, number: int) -> Job:
        name = instance.instance_id
        return Job(
            instance=instance,
            terms=Terms(self._facts.time_limit_s, number),
            run=self._directory.path,
            work=self._directory.work / f"{name}-{number}",
            kept=self._directory.attempt_directory(name, number),
        )

    async def _attempt(self, job: Job) -> Attempt:
        outcome, tries = await self._rollout(job)
        grade, problem = await self._grade(job, outcome)
        attempt = Attempt(
            instance_id=job.instance.instance_id,
            number=job.terms.number,
            repo=job.instance.repo,
            exit_reason="error" if problem else outcome.exit_reason,
            detail=problem or outcome.detail[:DETAIL_CHARS],
            patch=outcome.patch,
            steps=outcome.steps,
            usage=outcome.usage,
            seconds=round(outcome.seconds, 3),
            tries=tries,
            grade=grade,
        )
        self._directory.keep(attempt)
        return attempt

    async def _rollout(self, job: Job) -> tuple[Outcome, int]:
        """The outcome and the number of tries: a crash is no answer before it has happened twice."""
        outcome = await _or_crash(lambda: self._place.rollout(job))
        if outcome.exit_reason != "error":
            return outcome, 1
        logger.warning("%s is tried once more: %s", job.instance.instance_id, outcome.detail)
        return await _or_crash(lambda: self._place.rollout(job)), TRIES

    async def _grade(self, job: Job, outcome: Outcome) -> tuple[Grade | None, str]:
        """The grade, or None and why there is none."""
        prediction = prediction_of(self._facts, job.instance.instance_id, outcome.patch)
        problem = ""
        for _ in range(TRIES):
            try:
                return await self._place.grade(job, prediction), ""
            except Exception as error:  # as in _or_crash
                problem = f"grading failed: {_words(error)}"
                logger.warning("%s: %s", job.instance.instance_id, problem)
        return None, problem


async def _or_crash(rollout: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Whatever one attempt fails with is its outcome: the thousand others go on."""
    started = time.monotonic()
    try:
        return await rollout()
    except Exception as error:
        return Outcome("error", patch="", seconds=time.monotonic() - started, detail=_words(error))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:DETAIL_CHARS]
