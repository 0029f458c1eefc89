"""Spectrum-based fault localisation: lines that failing tests execute and passing ones do not."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from patchwright.repo.testing.files import is_test
from patchwright.repo.testing.program import Executed
from patchwright.schema.resolution import SuiteRun

FAILING = {"failed", "error", "timed_out"}


def suspiciousness(run: SuiteRun | None, program: Executed | None = None) -> dict[str, dict[int, float]]:
    """Ochiai's suspiciousness of each line that something failing executed, by path, above 0 and up to 1.

    failed(line) / sqrt(failing tests · tests(line)), which led Abreu, Zoeteweij and van Gemund's comparison
    (TAICPART-MUTATION 2007). Counted are the tests whose lines are known, and `program`, which fails, where there is
    one; lines of test files are left out. What a process sets up once was there for every test, whichever of them
    came first and executed it.
    """
    lines = run.lines if run else {}
    failing = [lines[test] for test in lines if run and _failed(run, test)]
    if program and program.lines:
        failing.append(program.lines)
    passing = [lines[test] for test in lines if run and run.outcomes.get(test) == "passed"]
    failed, passed = _executions(failing), _executions(passing)
    set_up = _executions([program.set_up] if program else [])
    failed += set_up
    passed |= Counter(dict.fromkeys(set_up, len(passing)))
    found: dict[str, dict[int, float]] = {}
    for (path, line), count in sorted(failed.items()):
        tests = count + passed[path, line]
        found.setdefault(path, {})[line] = count / math.sqrt(len(failing) * tests)
    return found


def _failed(run: SuiteRun, test: str) -> bool:
    """Where the command names no outcomes, its exit code speaks for all."""
    return run.outcomes[test] in FAILING if test in run.outcomes else not run.outcomes and not run.passed


def _executions(tests: Sequence[Mapping[str, Sequence[int]]]) -> Counter[tuple[str, int]]:
    """How many of the tests executed each line."""
    executions: Counter[tuple[str, int]] = Counter()
    for lines_by_path in tests:
        for path, lines in lines_by_path.items():
            if not is_test(path):
                executions.update((path, line) for line in set(lines))
    return executions
