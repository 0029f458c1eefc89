"""A snapshot of a work tree, and what a list of them says about the runs that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_BEFORE_RUN = "before run "
_AFTER_UNDO = "after undo to "


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path that a snapshot does not hold, and so never touches. It ends in / for a whole directory."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a work tree at one moment. `tree` is the git tree that holds them, in the shadow repository.

    Here and below, a path that is not UTF-8 is decoded with `surrogateescape`.
    """

    id: str
    """A number that grows by one, a dash, and eight hex digits that tell it from another store's."""
    label: str
    created: str
    """ISO 8601, UTC."""
    tree: str
    left_out: tuple[LeftOut, ...] = ()

    @property
    def number(self) -> int:
        return int(self.id.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to a path on the way from one state of the tree to another."""

    path: str
    kind: Literal["added", "modified", "removed"]


@dataclass(frozen=True, slots=True)
class Restoration:
    """What a restore did. Restoring `before` undoes it; `after` is the state that it led to."""

    changes: tuple[Change, ...]
    before: Snapshot
    after: Snapshot


def before_run(session: str) -> str:
    """The label of the snapshot that undoing the run goes back to."""
    return f"{_BEFORE_RUN}{session}"


def after_step(step: int) -> str:
    return f"after step {step}"


def before_undo(snapshot: Snapshot) -> str:
    return f"before undo to {snapshot.id}"


def after_undo(snapshot: Snapshot) -> str:
    return f"{_AFTER_UNDO}{snapshot.id}"


def last_run(log: Sequence[Snapshot]) -> Snapshot | None:
    """The snapshot from before the last run whose changes are still in the tree; None when there is none.

    An undo takes the runs away that came after the snapshot it went to, and brings back those that came before.
    """
    runs: tuple[Snapshot, ...] = ()
    runs_at: dict[str, tuple[Snapshot, ...]] = {}
    for snapshot in log:
        runs_at[snapshot.id] = runs
        if snapshot.label.startswith(_BEFORE_RUN):
            runs = (*runs, snapshot)
        elif snapshot.label.startswith(_AFTER_UNDO):
            runs = runs_at.get(snapshot.label.removeprefix(_AFTER_UNDO), ())
    return runs[-1] if runs else None
