"""What the lines of a resolution claim is what was seen."""

import pytest

from patchwright.cli.resolve_views import lines_of, report
from patchwright.resolve.state import ResolveState
from patchwright.schema.events import Judged, Proposed, Reproduced, ResolveFinished, Sampled
from patchwright.schema.messages import Usage
from patchwright.schema.resolution import Candidate, Reproduction, Verdict

CANDIDATE = Candidate(id=1, source="mechanical", path="sums.py", patch="", key="k")
PROGRAM = Reproduction(source="model", command="python $REPRODUCTION", script="assert add(2, 3) == 5", failure="")
FINISHED = ResolveFinished(
    word="plausible",
    reason="done",
    candidate=1,
    patch="",
    why="the only plausible one of 1 candidates",
    seconds={},
    usage=Usage(),
    duration_s=1.0,
)


def sampled(problems: tuple[str, ...], unusable: int) -> Sampled:
    return Sampled(
        asked="line 7 of m.py", answers=4, unusable=unusable, problems=problems, usage=Usage(), duration_s=2.0
    )


@pytest.mark.parametrize(
    ("reproduced", "outcome"),
    [(True, "passes after"), (None, "passes after, which proves nothing of a mechanical edit")],
)
def test_a_reproduction_that_proves_nothing_is_not_said_to_fail(reproduced: bool | None, outcome: str) -> None:
    verdict = Verdict(candidate=1, reproduced=reproduced, duration_s=1.0)
    state = ResolveState([Reproduced(reproduction=PROGRAM), Proposed(candidate=CANDIDATE), Judged(verdict=verdict)])
    wanted = f"reproduction: failed before, {outcome}: a program that the model wrote"
    assert [line for line in report(FINISHED, state) if line.startswith("reproduction")] == [wanted]


def test_answers_that_cannot_be_used_are_counted_though_they_share_a_problem() -> None:
    asked = "asked for line 7 of m.py: 4 answers in 2.0 s"
    assert lines_of(sampled(("it does not parse",), 3), ResolveState()) == [f"{asked}, 3 unusable"]
    assert lines_of(sampled((), 0), ResolveState()) == [asked]
