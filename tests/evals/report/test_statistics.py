"""The statistics against values that were published for them."""

from itertools import combinations
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchwright.evals.report.statistics import Spread, mcnemar, pass_at, rate_of, spread_of, wilson


@pytest.mark.parametrize(
    ("resolved", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_that_of_newcombes_table(resolved: int, n: int, low: float, high: float) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998) 857–872, table I, method 3."""
    assert wilson(resolved / n, n) == pytest.approx((low, high), abs=5e-5)


def test_nothing_is_known_without_trials() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)
    assert rate_of(0, 0, 1).rate == 0.0


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_rate_and_stays_within_0_and_1(counted: tuple[int, int]) -> None:
    resolved, n = counted
    low, high = wilson(resolved / n, n)
    assert 0 <= low <= resolved / n <= high <= 1


def test_repeated_attempts_at_the_same_instances_do_not_make_the_interval_narrower() -> None:
    once, thrice = rate_of(5, 10, 1), rate_of(15, 10, 3)
    assert (thrice.rate, thrice.low, thrice.high) == (once.rate, once.low, once.high)


@pytest.mark.parametrize("c", range(7))
@pytest.mark.parametrize("k", range(1, 7))
def test_pass_at_k_is_the_share_of_all_choices_of_k_attempts_with_one_that_resolves(c: int, k: int) -> None:
    choices = list(combinations([True] * c + [False] * (6 - c), k))
    assert pass_at(k, [c], 6) == pytest.approx(sum(map(any, choices)) / len(choices))


def test_pass_at_k_is_what_the_code_in_its_paper_computes() -> None:
    """arXiv:2107.03374, figure 3."""
    n, c, k = 200, 13, 100
    assert pass_at(k, [c], n) == pytest.approx(1 - prod(1 - k / i for i in range(n - c + 1, n + 1)))


def test_pass_at_k_is_a_mean_over_instances() -> None:
    assert pass_at(1, [0, 1, 2, 4], 4) == pytest.approx(7 / 16)
    assert pass_at(4, [0, 1, 2, 4], 4) == 0.75
    assert pass_at(1, [], 4) == 0.0


@pytest.mark.parametrize(("only_first", "only_second", "p"), [(1, 7, 0.0703), (6, 16, 0.0525)])
def test_mcnemars_exact_test_gives_the_published_p_values(only_first: int, only_second: int, p: float) -> None:
    """M. W. Fagerland, S. Lydersen and P. Laake, BMC Medical Research Methodology 13:91 (2013): airway
    hyper-responsiveness before and after stem cell transplantation; complete response before and after therapy."""
    assert mcnemar(only_first, only_second) == pytest.approx(p, abs=5e-5)
    assert mcnemar(only_second, only_first) == mcnemar(only_first, only_second)


def test_runs_that_never_differ_are_not_told_apart() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0


def test_what_is_unknown_does_not_count_as_nothing() -> None:
    assert spread_of([1, None, 2, 6]) == Spread(known=3, mean=3.0, median=2.0, total=9.0)
    assert spread_of([None]) == Spread(known=0, mean=None, median=None, total=0.0)
