"""The log of a work tree's snapshots: one commit without a parent each, under a ref of its own."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from patchwright.errors import RepositoryError
from patchwright.repo.git import Git
from patchwright.repo.modes import Modes
from patchwright.repo.snapshot import LeftOut, Snapshot

_REFS = "refs/snapshots"
_LISTING = "%(refname:lstrip=2) %(tree) %(contents:subject)"


class SnapshotLog:
    """Reads and appends snapshots. A commit's subject line is what a listing needs, its body the modes; both JSON."""

    def __init__(self, git: Git) -> None:
        self._git = git

    async def read(self) -> tuple[Snapshot, ...]:
        """All snapshots, the oldest first."""
        listing = await self._git.run("for-each-ref", f"--format={_LISTING}", _REFS)
        snapshots = (_parse(*line.split(" ", 2)) for line in listing.decode().splitlines())
        return tuple(sorted(snapshots, key=lambda snapshot: snapshot.number))

    async def append(self, label: str, tree: str, left_out: tuple[LeftOut, ...], modes: Modes) -> Snapshot:
        """Write a snapshot down. It is in the log when this returns."""
        created = datetime.now(UTC).isoformat(timespec="microseconds")
        omissions = [(item.path, item.reason) for item in left_out]
        subject = json.dumps({"label": label, "created": created, "left_out": omissions})
        body = json.dumps({"plain": modes.plain, "executable": modes.executable, "others": dict(modes.others)})
        commit, log = await asyncio.gather(
            self._git.run("commit-tree", tree, "-F", "-", stdin=f"{subject}\n\n{body}\n".encode()), self.read()
        )
        name = commit.decode().strip()
        number = log[-1].number + 1 if log else 1
        snapshot = Snapshot(f"{number}-{name[:8]}", label, created, tree, left_out)
        await self._git.run("update-ref", f"{_REFS}/{snapshot.id}", name)
        return snapshot

    async def modes(self, snapshot: Snapshot) -> Modes:
        commit = await self._git.run("cat-file", "commit", f"{_REFS}/{snapshot.id}")
        return Modes(**_json(commit.decode().split("\n\n", 2)[2], snapshot.id))

    async def remove(self, snapshots: Iterable[Snapshot]) -> None:
        deletions = "".join(f"delete {_REFS}/{snapshot.id}\n" for snapshot in snapshots)
        await self._git.run("update-ref", "--stdin", stdin=deletions.encode())


def _parse(identifier: str, tree: str, subject: str) -> Snapshot:
    facts = _json(subject, identifier)
    left_out = tuple(LeftOut(path, reason) for path, reason in facts["left_out"])
    return Snapshot(identifier, facts["label"], facts["created"], tree, left_out)


def _json(text: str, identifier: str) -> dict[str, Any]:
    try:
        return json.loads(text)
    except ValueError:
        raise RepositoryError(f"snapshot {identifier} was not written by this version of Patchwright") from None
