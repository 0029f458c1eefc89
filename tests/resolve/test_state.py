"""The state of a resolution: what its events add up to."""

from typing import Literal

from patchwright.resolve.state import ResolveState
from patchwright.schema.events import AnyEvent, Judged, Proposed, Reproduced
from patchwright.schema.resolution import Candidate, CandidateSource, Reproduction, Verdict

ASSERTED = "assert add(2, 3) == 5"


def made(number: int, source: CandidateSource) -> Proposed:
    candidate = Candidate(id=number, source=source, path="sums.py", patch=f"+{number}", key=str(number))
    return Proposed(candidate=candidate, source=source)


def again(first: Proposed, source: CandidateSource | None) -> Proposed:
    return Proposed(candidate=first.candidate, duplicate_of=first.candidate.id, source=source)


def program_of(source: Literal["issue", "model"], *events: AnyEvent) -> ResolveState:
    """All candidates make a program pass, and do the same."""
    reproduction = Reproduction(source=source, command="", script=ASSERTED, program=ASSERTED, failure="")
    state = ResolveState([Reproduced(reproduction=reproduction), *events])
    for number in state.candidates:
        state.add(Judged(verdict=Verdict(candidate=number, reproduced=True, outcomes=("6", "4"))))
    return state


def test_a_mechanical_edit_that_repeats_an_answer_is_no_vote_of_the_models() -> None:
    answer = made(1, "model")
    state = program_of("model", answer, again(answer, "mechanical"))
    assert (state.votes[1], state.agreement.support(1), state.verified) == (1, 1, False)


def test_an_answer_that_repeats_a_mechanical_edit_is_a_vote() -> None:
    edit = made(1, "mechanical")
    state = program_of("issue", edit, again(edit, "model"))
    assert (state.votes[1], state.agreement.support(1), state.verified) == (1, 2, True)


def test_all_mechanical_edits_of_a_group_count_once() -> None:
    answer = made(1, "model")
    state = program_of("issue", answer, again(answer, "mechanical"), made(2, "mechanical"))
    assert state.agreement.support(1) == 2


def test_in_an_older_record_who_made_a_candidate_proposed_it_again() -> None:
    answer = made(1, "model")
    assert program_of("issue", answer, again(answer, None)).votes == {1: 2}
