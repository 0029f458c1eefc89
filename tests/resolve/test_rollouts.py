"""Runs of the agent as candidates: what of their patches is taken."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from patchwright.agent.deadline import Stopped
from patchwright.resolve.budget import Budget
from patchwright.resolve.resolution import Plan
from patchwright.resolve.rollouts import Rollouts, Turn, sampling
from patchwright.resolve.state import ResolveState
from patchwright.schema.events import BaselineRun, Judged, Localised, RunFinished
from patchwright.schema.messages import Sampling, Usage
from patchwright.schema.resolution import SuiteRun
from tests.conftest import git

from .workshop import PYTEST, SOURCE, finish_of, of_kind, resolve, sums

DOCTESTED = SOURCE.replace("b):\n", 'b):\n    """Add.\n\n    >>> add(2, 3)\n    5\n    """\n')
CHECKS = "from sums import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"


@dataclass
class Written:
    """A rollout that hands over a patch as it was written."""

    patch: str
    times_s: list[float] = field(default_factory=list[float])

    async def __call__(self, issue: str, turn: Turn) -> RunFinished:
        self.times_s.append(turn.time_s)
        return RunFinished(reason="done", message="", patch=self.patch, steps=1, usage=Usage(), duration_s=0.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Its tests lie where pytest is told to look, and in the docstrings of the program."""
    root = sums(tmp_path, tests="")
    (root / "sums.py").write_text(DOCTESTED)
    (root / "checks").mkdir()
    (root / "checks" / "check_x.py").write_text(CHECKS)
    (root / "setup.cfg").write_text("[tool:pytest]\npython_files = check_*.py\naddopts = --doctest-modules\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=tests")
    return root


def patch_of(root: Path, **texts: str) -> str:
    """What git says of these new texts, by file."""
    for path, text in texts.items():
        (root / path).write_text(text)
    patch = git(root, "diff")
    git(root, "checkout", "--quiet", ".")
    return patch


async def test_a_file_with_tests_is_not_changed_and_one_with_doctests_is(root: Path) -> None:
    fix = patch_of(root, **{"sums.py": DOCTESTED.replace("a - b", "a + b")})
    patch = patch_of(root, **{"checks/check_x.py": CHECKS.replace("5", "-1")}) + fix
    issue, strategy = "`add` is wrong, says `test_add`.", Rollouts(Written(patch), PYTEST, Budget(120))
    events = await resolve(root, [], Plan(PYTEST), strategy=strategy, issue=issue)
    assert {place.path for place in of_kind(events, Localised)[0].locations} == {"sums.py"}
    assert (finish_of(events).word, finish_of(events).patch) == ("verified", fix)


async def test_a_doctest_that_fails_is_not_written_anew(root: Path) -> None:
    git(root, "rm", "--quiet", "-r", "checks")
    git(root, "commit", "--quiet", "--message=no other tests")
    patch = patch_of(root, **{"sums.py": DOCTESTED.replace("    5\n", "    -1\n")})
    strategy, plan = Rollouts(Written(patch), PYTEST, Budget(120)), Plan(PYTEST, candidates=1)
    events = await resolve(root, [], plan, strategy=strategy, issue="`add` is wrong.")
    [judged] = of_kind(events, Judged)
    assert "it changes the examples of a doctest in sums.py" in judged.verdict.failure
    assert finish_of(events).word == "none"


SUITE = SuiteRun(
    command="pytest checks/",
    exit_code=1,
    outcomes={"checks/check_x.py::test_add": "failed"},
    output="",
    duration_s=20.0,
)


async def test_a_rollout_that_changes_nothing_but_tests_is_no_candidate() -> None:
    patch = "diff --git a/checks/check_x.py b/checks/check_x.py\n--- a/checks/check_x.py\n+++ b/checks/check_x.py\n"
    strategy = Rollouts(Written(f"{patch}@@ -1 +1 @@\n-x\n+y\n"), SUITE.command, Budget(100))
    batch = await anext(strategy.batches("", ResolveState([BaselineRun(suite=SUITE)])))
    assert (batch.drafts, batch.sampled and batch.sampled.problems) == ((), ("no change was made (done)",))


async def test_a_rollout_ends_while_its_patch_can_still_be_judged() -> None:
    rollout = Written("")
    await anext(Rollouts(rollout, SUITE.command, Budget(100)).batches("", ResolveState([BaselineRun(suite=SUITE)])))
    assert rollout.times_s == [pytest.approx(50, abs=1)]
    with pytest.raises(Stopped) as stopped:
        await anext(Rollouts(rollout, None, Budget(5)).batches("", ResolveState()))
    assert (stopped.value.reason, len(rollout.times_s)) == ("time_limit", 1)


def test_no_rollout_draws_as_another_does() -> None:
    usual = Sampling(temperature=0.15)
    drawn = [sampling(usual, 7, number) for number in (1, 2, 3, 4)]
    assert [each.temperature for each in drawn] == [0.15, 0.4, 0.7, 0.4]
    assert [each.seed for each in drawn] == [7, 8, 9, 10]
    assert sampling(Sampling(temperature=0.5), 0, 2).temperature == 0.5


async def test_a_resolution_that_is_taken_up_goes_on_with_the_next_number() -> None:
    turns: list[tuple[int, int | None]] = []

    async def rollout(issue: str, turn: Turn) -> RunFinished:
        turns.append((turn.number, turn.tokens))
        usage = Usage(prompt_tokens=30, completion_tokens=10)
        return RunFinished(reason="done", message="", patch="", steps=1, usage=usage, duration_s=0.0)

    state = ResolveState()
    batches = Rollouts(rollout, None, Budget(100), tokens=100).batches("", state)
    for _ in range(2):
        batch = await anext(batches)
        assert batch.sampled
        state.add(batch.sampled)
    await anext(Rollouts(rollout, None, Budget(100), tokens=100).batches("", state))
    assert turns == [(1, 100), (2, 60), (3, 20)]
