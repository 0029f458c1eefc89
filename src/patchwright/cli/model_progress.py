"""How a pull is shown: a bar on a terminal, a line now and then in a pipe. Both on stderr."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from patchwright.models.progress import OnProgress, Progress

LINE_SHARE = 0.1
"""Of the file, between two lines; or LINE_BYTES where nobody knows its length."""
LINE_BYTES = 100_000_000


@contextmanager
def showing_progress() -> Generator[OnProgress]:
    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        yield Lines(console)
        return
    measures = DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Bar(TextColumn("{task.description}", markup=False), BarColumn(), *measures, console=console) as bar:
        yield Bars(bar)


class Bars:
    """One bar for each file."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.file not in self._tasks:
            self._tasks[progress.file] = self._bar.add_task("")
        task = self._tasks[progress.file]
        done, total = progress.done_bytes, progress.total_bytes
        self._bar.update(task, description=sentence(progress), completed=done, total=total)


class Lines:
    """A line when something new begins, and for each tenth of the file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = ("", 0)

    def __call__(self, progress: Progress) -> None:
        step = int(LINE_SHARE * progress.total_bytes) if progress.total_bytes else LINE_BYTES
        shown = (sentence(progress), progress.done_bytes // max(step, 1))
        if shown == self._shown:
            return
        self._shown = shown
        self._console.print(f"{shown[0]}: {amount(progress)}", soft_wrap=True)


def sentence(progress: Progress) -> str:
    match progress.stage:
        case "waiting":
            return f"{progress.file}: another process is pulling it, waiting"
        case "fetching" | "converting":
            return f"{progress.file} from {progress.source}"
        case "checking":
            return f"{progress.file}: checking its SHA-256"


def amount(progress: Progress) -> str:
    done = f"{progress.done_bytes / 1e6:,.0f}"
    return f"{done} of {progress.total_bytes / 1e6:,.0f} MB" if progress.total_bytes else f"{done} MB"
