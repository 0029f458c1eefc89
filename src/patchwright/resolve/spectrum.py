"""Spectrum-based fault localisation: lines that failing tests execute and passing ones do not."""

import math
from collections import Counter

from patchwright.repo.testing.files import is_test
from patchwright.schema.resolution import SuiteRun

FAILING = {"failed", "error", "timed_out"}


def suspiciousness(run: SuiteRun) -> dict[str, dict[int, float]]:
    """Ochiai's suspiciousness of each line that a failing test executed, by path, above 0 and up to 1.

    failed(line) / sqrt(failing tests · tests(line)), which led Abreu, Zoeteweij and van Gemund's comparison
    (TAICPART-MUTATION 2007). Counted are the tests whose lines are known; lines of test files are left out.
    """
    failing = [test for test in run.lines if _failed(run, test)]
    passing = [test for test in run.lines if run.outcomes.get(test) == "passed"]
    failed, passed = _executions(run, failing), _executions(run, passing)
    found: dict[str, dict[int, float]] = {}
    for (path, line), count in sorted(failed.items()):
        tests = count + passed[path, line]
        found.setdefault(path, {})[line] = count / math.sqrt(len(failing) * tests)
    return found


def _failed(run: SuiteRun, test: str) -> bool:
    """Where the command names no outcomes, its exit code speaks for all."""
    return run.outcomes[test] in FAILING if test in run.outcomes else not run.outcomes and not run.passed


def _executions(run: SuiteRun, tests: list[str]) -> Counter[tuple[str, int]]:
    """How many of the tests executed each line."""
    executions: Counter[tuple[str, int]] = Counter()
    for test in tests:
        for path, lines in run.lines[test].items():
            if not is_test(path):
                executions.update((path, line) for line in set(lines))
    return executions
