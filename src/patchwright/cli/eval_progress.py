"""How a run of a benchmark is shown: a bar on a terminal, a line for each attempt in a pipe. Both on stderr."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from patchwright.cli.printable import printable_path
from patchwright.evals.run.tally import Tally
from patchwright.schema.attempt import Attempt


@contextmanager
def showing(tally: Tally) -> Generator[Callable[[Attempt], None]]:
    """What is called with each attempt after it was counted; at the end, the result goes to stdout."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    started = time.monotonic()
    if console.is_terminal:
        with _bar(console, tally, started) as show:
            yield show
    else:
        if tally.over_before:
            console.print(f"{tally.over_before} of {tally.total} attempts are over already")
        yield lambda attempt: console.print(line_of(attempt, tally, time.monotonic() - started))
    Console(highlight=False, markup=False, soft_wrap=True).print(result(tally))


def line_of(attempt: Attempt, tally: Tally, spent_s: float) -> str:
    word = "resolved" if attempt.resolved else "not resolved"
    why = f" ({printable_path(attempt.detail)})" if attempt.detail else ""
    name = f"[{tally.over}/{tally.total}] {attempt.instance_id} attempt {attempt.number}"
    return f"{name}: {word}, {attempt.exit_reason}{why}, {attempt.seconds:.0f} s; {standing(tally, spent_s)}"


def standing(tally: Tally, spent_s: float) -> str:
    errors = f", {tally.errors} errors" if tally.errors else ""
    left_s = tally.left_s(spent_s)
    left = "" if left_s is None else f", {_duration(left_s)} left"
    return f"{tally.resolved} resolved{errors}{left}"


def result(tally: Tally) -> str:
    errors = f", {tally.errors} of them errors" if tally.errors else ""
    missing = tally.total - tally.over
    rest = f"; {missing} attempts are still to be made" if missing else ""
    return f"{tally.resolved} of {tally.over} attempts resolved{errors}{rest}"


@contextmanager
def _bar(console: Console, tally: Tally, started: float) -> Generator[Callable[[Attempt], None]]:
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(standing(tally, 0), total=tally.total, completed=tally.over)

        def show(attempt: Attempt) -> None:
            bar.update(task, completed=tally.over, description=standing(tally, time.monotonic() - started))

        yield show


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
