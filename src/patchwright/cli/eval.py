"""`patchwright eval`: measure models and scaffolds on benchmarks."""

import typer

from patchwright.cli.eval_run import run

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def evaluate() -> None:
    """Measure models and scaffolds on benchmarks."""


app.command()(run)
