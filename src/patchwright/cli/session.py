"""`patchwright session`: list, show, export and remove recorded sessions."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from patchwright.agent.sessions import SessionStore

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List, show, export and remove recorded sessions.")

TASK_CHARS = 80

SessionId = Annotated[str, typer.Argument(metavar="ID", help="A session's id or its beginning.")]


@app.command(name="list")
def list_sessions() -> None:
    """List the sessions, the newest first."""
    from patchwright.cli.printable import printable_path

    with _store() as store:
        for facts in store.list():
            when = facts.created[:16].replace("T", " ")
            task = facts.task.strip().partition("\n")[0][:TASK_CHARS]
            typer.echo(printable_path(f"{facts.id}  {when}  {facts.model}  {facts.work_tree}  {task}"))


@app.command()
def show(session: SessionId) -> None:
    """Print a session's steps as text."""
    from patchwright.cli.printable import printable
    from patchwright.cli.transcript import transcript

    with _store() as store:
        opened = store.open(session)
        for paragraph in transcript(store.events(opened.id)):
            typer.echo(printable(paragraph))


@app.command()
def export(
    session: SessionId, file: Annotated[Path, typer.Argument(help="The trajectory file to write; - for stdout.")]
) -> None:
    """Write a session as a trajectory: JSON lines, the first one a header."""
    from patchwright.errors import RecordError
    from patchwright.schema.trajectory import dumps, write

    with _store() as store:
        trajectory = store.trajectory(session)
    if str(file) == "-":
        typer.echo(dumps(trajectory), nl=False)
        return
    try:
        write(file, trajectory)
    except OSError as error:
        raise RecordError(f"{file}: {(error.strerror or 'cannot be written').lower()}") from None


@app.command()
def rm(session: SessionId) -> None:
    """Remove a session and its events."""
    with _store() as store:
        opened = store.open(session)
        store.delete(opened.id)
    typer.echo(f"removed {opened.id}", err=True)


@contextmanager
def _store() -> Generator[SessionStore]:
    from patchwright.agent.sessions import SessionStore
    from patchwright.config import load_settings

    with closing(SessionStore(load_settings().state_dir / "sessions" / "sessions.sqlite")) as store:
        yield store
