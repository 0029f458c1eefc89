"""What the lines of a resolution claim is what was seen."""

from patchwright.cli.resolve_views import lines_of, report
from patchwright.resolve.state import ResolveState
from patchwright.schema.events import BaselineRun, Judged, Proposed, Reproduced, ResolveFinished, Sampled
from patchwright.schema.messages import Usage
from patchwright.schema.resolution import Candidate, Reproduction, SuiteRun, Verdict

CANDIDATE = Candidate(id=1, source="mechanical", path="sums.py", patch="", key="k")
ASSERTED = "assert add(2, 3) == 5"
PROGRAM = Reproduction(
    source="issue", command="python $REPRODUCTION", script=ASSERTED, program=ASSERTED, failure="AssertionError"
)
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


def test_what_agrees_and_what_differs_is_shown() -> None:
    """`add` as a sum and as a product plus one."""
    other = CANDIDATE.model_copy(update={"id": 2, "source": "model", "key": "l"})
    events = [Reproduced(reproduction=PROGRAM), Proposed(candidate=CANDIDATE), Proposed(candidate=other)]
    verdicts = [
        Verdict(candidate=1, reproduced=True, outcomes=("6", "4"), duration_s=1.0),
        Verdict(candidate=2, reproduced=True, outcomes=("6", "3"), duration_s=1.0),
    ]
    state = ResolveState([*events, *(Judged(verdict=verdict) for verdict in verdicts)])
    lines = report(FINISHED, state)
    at = lines.index("reproduction: failed before, passes after: the code in the issue")
    assert lines[at + 1 : at + 7] == [
        "    assert add(2, 3) == 5",
        "agreement: 1 proposals agree on 2 variations of the program, 1 others pass and differ",
        "candidate 2 differs, for example with",
        "    print(repr(add(2, 4)))",
        "    this one: 4",
        "    candidate 2: 3",
    ]


def test_a_test_command_that_runs_none_is_named() -> None:
    suite = SuiteRun(command="pytes -q", exit_code=127, output="bash: pytes: command not found", duration_s=0.1)
    baseline = BaselineRun(suite=suite)
    verdict = Verdict(candidate=1, reproduced=None)
    state = ResolveState([baseline, Proposed(candidate=CANDIDATE), Judged(verdict=verdict)])
    said = "no tests were run, for the command ends with 127 before any: pytes -q"
    assert lines_of(baseline, state) == [f"before: {said}"]
    assert said in report(FINISHED, state)


def test_answers_that_cannot_be_used_are_counted_though_they_share_a_problem() -> None:
    asked = "asked for line 7 of m.py: 4 answers in 2.0 s"
    assert lines_of(sampled(("it does not parse",), 3), ResolveState()) == [f"{asked}, 3 unusable"]
    assert lines_of(sampled((), 0), ResolveState()) == [asked]
