"""`patchwright undo`: bring the work tree back to what it was before the last run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchwright.errors import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patchwright.repo.snapshot import Change, Restoration, Snapshot

app = typer.Typer(add_completion=False)

_DONE = {"added": "brought back", "modified": "restored", "removed": "removed"}


@app.command()
def undo(
    to: Annotated[
        str | None, typer.Option("--to", metavar="SNAPSHOT", help="Go to this snapshot instead; see --list.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the snapshots, the oldest first.")] = False,
    repo: Annotated[Path, typer.Option(help="A directory of the repository.")] = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask about changes made since the run.")] = False,
) -> None:
    """Bring the work tree back to what it was before the last run; once more, to before the run before that.

    The index, commits and ignored files stay as they are. What is undone is recorded first, so that an undo
    can be undone.
    """
    import asyncio

    asyncio.run(_undo(repo, to, show_list=show_list, yes=yes))


async def _undo(repo: Path, to: str | None, *, show_list: bool, yes: bool) -> None:
    from patchwright.config import load_settings
    from patchwright.repo.snapshots import Snapshots
    from patchwright.repo.work_tree import find_work_tree

    root = (await find_work_tree(repo)).root
    snapshots = Snapshots(root, load_settings().state_dir / "snapshots")
    log = await snapshots.list()
    if show_list:
        _print_list(log)
        return
    target = await snapshots.find(to) if to else _before_last_run(log)
    if not yes:
        _confirm(log[-1], target, await snapshots.changes(log[-1]))
    _report(await snapshots.restore(target), target)


def _before_last_run(log: Sequence[Snapshot]) -> Snapshot:
    from patchwright.repo.snapshot import last_run

    run = last_run(log)
    if run is None:
        raise RepositoryError(
            "nothing to undo: no run has changed this work tree", hint="`patchwright undo --list` shows its snapshots"
        )
    return run


def _confirm(newest: Snapshot, target: Snapshot, changes: Sequence[Change]) -> None:
    """What changed after the newest snapshot is not the run's doing, unless it was killed within a step."""
    from patchwright.repo.snapshot import before_undo

    if not changes or newest.label == before_undo(target):  # the latter: an undo that was killed half way
        return
    typer.echo(f'changed since the newest snapshot, "{newest.label}":', err=True)
    _print_changes(changes, {"added": "new", "modified": "modified", "removed": "removed"}, err=True)
    typer.confirm("undo these as well?", abort=True, err=True)


def _report(restoration: Restoration, target: Snapshot) -> None:
    from patchwright.cli.printable import printable_path

    if not restoration.changes:
        typer.echo(f"the tree is as it was {target.label}: nothing to restore", err=True)
        return
    _print_changes(restoration.changes, _DONE)
    for item in restoration.after.left_out:
        typer.echo(f"left alone: {printable_path(item.path)} ({item.reason})", err=True)
    typer.echo(f"hint: `patchwright undo --to {restoration.before.id}` takes this back", err=True)


def _print_changes(changes: Sequence[Change], words: dict[str, str], *, err: bool = False) -> None:
    from patchwright.cli.printable import printable_path

    for change in changes:
        typer.echo(f"{words[change.kind]:<12}  {printable_path(change.path)}", err=err)


def _print_list(log: Sequence[Snapshot]) -> None:
    for snapshot in log:
        typer.echo(f"{snapshot.id:<14}  {snapshot.created[:19].replace('T', ' ')}  {snapshot.label}")
