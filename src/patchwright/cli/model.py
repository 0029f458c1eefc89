"""`patchwright model`: list, show, fetch and remove models; say what fits into memory."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from patchwright.config import load_settings
from patchwright.errors import ModelError
from patchwright.models.catalogue import CatalogueEntry, catalogue
from patchwright.models.gguf_file import GgufInfo, read_gguf
from patchwright.models.hub import Hub
from patchwright.models.memory import KvType, largest_context, machine_memory_bytes, parse_size, plan_memory
from patchwright.models.progress import OnProgress
from patchwright.models.progress import Progress as Report
from patchwright.models.recipe import expected_info
from patchwright.models.reference import ModelReference, resolve
from patchwright.models.store import ModelStore

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Fetch and remove models; say what fits.")

Name = Annotated[str, typer.Argument(help="A name from `model list`, a .gguf file, or hf:owner/repo/file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

GB = 1e9
KV_TYPES: tuple[KvType, ...] = ("f16", "q8_0")
DEFAULT_CONTEXT_TOKENS = 32_768


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """The catalogue, and what is on this machine."""
    here = {model.name: str(model.path) for model in _store().installed()}
    rows = [
        {
            "name": entry.name,
            "size_bytes": entry.size_bytes,
            "licence": entry.licence,
            "path": here.pop(entry.name, None),
        }
        for entry in catalogue()
    ]
    rows += [{"name": name, "size_bytes": None, "licence": None, "path": path} for name, path in here.items()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        mark = "here" if row["path"] else ""
        typer.echo(f"{row['name']:<34} {_gb(row['size_bytes']):>9}  {row['licence'] or '':<11} {mark}".rstrip())


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """What is known of a model: where it is, its architecture, its sources."""
    reference = resolve(name)
    path = _store().find(reference)
    facts: dict[str, object] = {"name": reference.name, "path": str(path) if path else None}
    if isinstance(reference, CatalogueEntry):
        facts |= reference.model_dump(mode="json", exclude={"shape"})
    if path is not None and path.is_file():
        facts |= read_gguf(path).model_dump(mode="json", exclude={"name"})
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for field, value in facts.items():
        if value not in (None, "", [], ()):
            typer.echo(f"{field:<20} {value}")


@app.command()
def pull(name: Name) -> None:
    """Fetch a model; interrupted, it goes on where it was. The file is checked before it gets its name."""
    with _reporting() as report:
        path = _store().pull(resolve(name), report)
    typer.echo(path)


@app.command()
def rm(name: Name) -> None:
    """Remove a fetched model."""
    freed = _store().remove(resolve(name))
    typer.echo(f"removed {name}, {_gb(freed)} freed")


@app.command()
def fit(
    name: Name,
    context: Annotated[int, typer.Option(min=256, help="Tokens of the window.")] = DEFAULT_CONTEXT_TOKENS,
    memory: Annotated[str | None, typer.Option(help="Such as 32GB; by default this machine's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Whether a model fits into memory with a context, and the longest context that does."""
    info = _info(resolve(name))
    memory_bytes = parse_size(memory) if memory else machine_memory_bytes()
    tokens = min(context, info.context_tokens)
    rows = [_fit_row(info, tokens, kv_type, memory_bytes) for kv_type in KV_TYPES]
    if as_json:
        typer.echo(json.dumps({"memory_bytes": memory_bytes, "context_tokens": tokens, "plans": rows}, indent=2))
        return
    typer.echo(f"{info.name}: {tokens} tokens in {memory_bytes / GB:.1f} GB")
    for row in rows:
        verdict = "fits" if row["fits"] else "does not fit"
        typer.echo(
            f"  KV {row['kv_type']:<4}  weights {_gb(row['weights_bytes'])}  cache {_gb(row['kv_bytes'])}  "
            f"total {_gb(row['total_bytes'])}  {verdict}; largest context {row['largest_context_tokens']} tokens"
        )


def _fit_row(info: GgufInfo, tokens: int, kv_type: KvType, memory_bytes: int) -> dict[str, int | str | bool]:
    plan = plan_memory(info, tokens, kv_type)
    return {
        "kv_type": kv_type,
        "weights_bytes": plan.weights_bytes,
        "kv_bytes": plan.kv_bytes,
        "total_bytes": plan.total_bytes,
        "fits": plan.total_bytes <= memory_bytes,
        "largest_context_tokens": largest_context(info, memory_bytes, kv_type),
    }


def _store() -> ModelStore:
    settings = load_settings()
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    return ModelStore(settings.data_dir / "models", Hub(token))


def _info(reference: ModelReference) -> GgufInfo:
    path = _store().find(reference)
    if path is not None and path.is_file():
        return read_gguf(path)
    if isinstance(reference, CatalogueEntry):
        return expected_info(reference)
    raise ModelError(f"{reference.path}: there is no such file")


@contextmanager
def _reporting() -> Generator[OnProgress]:
    """A progress bar on a terminal, a line for each stage elsewhere; on stderr."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    if not console.is_terminal:
        seen: set[tuple[str, str]] = set()
        yield lambda report: _say_once(report, seen)
        return
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda report: bar.update(
            task,
            description=f"{report.stage} {report.file}",
            completed=report.done_bytes,
            total=report.total_bytes,
        )


def _say_once(report: Report, seen: set[tuple[str, str]]) -> None:
    if (report.stage, report.source) not in seen:
        seen.add((report.stage, report.source))
        typer.echo(f"{report.stage} {report.file}" + (f" from {report.source}" if report.source else ""), err=True)


def _gb(size_bytes: object) -> str:
    return f"{size_bytes / GB:.2f} GB" if isinstance(size_bytes, int) else "?"
