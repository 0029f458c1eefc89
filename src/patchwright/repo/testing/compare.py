"""Two runs of a suite side by side: what failed, what a change broke, what it repaired, what cannot be relied on."""

from collections.abc import Set

from patchwright.schema.resolution import SuiteRun

_FAILING = ("failed", "error", "timed_out")


def failing(run: SuiteRun) -> tuple[str, ...]:
    """Tests that failed, could not be set up or collected, or ran out of time, in the order they ran."""
    return tuple(test for test, outcome in run.outcomes.items() if outcome in _FAILING)


def broken(before: SuiteRun, after: SuiteRun, flaky: Set[str] = frozenset()) -> tuple[str, ...]:
    """Tests that passed before and do not now, in the order they ran before.

    A test that has vanished is broken: its module no longer imports, or the run stopped before it. So is one that
    is skipped now: in the same sandbox only the change can have caused that (a guarded import that fails now, say),
    and a test that no longer looks shows nothing. SWE-bench counts both in the same way.
    """
    passed = (test for test, outcome in before.outcomes.items() if outcome == "passed")
    return tuple(test for test in passed if after.outcomes.get(test) != "passed" and test not in flaky)


def repaired(before: SuiteRun, after: SuiteRun) -> tuple[str, ...]:
    """Tests that failed before and pass now, in the order they ran before.

    A module that could not be collected before is repaired when its tests run now, and pass.
    """
    return tuple(test for test in failing(before) if has_passed(test, after))


def flaky(first: SuiteRun, second: SuiteRun) -> frozenset[str]:
    """Tests whose outcomes differ between two runs of the same tree, those that only one of them had included.

    What a run that was cut short did not come to tells nothing.
    """
    tests = first.outcomes.keys() | second.outcomes.keys()
    differing = {test for test in tests if first.outcomes.get(test) != second.outcomes.get(test)}
    not_reached = {test for run in (first, second) if run.timed_out for test in differing if test not in run.outcomes}
    return frozenset(differing - not_reached)


def has_passed(test: str, run: SuiteRun) -> bool:
    """Whether the test passed; for a module that could not be collected before, whether all of its tests did."""
    if test in run.outcomes:
        return run.outcomes[test] == "passed"
    inside = {outcome for other, outcome in run.outcomes.items() if other.startswith(f"{test}::")}
    return "passed" in inside and inside.isdisjoint(_FAILING)
