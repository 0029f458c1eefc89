"""How a validation is shown: a bar with what is left on a terminal, lines in a pipe, both on stderr; then a table."""

import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from patchwright.cli.printable import printable_path
from patchwright.evals.validation import Validation
from patchwright.schema.instance import Grade, Instance

_PIPE_COLUMNS = 160


@contextmanager
def showing_validation(instances: Sequence[Instance], done: Mapping[str, Validation]) -> Generator["ValidationView"]:
    console = Console(stderr=True, highlight=False, markup=False)
    # fmt: off
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("eta"), TimeRemainingColumn(),
    )
    # fmt: on
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        view = ValidationView(console, bar, len(instances), len(done))
        for validation in done.values():
            if not validation.gradable:
                view.known(validation)
        yield view


class ValidationView:
    """What is being done, what is done, and how long the rest will take."""

    def __init__(self, console: Console, bar: Progress, total: int, done: int) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task("", total=total, completed=done)
        self._total = total
        self._before = done
        self._done = done
        self._started = time.monotonic()

    def begin(self, instance: Instance) -> None:
        self._bar.update(self._task, description=printable_path(instance.instance_id))

    def known(self, validation: Validation) -> None:
        """What earlier commands found not to be gradable."""
        self._print(f"{validation.instance_id}: {_outcome(validation)} (found earlier; --again tries again)")

    def end(self, validation: Validation) -> None:
        self._done += 1
        self._bar.advance(self._task)
        left = f", {self._left()} left" if not self._console.is_terminal else ""
        about = f"{validation.instance_id}: {_outcome(validation)} ({validation.seconds:.0f} s{left})"
        self._print(f"{self._done}/{self._total} {about}")

    def table(self, validations: Sequence[Validation], out: Path) -> None:
        """All instances on stdout; what they come to, on stderr."""
        console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
        table = Table("instance", "version", "gold", "base", "seconds", "gradable", box=None)
        for each in validations:
            table.add_row(
                printable_path(each.instance_id), printable_path(each.version), _word(each.gold), _word(each.base),
                f"{each.seconds:.0f}", "yes" if each.gradable else "no",
            )  # fmt: skip
        console.print(table)
        gradable = [each for each in validations if each.gradable]
        repositories = len({each.repo for each in gradable})
        middle = f", {median(each.seconds for each in gradable):.0f} s each in the median" if gradable else ""
        where = f"; the verdicts are in {out}" if out.exists() else ""
        count = f"{len(gradable)} of {len(validations)}, of {repositories} repositories"
        self._print(f"this machine can grade {count}{middle}{where}")

    def _print(self, line: str) -> None:
        self._console.print(printable_path(line), soft_wrap=True)

    def _left(self) -> str:
        done = self._done - self._before
        seconds = (time.monotonic() - self._started) / max(done, 1) * (self._total - self._done)
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _outcome(validation: Validation) -> str:
    return "can be graded" if validation.gradable else f"cannot: {validation.why_not}"


def _word(grade: Grade | None) -> str:
    if grade is None:
        return "-"
    return "resolved" if grade.resolved else "not resolved"
