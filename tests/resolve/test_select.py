"""Selection follows the evidence, and is the same for the same evidence."""

import random

from patchwright.resolve.select import selected, why
from patchwright.schema.resolution import Candidate, Verdict


def candidate(number: int, logprob: float | None = None, added: int = 1) -> Candidate:
    patch = "--- a/x.py\n+++ b/x.py\n" + "+line\n" * added
    return Candidate(id=number, source="model", path="x.py", patch=patch, key=str(number), logprob=logprob)


def verdict(number: int, reproduced: bool | None, broken: tuple[str, ...] = (), checked: bool = True) -> Verdict:
    return Verdict(candidate=number, reproduced=reproduced, broken=broken, regressions_checked=checked, duration_s=0)


def test_the_words_that_evidence_earns() -> None:
    assert verdict(1, True).word == "verified"
    assert verdict(1, None).word == "plausible"
    assert verdict(1, None, checked=False).word == "unverified"
    assert verdict(1, False).word == "wrong"
    assert verdict(1, True, ("t",)).word == "wrong"


def test_the_verdict_comes_before_votes_and_sureness() -> None:
    candidates = [candidate(1, logprob=-0.1), candidate(2, logprob=-2.0)]
    verdicts = {1: verdict(1, None), 2: verdict(2, True)}
    assert selected(candidates, verdicts, {1: 9, 2: 1}) == candidates[1]


def test_then_agreement_then_sureness_then_the_smaller_patch() -> None:
    verdicts = {number: verdict(number, True) for number in (1, 2, 3)}
    unsure, sure, small = candidate(1, -2.0, 1), candidate(2, -0.5, 9), candidate(3, -0.5, 3)
    assert selected([unsure, sure, small], verdicts, {1: 2, 2: 1, 3: 1}) == unsure
    assert selected([unsure, sure, small], verdicts, {}) == small
    assert selected([unsure, sure], verdicts, {}) == sure


def test_what_is_wrong_or_was_not_tried_is_never_selected() -> None:
    candidates = [candidate(1), candidate(2)]
    assert selected(candidates, {1: verdict(1, False)}, {2: 5}) is None


def test_the_order_of_arrival_of_verdicts_changes_nothing() -> None:
    candidates = [candidate(number, logprob=-1.0) for number in range(1, 9)]
    verdicts = [verdict(number, number % 2 == 0) for number in range(1, 9)]
    shuffled = random.Random(3).sample(verdicts, len(verdicts))
    assert selected(candidates, {v.candidate: v for v in shuffled}, {}) == candidates[1]


def test_why_says_how_many_there_were() -> None:
    candidates = [candidate(1), candidate(2), candidate(3)]
    verdicts = {1: verdict(1, True), 2: verdict(2, True), 3: verdict(3, False)}
    assert (
        why(candidates[0], candidates, verdicts, 3) == "the best of 2 verified ones of 3 candidates, proposed 3 times"
    )
    assert why(candidates[0], candidates[:1], verdicts, 1) == "the only verified one of 1 candidates"
