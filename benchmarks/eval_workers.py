"""How much faster two workers are than one, when the endpoint is not the limit: python benchmarks/eval_workers.py

Each attempt waits in a child process, as one does that waits for a model on another machine; grading waits, too. With
--busy it computes instead: then two workers need two cores that nobody else uses.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from patchwright.evals.base import Workspace
from patchwright.evals.run.directory import RunDirectory
from patchwright.evals.run.runner import Runner
from patchwright.evals.run.work import Here
from patchwright.evals.scaffolds.base import Outcome, Terms
from patchwright.evals.scaffolds.child import Child
from patchwright.schema.attempt import RunFacts
from patchwright.schema.instance import Grade, Instance, Prediction

BUSY = "import sys, time\nend = time.process_time() + float(sys.argv[1])\nwhile time.process_time() < end: pass"
IDLE = "import sys, time\ntime.sleep(float(sys.argv[1]))"


@dataclass(frozen=True)
class Waiting:
    """Benchmark and scaffold in one: nothing but time passes."""

    count: int
    seconds: float
    busy: bool
    name: str = "waiting"

    def instances(self) -> Sequence[Instance]:
        return [
            Instance(instance_id=f"w__{n}", repo="w/w", base_commit="", problem_statement="", patch="")
            for n in range(self.count)
        ]

    async def prepare(self, instance: Instance, directory: Path) -> Workspace:
        return Workspace(tree=directory, path=os.defpath)

    async def attempt(self, instance: Instance, workspace: Workspace, terms: Terms, directory: Path) -> Outcome:
        await self._pass_time(directory, self.seconds)
        return Outcome("done", "patch", self.seconds)

    async def grade(self, instance: Instance, prediction: Prediction, directory: Path) -> Grade:
        await self._pass_time(directory, self.seconds / 4)
        return Grade(instance_id=instance.instance_id, resolved=True)

    async def _pass_time(self, directory: Path, seconds: float) -> None:
        command = [sys.executable, "-I", "-S", "-c", BUSY if self.busy else IDLE, str(seconds)]
        await Child(command, directory, os.environ, directory / "log", directory / "log").run(600)


async def per_hour(waiting: Waiting, workers: int) -> float:
    facts = RunFacts(
        name="run",
        benchmark=waiting.name,
        model="none",
        scaffold=waiting.name,
        attempts=1,
        time_limit_s=600,
        instance_ids=tuple(instance.instance_id for instance in waiting.instances()),
    )
    with tempfile.TemporaryDirectory() as place:
        directory = RunDirectory(Path(place))
        started = time.monotonic()
        with directory.open(facts):
            runner = Runner(facts, waiting.instances(), directory, Here(waiting, waiting))
            made = [attempt async for attempt in runner.run(workers)]
        return len(made) / (time.monotonic() - started) * 3600


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--busy", action="store_true")
    arguments = parser.parse_args()
    waiting = Waiting(arguments.count, arguments.seconds, arguments.busy)
    one, two = await per_hour(waiting, 1), await per_hour(waiting, 2)
    print(f"one worker: {one:.0f} instances per hour; two: {two:.0f}; ratio {two / one:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
