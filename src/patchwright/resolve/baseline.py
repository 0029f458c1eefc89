"""The baseline: what the user's tests do on the untouched tree, and which of them can be relied on."""

from dataclasses import dataclass

from patchwright.repo.testing.compare import failing, flaky
from patchwright.repo.testing.nearest import narrowed
from patchwright.repo.testing.suite import Suite
from patchwright.resolve.budget import TEST_S
from patchwright.resolve.judge import Trees
from patchwright.schema.events import BaselineRun
from patchwright.schema.resolution import SuiteRun

HUNG_S = 1.0
"""One that hung need not hang for long again to show where."""


@dataclass(frozen=True)
class Baseline:
    """Runs tests, each time on an untouched tree. Raises SandboxError."""

    trees: Trees

    async def run(self, command: str, time_s: float) -> tuple[SuiteRun | None, BaselineRun]:
        """The tests, and, where time allows, once more with the lines that they execute."""
        first = await self._ran(command, time_s)
        left_s = time_s - first.duration_s
        if first.timed_out or left_s < first.duration_s:
            return None, BaselineRun(suite=first, stable=None)
        traced = await self.traced(first, left_s)
        # Tracing is slow on old Pythons: a test that only ran out of time then is not flaky.
        unstable = {test for test in flaky(first, traced) if traced.outcomes.get(test) != "timed_out"}
        return traced, BaselineRun(suite=first, flaky=tuple(sorted(unstable)), stable=_is_stable(first, traced))

    async def traced(self, suite: SuiteRun, time_s: float) -> SuiteRun:
        """The suite once more, with the lines that its tests execute."""
        return await self._ran(suite.command, time_s, suite, trace=True)

    async def failing_again(self, baseline: BaselineRun, time_s: float) -> BaselineRun:
        """With what failed by chance set aside: of a suite that takes long, only the files that hold what failed run
        once more."""
        suite = baseline.suite
        files = dict.fromkeys(test.partition("::")[0] for test in failing(suite))
        again = await self._ran(narrowed(suite.command, list(files)) or suite.command, time_s, suite)
        by_chance = set(failing(suite)) - set(failing(again))
        stable = bool(suite.outcomes) or not (again.passed or again.timed_out)
        return BaselineRun(suite=suite, flaky=tuple(sorted(by_chance | set(baseline.flaky))), stable=stable)

    async def _ran(
        self, command: str, time_s: float, earlier: SuiteRun | None = None, *, trace: bool = False
    ) -> SuiteRun:
        hung = earlier is not None and "timed_out" in earlier.outcomes.values()
        async with self.trees.open() as sandbox:
            suite = Suite(command, sandbox)
            return await suite.run(timeout_s=time_s, test_timeout_s=HUNG_S if hung else TEST_S, trace=trace)


def _is_stable(first: SuiteRun, again: SuiteRun) -> bool | None:
    """See BaselineRun. A second run that was cut short confirms the failures that it came to, and no others."""
    if not again.timed_out:
        return first.passed == again.passed
    confirmed = bool(first.outcomes) and again.outcomes.keys() >= set(failing(first))
    return True if first.passed or confirmed else None
