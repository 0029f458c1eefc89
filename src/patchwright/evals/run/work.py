"""The two halves of an attempt, each complete in itself, so that either can happen in another process."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from patchwright.evals.base import Benchmark
from patchwright.evals.grading import GRADING_LOG, REPORT
from patchwright.evals.scaffolds.base import Outcome, Scaffold, Terms
from patchwright.schema.instance import Grade, Instance, Prediction


@dataclass(frozen=True)
class Job:
    """One attempt to be made."""

    instance: Instance
    terms: Terms
    run: Path
    """The run's directory, which no sandbox shows, nor those of the runs beside it: the patches of others are there."""
    work: Path
    """Nothing is here before a half of it and nothing after it."""
    kept: Path
    """Where the attempt's logs stay."""


class Place(Protocol):
    """Where attempts are made."""

    async def rollout(self, job: Job) -> Outcome:
        """The scaffold's attempt. Raises whatever the scaffold or its environment fails with."""
        ...

    async def grade(self, job: Job, prediction: Prediction) -> Grade:
        """Raises whatever grading fails with."""
        ...


@dataclass(frozen=True)
class Here:
    """In this process; what takes time in an attempt are its child processes."""

    benchmark: Benchmark
    scaffold: Scaffold

    async def rollout(self, job: Job) -> Outcome:
        """Logs of an earlier try are gone."""
        async with _fresh(job.work) as directory:
            shutil.rmtree(job.kept, ignore_errors=True)
            job.kept.mkdir(parents=True)
            workspace = await self.benchmark.prepare(job.instance, directory)
            hiding = replace(workspace, hidden=(*workspace.hidden, job.run, *_runs_beside(job.run)))
            return await self.scaffold.attempt(job.instance, hiding, job.terms, job.kept)

    async def grade(self, job: Job, prediction: Prediction) -> Grade:
        if not prediction.model_patch.strip():
            return Grade(instance_id=job.instance.instance_id, resolved=False, problem="there is no patch")
        async with _fresh(job.work) as directory:
            try:
                return await self.benchmark.grade(job.instance, prediction, directory)
            finally:
                for file in (directory / GRADING_LOG, directory / REPORT):
                    if file.is_file():
                        await asyncio.to_thread(shutil.copyfile, file, job.kept / file.name)


@asynccontextmanager
async def _fresh(directory: Path) -> AsyncGenerator[Path]:
    """Empty at the beginning, gone at the end. Thousands of files are removed, which the other attempts need not wait
    for."""
    await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        yield directory
    finally:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def _runs_beside(run: Path) -> tuple[Path, ...]:
    """Other runs, perhaps of the same instances."""
    return tuple(facts.parent for facts in run.parent.glob("*/run.json") if facts.parent != run)
