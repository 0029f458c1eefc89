"""Plots of a report: where their lines and ticks are, in percent of the plot's width and height.

The templates draw them as SVG in percent, so that they fit any screen with their text at its own size, and take their
colours from the page, light or dark.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from patchwright.evals.report.report import RunReport

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
TOPS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
MOST_TICKS = 5


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Curves:
    """A curve for each run, in its order, as the `d` of an SVG path."""

    title: str
    x_axis: str
    paths: tuple[str, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    """From the top of the plot."""


def resolved_by_time(runs: Sequence[RunReport]) -> Curves | None:
    """The share of all attempts that was resolved within a time; None when nothing was."""
    times = [sorted(_resolved_seconds(run)) for run in runs]
    if not any(times):
        return None
    longest = max(attempt.seconds or 0 for run in runs for row in run.instances for attempt in row.attempts)
    ticks = _time_ticks(longest)
    top = _top(run.rate.rate for run in runs)
    end_s = _end_s(longest)
    return Curves(
        title="Resolved within a time",
        x_axis="time of the attempt",
        paths=tuple(_stairs(own, run.rate.of, end_s, top) for own, run in zip(times, runs, strict=True)),
        x_ticks=ticks,
        y_ticks=_rate_ticks(top),
    )


def pass_at_curves(runs: Sequence[RunReport]) -> Curves | None:
    """pass@k over k; None when every instance was attempted once."""
    most = max((run.facts.attempts for run in runs), default=1)
    if most == 1:
        return None
    top = _top(at.rate for run in runs for at in run.pass_at)
    step = ceil(most / MOST_TICKS)
    return Curves(
        title="pass@k",
        x_axis="k",
        paths=tuple(
            "M"
            + " L".join(f"{100 * (at.k - 1) / (most - 1):.2f},{100 * (1 - at.rate / top):.2f}" for at in run.pass_at)
            for run in runs
        ),
        x_ticks=tuple(Tick(100 * (k - 1) / (most - 1), str(k)) for k in range(1, most + 1, step)),
        y_ticks=_rate_ticks(top),
    )


def _resolved_seconds(run: RunReport) -> Iterable[float]:
    for row in run.instances:
        yield from (attempt.seconds or 0 for attempt in row.attempts if attempt.resolved)


def _stairs(times: Sequence[float], of: int, end_s: float, top: float) -> str:
    steps = [f"H{100 * time / end_s:.2f}V{100 * (1 - n / of / top):.2f}" for n, time in enumerate(times, start=1)]
    return f"M0,100{''.join(steps)}H100"


def _step_s(longest: float) -> int:
    return next((step for step in STEPS_S if longest / step <= MOST_TICKS), STEPS_S[-1])


def _end_s(longest: float) -> float:
    step = _step_s(longest)
    return step * max(1, ceil(longest / step))


def _time_ticks(longest: float) -> tuple[Tick, ...]:
    step, end_s = _step_s(longest), _end_s(longest)
    return tuple(Tick(100 * time / end_s, _time(time)) for time in range(0, int(end_s) + 1, step))


def _time(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds / 60:g} min" if seconds < 7200 else f"{seconds / 3600:g} h"


def _top(rates: Iterable[float]) -> float:
    highest = max(rates, default=1.0)
    return next(top for top in TOPS if highest <= top)


def _rate_ticks(top: float) -> tuple[Tick, ...]:
    return tuple(Tick(100 - 25 * quarter, f"{25 * quarter * top:g} %") for quarter in range(5))
