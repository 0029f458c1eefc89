"""What the stages leave to each other."""

import pytest

from patchwright.resolve.budget import Budget


@pytest.mark.parametrize(("suite_s", "left_s"), [(0.0, 90.0), (20.0, 50.0), (1000.0, 40.0)])
def test_a_candidate_leaves_time_for_its_verdict(suite_s: float, left_s: float) -> None:
    assert Budget(100.0).before_judging_s(suite_s) == pytest.approx(left_s, abs=1.0)


def test_there_is_none_for_a_candidate_that_could_not_be_judged() -> None:
    assert Budget(5.0).before_judging_s(0.0) < 0
