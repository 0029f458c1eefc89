"""A benchmark and a scaffold whose every move is written beforehand; what is between them is the real runner."""

import asyncio
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from patchwright.errors import BenchmarkError
from patchwright.evals.base import Workspace
from patchwright.evals.run.directory import RunDirectory
from patchwright.evals.run.runner import Runner
from patchwright.evals.run.work import Here, Place
from patchwright.evals.scaffolds.base import Outcome, Terms
from patchwright.evals.scaffolds.child import Child
from patchwright.schema.attempt import Attempt, RunFacts
from patchwright.schema.instance import Grade, Instance, Prediction
from patchwright.schema.messages import Usage

Move = Literal["right", "wrong", "crash", "crash once", "error", "no grade"]


@dataclass(frozen=True)
class ScriptedBenchmark:
    """So many instances; a patch that says "right" resolves one."""

    count: int
    name: str = "scripted"

    def instances(self) -> Sequence[Instance]:
        return [
            Instance(instance_id=f"s__{n}", repo="s/s", base_commit="", problem_statement="?", patch="right")
            for n in range(self.count)
        ]

    async def prepare(self, instance: Instance, directory: Path) -> Workspace:
        tree = directory / "tree"
        tree.mkdir()
        return Workspace(tree=tree, path=os.defpath)

    async def grade(self, instance: Instance, prediction: Prediction, directory: Path) -> Grade:
        if prediction.model_patch == "no grade":
            raise BenchmarkError("the tests could not be started")
        (directory / "grading.log").write_text("graded")
        return Grade(instance_id=instance.instance_id, resolved=prediction.model_patch.startswith("right"))


@dataclass(frozen=True)
class ScriptedScaffold:
    """Makes the move that stands for the instance, else the right one, after a while."""

    moves: Mapping[str, Move] = field(default_factory=dict[str, Move])
    wait_s: float = 0.0
    """Spent in a child process."""
    patch_chars: int = 0
    log: Path | None = None
    """Gets a line for each attempt that begins, with the process that makes it."""
    name: str = "scripted"

    async def attempt(self, instance: Instance, workspace: Workspace, terms: Terms, directory: Path) -> Outcome:
        if self.log:
            with self.log.open("a") as log:
                log.write(f"{os.getpid()} {instance.instance_id} {terms.number}\n")
        if self.wait_s:
            await self._wait(directory)
        move = self.moves.get(instance.instance_id, "right")
        crashed = directory.parent / "crashed"
        if move == "crash" or (move == "crash once" and not crashed.exists()):
            crashed.touch()
            raise RuntimeError("it crashed")
        if move == "error":
            return Outcome("error", "right", 0.1, "it said so itself")
        patch = {"crash once": "right"}.get(move, move).ljust(self.patch_chars)
        return Outcome("done", patch, self.wait_s, uuid.uuid4().hex, steps=2, usage=Usage(prompt_tokens=10))

    async def _wait(self, directory: Path) -> None:
        output = directory / "scaffold.log"
        await Child(["sleep", str(self.wait_s)], directory, os.environ, output, output).run(60)


def facts_of(benchmark: ScriptedBenchmark, attempts: int = 1) -> RunFacts:
    return RunFacts(
        name="run",
        benchmark=benchmark.name,
        model="m",
        scaffold="scripted",
        attempts=attempts,
        time_limit_s=60,
        instance_ids=tuple(instance.instance_id for instance in benchmark.instances()),
    )


async def run_all(
    path: Path, benchmark: ScriptedBenchmark, scaffold: ScriptedScaffold, *, attempts: int = 1, workers: int = 1
) -> list[Attempt]:
    """The attempts that this call made, in the order in which they ended."""
    return await run_at(path, benchmark, Here(benchmark, scaffold), attempts=attempts, workers=workers)


async def run_at(
    path: Path, benchmark: ScriptedBenchmark, place: Place, *, attempts: int = 1, workers: int = 1
) -> list[Attempt]:
    facts, directory = facts_of(benchmark, attempts), RunDirectory(path)
    with directory.open(facts):
        runner = Runner(facts, benchmark.instances(), directory, place)
        return [attempt async for attempt in runner.run(workers)]


def table(path: Path) -> dict[tuple[str, int], tuple[str, bool]]:
    """What a report counts, by instance and attempt."""
    return {(a.instance_id, a.number): (a.exit_reason, a.resolved) for a in RunDirectory(path).attempts()}


async def main() -> None:
    """python -m tests.evals.scripted OUT COUNT WORKERS WAIT_S: a runner to be killed."""
    out, count, workers, wait_s = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    scaffold = ScriptedScaffold(wait_s=wait_s, log=out.with_suffix(".log"))
    await run_all(out, ScriptedBenchmark(count), scaffold, workers=workers)


if __name__ == "__main__":
    asyncio.run(main())
