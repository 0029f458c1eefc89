"""What a project's tests do on its right tree: what mutations are compared with."""

from collections.abc import Iterable
from dataclasses import dataclass

from patchwright.errors import BenchmarkError
from patchwright.evals.forge.mutations import Mutation
from patchwright.evals.forge.trial import Project
from patchwright.evals.grading import statuses
from patchwright.repo.testing.compare import flaky
from patchwright.repo.testing.files import is_test

LOG_PARSER = "parse_log_pytest"
FIRST_S = 600.0
"""The tests of a project may take so long, when nobody knows yet."""


@dataclass(frozen=True)
class Ground:
    """Tests that pass, each time, by pytest's ids and by the grader's; the lines that each executes; the time for all
    of them."""

    passing: tuple[str, ...]
    graded: frozenset[str]
    lines: dict[str, dict[str, frozenset[int]]]
    """By path, by test."""
    timeout_s: float

    @classmethod
    async def of(cls, project: Project) -> "Ground":
        """Raises BenchmarkError when nothing passes, or the grader would not see it; and SandboxError."""
        traced, first_log = await project.tested(FIRST_S, trace=True)
        again, log = await project.tested(FIRST_S)
        unstable = flaky(traced, again)
        passing = tuple(test for test, word in again.outcomes.items() if word == "passed" and test not in unstable)
        if not passing or again.timed_out:
            raise BenchmarkError(
                f"none of the tests of {project.tree.name} passes: {log.strip()[-1000:]}",
                hint="the test command has to run pytest, in the environment that the recipe describes",
            )
        # An id that holds the time of day is another one the next time.
        graded = _passed(first_log) & _passed(log)
        if not graded:
            raise BenchmarkError(
                f"{LOG_PARSER} sees none of {len(passing)} tests pass in the output of {project.test_command}",
                hint="pytest names the tests that pass when it is run with -rA",
            )
        return cls(passing, graded, _by_path(traced.lines, passing), timeout_s=20 + 4 * again.duration_s)

    @property
    def sources(self) -> tuple[str, ...]:
        """The project's own files that tests run through."""
        return tuple(path for path in self.lines if path.endswith(".py") and not is_test(path))

    def broken_in(self, log: str) -> frozenset[str]:
        """Tests that the grader does not see pass in this log, and does on the right tree."""
        return self.graded - _passed(log)

    def tests_of(self, mutation: Mutation) -> tuple[str, ...]:
        """Tests that run through the function that the mutation changes, past the line that defines it."""
        inside = frozenset(mutation.lines[1:] or mutation.lines)
        return tuple(test for test, lines in self.lines[mutation.path].items() if lines & inside)

    def lines_of(self, tests: Iterable[str]) -> int:
        """How many lines of the project's own the test executes that executes the fewest."""
        counts = [sum(len(self.lines[path].get(test, ())) for path in self.sources) for test in tests]
        return min(counts, default=0)


def _passed(log: str) -> frozenset[str]:
    return frozenset(test for test, word in statuses(LOG_PARSER, log).items() if word == "PASSED")


def _by_path(
    lines: dict[str, dict[str, tuple[int, ...]]], passing: tuple[str, ...]
) -> dict[str, dict[str, frozenset[int]]]:
    found: dict[str, dict[str, frozenset[int]]] = {}
    for test in passing:
        for path, numbers in lines.get(test, {}).items():
            found.setdefault(path, {})[test] = frozenset(numbers)
    return found
