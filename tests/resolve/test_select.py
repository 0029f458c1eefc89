"""Selection follows the evidence, and is the same for the same evidence."""

import random
from collections.abc import Mapping, Sequence

from patchwright.resolve.agreement import Agreement
from patchwright.resolve.select import selected, why
from patchwright.schema.resolution import Candidate, Verdict


def candidate(number: int, logprob: float | None = None, added: int = 1) -> Candidate:
    patch = "--- a/x.py\n+++ b/x.py\n" + "+line\n" * added
    return Candidate(id=number, source="model", path="x.py", patch=patch, key=str(number), logprob=logprob)


def verdict(
    number: int,
    reproduced: bool | None,
    broken: tuple[str, ...] = (),
    checked: bool = True,
    outcomes: tuple[str, ...] = (),
) -> Verdict:
    return Verdict(
        candidate=number,
        reproduced=reproduced,
        broken=broken,
        regressions_checked=checked,
        outcomes=outcomes,
        duration_s=0,
    )


def agreement(candidates: Sequence[Candidate], verdicts: Mapping[int, Verdict], votes: Mapping[int, int]) -> Agreement:
    return Agreement.of(None, candidates, verdicts, votes, frozenset())


def test_what_a_candidates_own_runs_show() -> None:
    assert verdict(1, True).finding == "repairs"
    assert verdict(1, None).finding == "harmless"
    assert verdict(1, None, checked=False).finding == "untested"
    assert verdict(1, False).finding == "wrong"
    assert verdict(1, True, ("t",)).finding == "wrong"


def test_the_word_comes_before_votes_and_sureness() -> None:
    candidates = [candidate(1, logprob=-0.1), candidate(2, logprob=-2.0)]
    verdicts = {1: verdict(1, None), 2: verdict(2, True)}
    assert selected(agreement(candidates, verdicts, {1: 9, 2: 1})) == candidates[1]


def test_then_agreement_then_sureness_then_the_smaller_patch() -> None:
    verdicts = {number: verdict(number, True) for number in (1, 2, 3)}
    unsure, sure, small = candidate(1, -2.0, 1), candidate(2, -0.5, 9), candidate(3, -0.5, 3)
    assert selected(agreement([unsure, sure, small], verdicts, {1: 2, 2: 1, 3: 1})) == unsure
    assert selected(agreement([unsure, sure, small], verdicts, {})) == small
    assert selected(agreement([unsure, sure], verdicts, {})) == sure


def test_candidates_that_do_the_same_support_each_other() -> None:
    alone, one, other = candidate(1, -0.1), candidate(2, -2.0), candidate(3, -0.5)
    same = ("1", "2")
    verdicts = {1: verdict(1, True, outcomes=("1", "3")), 2: verdict(2, True, outcomes=same)}
    found = agreement([alone, one, other], verdicts | {3: verdict(3, True, outcomes=same)}, {1: 1, 2: 1, 3: 1})
    assert selected(found) == other
    assert (found.support(3), found.others(3), found.rival(3)) == (2, 1, alone)


def test_outcomes_that_nobody_can_tell_agree_with_none() -> None:
    candidates = [candidate(1), candidate(2)]
    assert agreement(candidates, {n: verdict(n, True) for n in (1, 2)}, {1: 1, 2: 1}).support(1) == 1


def test_what_is_wrong_or_was_not_tried_is_never_selected() -> None:
    candidates = [candidate(1), candidate(2)]
    assert selected(agreement(candidates, {1: verdict(1, False)}, {2: 5})) is None


def test_the_order_of_arrival_of_verdicts_changes_nothing() -> None:
    candidates = [candidate(number, logprob=-1.0) for number in range(1, 9)]
    verdicts = [verdict(number, number % 2 == 0) for number in range(1, 9)]
    shuffled = random.Random(3).sample(verdicts, len(verdicts))
    assert selected(agreement(candidates, {v.candidate: v for v in shuffled}, {})) == candidates[1]


def test_why_says_how_many_there_were() -> None:
    candidates = [candidate(1), candidate(2), candidate(3)]
    found = agreement(candidates, {1: verdict(1, True), 2: verdict(2, True), 3: verdict(3, False)}, {1: 3})
    assert why(candidates[0], 3, found) == "the best of 2 verified ones of 3 candidates, on which 3 proposals agree"
    alone = agreement(candidates[:1], {1: verdict(1, True)}, {1: 1})
    assert why(candidates[0], 1, alone) == "the only verified one of 1 candidates"
