"""What the stages leave to each other."""

import pytest

from patchwright.resolve.budget import Budget, limit_of_a_program_s, limit_of_a_test_s


@pytest.mark.parametrize(("suite_s", "left_s"), [(0.0, 90.0), (20.0, 50.0), (1000.0, 40.0)])
def test_a_candidate_leaves_time_for_its_verdict(suite_s: float, left_s: float) -> None:
    assert Budget(100.0).before_judging_s(suite_s) == pytest.approx(left_s, abs=1.0)


def test_there_is_none_for_a_candidate_that_could_not_be_judged() -> None:
    assert Budget(5.0).before_judging_s(0.0) < 0


@pytest.mark.parametrize(("slowest_s", "limit_s"), [(None, 5.0), (0.001, 2.0), (0.6, 3.0), (10.0, 5.0)])
def test_a_test_that_hangs_costs_little_where_the_others_are_quick(slowest_s: float | None, limit_s: float) -> None:
    assert limit_of_a_test_s(slowest_s) == limit_s


@pytest.mark.parametrize(("failing_s", "limit_s"), [(0.1, 10.0), (4.0, 20.0), (29.0, 30.0)])
def test_a_program_that_hangs_costs_little_where_it_failed_quickly(failing_s: float, limit_s: float) -> None:
    assert limit_of_a_program_s(failing_s) == limit_s
