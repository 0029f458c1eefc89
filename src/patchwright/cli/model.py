"""`patchwright model`: list the models, show one, fetch, inspect, convert, remove it; say what fits into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from patchwright.cli import checkpoints, model_exports, model_generate

if TYPE_CHECKING:
    from patchwright.models.gguf_file import GgufInfo
    from patchwright.models.reference import ModelReference
    from patchwright.models.store import ModelStore

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="List, fetch, inspect, convert and remove models; say what fits into memory.",
)

Name = Annotated[str, typer.Argument(help="A name from `patchwright model list`, a .gguf file, or hf:owner/repo/file.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models that Patchwright knows, and those that are here."""
    from patchwright.cli.model_views import listing, print_json, print_listing

    rows = listing(_store())
    if as_json:
        print_json(rows)
    else:
        print_listing(rows)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Say where a model comes from, and, once it is here, what its file says of it."""
    from patchwright.cli.model_views import description, print_description, print_json
    from patchwright.models.reference import resolve

    shown = description(_store(), resolve(name))
    if as_json:
        print_json(shown)
    else:
        print_description(shown)


@app.command()
def pull(name: Name) -> None:
    """Fetch a model: going on where an earlier pull broke off, and checked before it appears under its name."""
    import stamina.instrumentation

    from patchwright.cli.model_progress import showing_progress
    from patchwright.cli.model_views import origin
    from patchwright.models.reference import resolve

    store, reference = _store(), resolve(name)
    is_here = store.find(reference) is not None
    stamina.instrumentation.set_on_retry_hooks([])  # its log lines would tear the progress bar
    with showing_progress() as on_progress:
        path = store.pull(reference, on_progress)
    typer.echo(f"{name} is here already" if is_here else origin(store.receipt(reference)), err=True)
    typer.echo(path)


@app.command()
def rm(name: Name) -> None:
    """Remove a model, and what interrupted pulls have left of it."""
    from patchwright.cli.model_views import gigabytes
    from patchwright.models.reference import resolve

    freed_bytes = _store().remove(resolve(name))
    typer.echo(f"removed {name}, {gigabytes(freed_bytes)}", err=True)


@app.command()
def fit(
    name: Name,
    context_tokens: Annotated[
        int | None, typer.Option("--context", min=256, help="Tokens of the window (default: what `run` would take).")
    ] = None,
    memory: Annotated[str | None, typer.Option(help="Like 32GB; default: this machine's.")] = None,
    slots: Annotated[int, typer.Option(min=1, help="Requests at once; they share the window.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Say how much memory a model takes with a window of some length, and the longest window that fits.

    Works before the model is fetched. Exit code 0 whether it fits or not.
    """
    from patchwright.cli.model_fit import fitting, print_fitting
    from patchwright.cli.model_views import print_json
    from patchwright.models.memory import machine_memory_bytes, parse_size
    from patchwright.models.reference import resolve

    memory_bytes = parse_size(memory) if memory else machine_memory_bytes()
    fits = fitting(name, _info(_store(), resolve(name)), context_tokens, memory_bytes, slots)
    if as_json:
        print_json(fits)
    else:
        print_fitting(fits)


app.command()(checkpoints.inspect)
app.command()(checkpoints.convert)
app.command()(model_generate.generate)
app.command("strip-vision")(checkpoints.strip_vision)
app.command()(checkpoints.merge)
app.command("export-adapter")(checkpoints.export_adapter)
app.command("make-tiny")(checkpoints.make_tiny)
app.command("export-ollama")(model_exports.export_ollama)
app.command("export-lmstudio")(model_exports.export_lmstudio)


def _store() -> ModelStore:
    from patchwright.config import load_settings
    from patchwright.models.hub import Hub
    from patchwright.models.store import ModelStore

    settings = load_settings()
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    return ModelStore(settings.data_dir / "models", Hub(token))


def _info(store: ModelStore, reference: ModelReference) -> GgufInfo:
    from patchwright.errors import ModelError
    from patchwright.models.gguf_file import read_gguf
    from patchwright.models.recipe import expected_info
    from patchwright.models.reference import LocalModel

    path = store.find(reference)
    if path and path.is_file():
        return read_gguf(path)
    if isinstance(reference, LocalModel):
        raise ModelError(f"{reference.path} is not a GGUF file")
    return expected_info(reference)
