"""The statistics of a report: pure functions of counts and numbers, each with its source."""

from collections.abc import Iterable
from math import comb, sqrt
from statistics import NormalDist, fmean, median

from patchwright.schema.record import Record


class Rate(Record):
    """A share of all, with its 95 % interval."""

    resolved: int
    of: int
    rate: float
    low: float
    high: float


class Spread(Record):
    """Numbers of which some may be unknown: `known` of them are not."""

    known: int
    mean: float | None
    median: float | None
    total: float


def wilson(rate: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval for a proportion `rate` observed in `n` trials; (0, 1) without any.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209–212;
    as recommended for any n by Brown, Cai and DasGupta, Statistical Science 16 (2001) 101–133.
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # At 0 and 1 an end of the interval is exact; rounding would leave it a hair away.
    return (0.0 if rate == 0 else middle - half), (1.0 if rate == 1 else middle + half)


def rate_of(resolved: int, instances: int, attempts: int) -> Rate:
    """Resolved ÷ all instances × attempts.

    Attempts at one instance are not independent of each other. So the interval counts instances, not attempts, as
    trials: with one attempt each it is Wilson's own, with more it is never too narrow.
    """
    of = instances * attempts
    rate = resolved / of if of else 0.0
    low, high = wilson(rate, instances)
    return Rate(resolved=resolved, of=of, rate=rate, low=low, high=high)


def pass_at(k: int, resolved: Iterable[int], attempts: int) -> float:
    """The chance that at least one of k attempts resolves an instance, over all instances; 1 ≤ k ≤ attempts.

    `resolved` says for each instance how many of its `attempts` did. The unbiased estimator
    1 - C(n - c, k) / C(n, k) of M. Chen et al., "Evaluating large language models trained on code" (2021),
    arXiv:2107.03374, equation 1.
    """
    chances = [1 - comb(attempts - c, k) / comb(attempts, k) for c in resolved]
    return fmean(chances) if chances else 0.0


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p-value of the exact test that both runs resolve equally often, from the discordant pairs.

    Under the hypothesis each discordant pair falls either way with probability 1/2: Q. McNemar, "Note on the sampling
    error of the difference between correlated proportions or percentages", Psychometrika 12 (1947) 153–157; exact,
    with the binomial distribution, as in A. Agresti, "Categorical data analysis" (2013), section 11.1.
    """
    n, smaller = only_first + only_second, min(only_first, only_second)
    return min(1.0, 2 * sum(comb(n, i) for i in range(smaller + 1)) / 2**n)


def spread_of(values: Iterable[float | None]) -> Spread:
    known = [value for value in values if value is not None]
    return Spread(
        known=len(known),
        mean=fmean(known) if known else None,
        median=median(known) if known else None,
        total=sum(known),
    )
