"""`patchwright keys`: who may use a gateway that listens to more than this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from patchwright.serving.keys import KeyStore

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make, list and revoke API keys of the gateway.")

Name = Annotated[str, typer.Argument(help="Whose key it is.")]


@app.command()
def create(name: Name) -> None:
    """Make a key and print it: it is kept as a hash, and cannot be shown again."""
    typer.echo(_store().create(name))


@app.command("list")
def list_keys(as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead of lines.")] = False) -> None:
    """List the keys: their names, and when they were made."""
    from datetime import UTC, datetime

    from pydantic import TypeAdapter

    from patchwright.serving.keys import Key

    keys = _store().keys()
    if as_json:
        typer.echo(TypeAdapter(tuple[Key, ...]).dump_json(keys, indent=2))
        return
    if not keys:
        typer.echo("no keys", err=True)
    for key in keys:
        typer.echo(f"{key.name}  {datetime.fromtimestamp(key.created_s, UTC):%Y-%m-%d %H:%M} UTC")


@app.command()
def revoke(name: Name) -> None:
    """Take a key back. A gateway that runs refuses it from the next request on."""
    _store().revoke(name)
    typer.echo(f"revoked {name}", err=True)


def _store() -> KeyStore:
    from patchwright.config import load_settings
    from patchwright.serving.keys import KeyStore

    return KeyStore(load_settings().state_dir / "keys.json")
