"""When a run is judged to go round in circles."""

import pytest

from patchwright.agent.stuck import Outcome, is_stuck


def outcomes(text: str, *, failed: bool = False) -> list[Outcome]:
    """Each letter a call with an observation of its own."""
    return [Outcome(letter, letter * 2, failed) for letter in text]


@pytest.mark.parametrize("text", ["aaaa", "xyaaaa", "abababab", "xabababab"])
def test_repetition_is_stuck(text: str) -> None:
    assert is_stuck(outcomes(text))


@pytest.mark.parametrize("text", ["", "aaa", "aaab", "abababa", "abcabcabc", "aabbaabb"])
def test_progress_is_not_stuck(text: str) -> None:
    assert not is_stuck(outcomes(text))


def test_the_same_call_with_other_results_is_not_stuck() -> None:
    assert not is_stuck([Outcome("pytest", str(n), failed=False) for n in range(8)])


def test_the_same_error_again_and_again_is_stuck_whatever_the_calls() -> None:
    assert is_stuck([Outcome(str(n), "no such file", failed=True) for n in range(5)])
    assert is_stuck([Outcome("edit", f"no match {n}", failed=True) for n in range(5)])
    assert not is_stuck([Outcome(str(n), f"error {n}", failed=True) for n in range(9)])
