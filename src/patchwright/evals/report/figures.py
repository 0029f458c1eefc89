"""Figures as a reader wants them, the same in Markdown and HTML."""

from collections import Counter
from collections.abc import Sequence

from patchwright.evals.report.report import RunReport
from patchwright.evals.report.statistics import Rate

NONE = "–"
GRADED_IN = {"local": "its own environments", "docker": "the official images"}


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def interval(rate: Rate) -> str:
    return f"{100 * rate.low:.1f}–{100 * rate.high:.1f} %"


def quantity(value: float | None) -> str:
    """With three figures or all of an integer: 0.42, 7.5, 1,234. Of events it may be no number: nan."""
    if value is None:
        return NONE
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def labels(runs: Sequence[RunReport]) -> list[str]:
    """A name for each run; its directory where several have the same name."""
    names = Counter(run.facts.name for run in runs)
    return [run.facts.name if names[run.facts.name] == 1 else run.directory for run in runs]
