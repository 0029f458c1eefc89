"""`patchwright eval`: measure models and scaffolds on benchmarks. Each subcommand has a module of its own."""

import typer

from patchwright.cli.eval_forge import forge
from patchwright.cli.eval_report import compare, report, view
from patchwright.cli.eval_run import run
from patchwright.cli.eval_validate import validate

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Measure models and scaffolds on benchmarks.")
for command in (validate, forge, run, report, compare, view):
    app.command()(command)
