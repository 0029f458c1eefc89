"""The files of a report and of a trajectory's page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from patchwright.errors import RecordError
from patchwright.evals.report.html import html, page_name
from patchwright.evals.report.markdown import markdown
from patchwright.evals.report.recorded_run import RecordedRun
from patchwright.evals.report.report import AttemptRow, Report
from patchwright.evals.report.viewer import attempt_page

Format = Literal["markdown", "json", "html"]
FILE_OF: dict[Format, str] = {"markdown": "report.md", "json": "report.json", "html": "report.html"}


def text_of(report: Report, form: Format) -> str:
    """The report as text, on its own: an HTML page then has no links to trajectories."""
    match form:
        case "markdown":
            return markdown(report)
        case "json":
            return report.model_dump_json(indent=2) + "\n"
        case "html":
            return html(report)


def write_report(
    directory: Path, report: Report, runs: Sequence[RecordedRun], forms: Sequence[Format], *, trajectories: bool = True
) -> list[Path]:
    """Writes the report, with HTML a page for each attempt too, and names its files. Raises RecordError."""
    written: list[Path] = []
    for form in forms:
        text = html(report, _link) if form == "html" and trajectories else text_of(report, form)
        written.append(write_page(directory / FILE_OF[form], text))
    if "html" in forms and trajectories:
        _write_trajectories(directory, report, runs)
    return written


def write_page(path: Path, text: str) -> Path:
    """Raises RecordError when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{path}: {(error.strerror or 'cannot be written').lower()}") from None
    return path


def _write_trajectories(directory: Path, report: Report, runs: Sequence[RecordedRun]) -> None:
    for number, (run, counted) in enumerate(zip(runs, report.runs, strict=True)):
        for instance in counted.instances:
            for attempt in instance.attempts:
                if name := _link(number, attempt):
                    write_page(directory / name, attempt_page(run, attempt.instance_id, attempt.number))


def _link(run: int, attempt: AttemptRow) -> str:
    """There is something to see of an attempt that is over or has events."""
    return page_name(run, attempt) if attempt.exit != "not over" or attempt.has_events else ""
