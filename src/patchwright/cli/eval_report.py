"""`patchwright eval report`, `compare` and `view`: what runs came to, and how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from patchwright.evals.report.files import Format


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Directories of runs.")],
    out: Annotated[Path | None, typer.Option(help="Write files into this directory.")] = None,
    form: Annotated[
        Literal["markdown", "json", "html", "all"] | None,
        typer.Option("--format", help="markdown on standard output, all of them with --out, if not given."),
    ] = None,
    trajectories: Annotated[
        bool, typer.Option(help="With HTML, also write a page for each attempt, to which it links.")
    ] = True,
) -> None:
    """Report on runs, over or not: resolve rates with intervals, costs, exit reasons, comparisons.

    Attempts that are not over count as not resolved.
    """
    from patchwright.errors import ConfigError
    from patchwright.evals.report.files import FILE_OF, text_of, write_report
    from patchwright.evals.report.make import report_on
    from patchwright.evals.report.recorded_run import RecordedRun

    wanted = form or ("all" if out else "markdown")
    if out is None and wanted == "all":
        raise ConfigError("--format all makes several files", hint="name a directory for them with --out")
    directories = [RecordedRun(path) for path in runs]
    made = report_on(directories)
    if out is None:
        forms: list[Format] = [name for name in FILE_OF if name == wanted]
        typer.echo(text_of(made, forms[0]), nl=False)
        return
    forms = [name for name in FILE_OF if wanted in {name, "all"}]
    for path in write_report(out, made, directories, forms, trajectories=trajectories):
        typer.echo(path)


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A run's directory.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another's, of the same benchmark.")],
    form: Annotated[Literal["markdown", "json"], typer.Option("--format", help="How it is printed.")] = "markdown",
) -> None:
    """Compare two runs on the instances that both have and that are over."""
    from patchwright.evals.report.compare import compare as compare_runs
    from patchwright.evals.report.count import count
    from patchwright.evals.report.markdown import comparison_markdown
    from patchwright.evals.report.recorded_run import RecordedRun

    compared = compare_runs(count(RecordedRun(first)), count(RecordedRun(second)))
    typer.echo(comparison_markdown(compared) if form == "markdown" else compared.model_dump_json(indent=2))


def view(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's directory; or the file of an exported session.")],
    instance: Annotated[str, typer.Argument(help="An instance of the run; none for a session.")] = "",
    attempt: Annotated[int, typer.Option(min=1, help="Which of its attempts.")] = 1,
    out: Annotated[Path | None, typer.Option(help="The page's file; beside the events if not given.")] = None,
) -> None:
    """Write a page that opens a trajectory step by step, and print its path.

    It is one file: open it in any browser. j and k, or the arrows, go from step to step.
    """
    from patchwright.evals.report.files import write_page
    from patchwright.evals.report.viewer import session_page

    if run.is_dir():
        page, beside = _attempt_page(run, instance, attempt)
    else:
        page, beside = session_page(run), run.with_name(f"{run.name}.html")
    typer.echo(write_page(out or beside, page))


def _attempt_page(run: Path, instance: str, number: int) -> tuple[str, Path]:
    """The page and where it goes."""
    from patchwright.errors import ConfigError
    from patchwright.evals.report.recorded_run import RecordedRun
    from patchwright.evals.report.viewer import attempt_page

    directory = RecordedRun(run)
    facts = directory.facts
    if instance not in facts.instance_ids:
        raise ConfigError(f"{instance or 'no instance'}: not in this run", hint=_nearest(instance, facts.instance_ids))
    if number > facts.attempts:
        raise ConfigError(f"attempt {number}: the run has {facts.attempts} for each instance")
    return attempt_page(directory, instance, number), directory.directory_of(instance, number) / "trajectory.html"


def _nearest(instance: str, known: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(instance, known, n=3, cutoff=0.3) or known[:3]
    return f"for example {', '.join(near)}"
