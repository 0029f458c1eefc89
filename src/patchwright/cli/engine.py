"""`patchwright engine`: install engines, list those that run, stop them, read their logs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchwright.engines.base import InstalledName
from patchwright.engines.recipe import PYTORCH_CPU_INDEX, Device

if TYPE_CHECKING:
    from patchwright.engines.running import RunningEngine

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Install engines, list and stop those that run, read their logs."
)


TABLE_WIDTH = 120


@app.command()
def install(
    name: Annotated[InstalledName, typer.Argument(help="The engine; llama.cpp is there already.")],
    device: Annotated[
        Device | None, typer.Option(help="Default: cuda where NVIDIA's driver is installed, else cpu.")
    ] = None,
    torch_index: Annotated[
        str, typer.Option(help="Where PyTorch comes from when your own package index does not have it.")
    ] = PYTORCH_CPU_INDEX,
) -> None:
    """Install an engine into an environment of its own, under the data directory. Takes minutes and gigabytes."""
    import asyncio

    from patchwright.config import load_settings
    from patchwright.engines.installation import Installation
    from patchwright.engines.recipe import device_here, recipe

    installation = Installation(load_settings().data_dir / "engines", name)
    wanted = recipe(name, device or device_here())
    asyncio.run(installation.install(wanted, torch_index, lambda step: typer.echo(step, err=True)))
    typer.echo(installation.directory)


@app.command()
def ps(as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead of a table.")] = False) -> None:
    """List the engines that run."""
    from pydantic import TypeAdapter

    from patchwright.engines.running import RunningEngine, running_engines

    engines = running_engines(_state_dir())
    if as_json:
        typer.echo(TypeAdapter(list[RunningEngine]).dump_json(engines, indent=2))
        return
    if not engines:
        typer.echo("no engine runs", err=True)
        return
    _print_table(engines)


@app.command()
def stop(
    name: Annotated[str | None, typer.Argument(help="The engine's name or its beginning.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Stop every engine.")] = False,
) -> None:
    """Stop an engine and give its memory back; whoever is being answered loses the connection."""
    from patchwright.engines.running import find_engine, running_engines, stop_engine

    state_dir = _state_dir()
    engines = running_engines(state_dir) if every else [find_engine(state_dir, name)]
    for engine in engines:
        stop_engine(engine, state_dir)
        typer.echo(f"stopped {engine.id}", err=True)


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="The engine's name or its beginning.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on while the engine runs.")] = False,
) -> None:
    """Print an engine's log, the newest if no name is given."""
    from patchwright.engines.running import find_log, log_texts

    state_dir = _state_dir()
    for text in log_texts(find_log(state_dir, name), state_dir, follow=follow):
        typer.echo(text, nl=False)


def _state_dir() -> Path:
    from patchwright.config import load_settings

    return load_settings().state_dir


def _print_table(engines: list[RunningEngine]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "name", "engine", "pid", "window", "kv", "slots", "threads", "memory", "unused", "ends after", box=None
    )
    for engine in engines:
        table.add_row(
            engine.id,
            engine.engine,
            str(engine.pid),
            f"{engine.context_tokens}",
            engine.kv_type,
            str(engine.slots),
            str(engine.threads),
            f"{engine.resident_bytes / 1e9:.1f} GB",
            _duration(engine.unused_s),
            _duration(engine.idle_s),
        )
    # A narrow terminal breaks lines; rich would squeeze the columns.
    Console(soft_wrap=True, width=max(Console().width, TABLE_WIDTH)).print(table)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
