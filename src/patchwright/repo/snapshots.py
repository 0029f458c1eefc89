"""Snapshots of a work tree: taken in a shadow git directory, restored and compared from there."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from patchwright.errors import RepositoryError
from patchwright.lock import locked_within
from patchwright.repo.git import Git
from patchwright.repo.log import SnapshotLog
from patchwright.repo.modes import write_modes
from patchwright.repo.shadow import Shadow
from patchwright.repo.snapshot import Change, LeftOut, Restoration, Snapshot, after_undo, before_undo, last_run
from patchwright.repo.work_tree import find_work_tree


class Snapshots:
    """The snapshots of one work tree. They never touch the user's index, HEAD, refs or ignored files.

    A snapshot holds the bytes, modes and names of all files and symlinks that are tracked by the user's
    repository or not ignored. It does not hold empty directories, repositories inside the tree (submodules
    too), files over `file_limit_bytes`, and files that cannot be read; `left_out` names the last three.
    Everything raises RepositoryError, with git's own words when it was git that failed.
    """

    def __init__(
        self,
        work_tree: Path,
        store_dir: Path,
        *,
        file_limit_bytes: int = 50_000_000,
        lock_timeout_s: float = 120,
    ) -> None:
        self._root = work_tree.resolve()
        self._store_dir = store_dir.resolve()
        self._git_dir = self._store_dir / hashlib.sha256(os.fsencode(self._root)).hexdigest()[:16]
        self._file_limit_bytes = file_limit_bytes
        self._lock_timeout_s = lock_timeout_s
        self._exclude_file: Path | None = None

    async def take(self, label: str) -> Snapshot:
        """Record the tree as it is now. `label` is one line."""
        async with self._shadow() as shadow:
            return await _take(shadow, label)

    async def tree(self) -> str:
        """Names the tree as it is now, as `Snapshot.tree` would, and takes no snapshot."""
        async with self._shadow() as shadow:
            return await _tree(shadow, None)

    async def list(self) -> tuple[Snapshot, ...]:
        """All snapshots, the oldest first."""
        async with self._shadow() as shadow:
            return await SnapshotLog(shadow.git).read()

    async def find(self, reference: str) -> Snapshot:
        """The snapshot with this id, or this number at the start of its id."""
        for snapshot in await self.list():
            if reference in (snapshot.id, str(snapshot.number)):
                return snapshot
        raise RepositoryError(f"no snapshot {reference}", hint="`patchwright undo --list` shows them")

    async def diff(self, snapshot: Snapshot, until: Snapshot | None = None) -> str:
        """A patch that leads from `snapshot` to `until`, by default to the tree as it is now.

        `git apply` takes it, binary files, renames, modes and line ends included, when its bytes are left
        alone: write it with newline="". Paths that a snapshot leaves out are not in it.
        """
        async with self._shadow() as shadow:
            return await shadow.patch(snapshot.tree, await _tree(shadow, until))

    async def changes(self, snapshot: Snapshot, until: Snapshot | None = None) -> tuple[Change, ...]:
        """The paths that `diff` is about, a rename as two of them."""
        async with self._shadow() as shadow:
            return await shadow.compare(snapshot.tree, await _tree(shadow, until))

    async def restore(self, snapshot: Snapshot) -> Restoration:
        """Bring the tree back to `snapshot`: bytes, modes, removed files; files made since go.

        Files that are ignored under the rules of `snapshot` stay, and so does what it left out. The present
        state is taken first, so that this can be undone. Killed in the middle, it leaves files of both states;
        running it again ends right. When a file that no snapshot holds is in the way, RepositoryError names it
        and nothing but .gitignore files has changed.
        """
        async with self._shadow() as shadow:
            target = await shadow.tree_entries(snapshot.tree)
            own = [path for path in target if not _is_left_out(path, snapshot.left_out)]
            before = await _take(shadow, before_undo(snapshot), also=own)
            before = await _restore_ignore_rules(shadow, before, target)
            goal = await _goal(shadow, snapshot, target)
            modes = await SnapshotLog(shadow.git).modes(snapshot)
            wanted = {path: modes.of(path, executable=_is_executable(target[path])) for path in own}
            kept = await _reach(shadow, goal)
            rechmoded = await asyncio.to_thread(write_modes, self._root, wanted)
            if before.left_out:  # what could not be read until it had its mode back may differ all the same
                await shadow.record()
                kept |= await _reach(shadow, goal)
                rechmoded += await asyncio.to_thread(write_modes, self._root, wanted)
            after = await _take(shadow, after_undo(snapshot))
            changes = await shadow.compare(before.tree, after.tree)
        return Restoration(_changes(changes, rechmoded, kept), before=before, after=after)

    async def prune(
        self, *, keep: int = 500, max_age: timedelta = timedelta(days=30), gc_timeout_s: float = 60
    ) -> tuple[Snapshot, ...]:
        """Remove snapshots beyond the newest `keep` or older than `max_age`; the removed ones.

        Those that undoing the last run needs always stay. Disk space is given back when enough has gathered,
        in at most `gc_timeout_s`; what is not done by then is left to the next time.
        """
        async with self._shadow() as shadow:
            log = SnapshotLog(shadow.git)
            gone = _expired(await log.read(), keep, datetime.now(UTC) - max_age)
            await log.remove(gone)
            with suppress(TimeoutError):
                async with asyncio.timeout(gc_timeout_s):
                    await shadow.git.run("gc", "--auto", "--quiet", "--prune=now", config=("gc.auto=2000",))
        return gone

    @asynccontextmanager
    async def _shadow(self) -> AsyncGenerator[Shadow]:
        """The shadow repository, made when there is none, with its lock held."""
        if self._store_dir.is_relative_to(self._root):
            raise RepositoryError(f"{self._store_dir}: snapshots cannot be kept inside the tree that they are of")
        self._store_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._exclude_file is None:
            self._exclude_file = (await find_work_tree(self._root)).exclude_file
        busy = RepositoryError(
            f"another process has kept the snapshots of this tree busy for {self._lock_timeout_s:g} s",
            hint="wait for it to end, then try again",
        )
        async with locked_within(self._git_dir.with_suffix(".lock"), self._lock_timeout_s, busy) as lock_fd:
            git = Git(
                self._root,
                variables={"GIT_DIR": str(self._git_dir), "GIT_WORK_TREE": str(self._root)},
                config=(f"core.excludesFile={self._exclude_file}",),
                inherited_fds=(lock_fd,),
            )
            shadow = Shadow(git, Git(self._root), self._root, self._git_dir, self._file_limit_bytes)
            await shadow.prepare()
            yield shadow


async def _take(shadow: Shadow, label: str, also: Collection[str] = ()) -> Snapshot:
    left_out = await shadow.record(also)
    tree, modes = await asyncio.gather(shadow.tree(), shadow.modes())
    return await SnapshotLog(shadow.git).append(label, tree, left_out, modes)


async def _tree(shadow: Shadow, until: Snapshot | None) -> str:
    if until is not None:
        return until.tree
    await shadow.record()
    return await shadow.tree()


async def _restore_ignore_rules(shadow: Shadow, before: Snapshot, target: Mapping[str, str]) -> Snapshot:
    """Bring the .gitignore files back ahead of the rest: they say which of the other files are ours to touch.

    Files that only the edited rules had hidden join `before`, for they are about to go.
    """
    present = await shadow.tree_entries(before.tree)
    edited = {path for path in present.keys() | target.keys() if Path(path).name == ".gitignore"}
    rules = {path: target.get(path) for path in edited if present.get(path) != target.get(path)}
    if not rules:
        return before
    await shadow.checkout(await shadow.overlay(before.tree, rules))
    left_out = await shadow.record()
    tree = await shadow.overlay(await shadow.tree(), {path: present.get(path) for path in rules})
    if tree == before.tree:
        return before
    return await SnapshotLog(shadow.git).append(before.label, tree, left_out, await shadow.modes())


async def _goal(shadow: Shadow, snapshot: Snapshot, target: Mapping[str, str]) -> str:
    """The tree to reach: the snapshot's, but with whatever is there now where it left something out."""
    if not snapshot.left_out:
        return snapshot.tree
    present = await shadow.index_entries()
    paths = (path for path in present.keys() | target.keys() if _is_left_out(path, snapshot.left_out))
    return await shadow.overlay(snapshot.tree, {path: present.get(path) for path in paths})


async def _reach(shadow: Shadow, goal: str) -> frozenset[str]:
    """Make the work tree `goal`, and look whether it is. Returns the ignored files that it has besides."""
    present = await shadow.compare(goal, await shadow.tree())
    made_since = frozenset(change.path for change in present if change.kind == "added")
    kept = made_since & await shadow.ignored()
    await shadow.forget(kept)
    await shadow.checkout(goal)
    await shadow.record()
    missed = [change for change in await shadow.compare(await shadow.tree(), goal) if change.path not in kept]
    if missed:
        more = f", and {len(missed) - 1} more" if len(missed) > 1 else ""
        raise RepositoryError(
            f"{missed[0].path}: could not be restored{more}",
            hint="look at the permissions of its directory, then try again",
        )
    return kept


def _is_left_out(path: str, left_out: Sequence[LeftOut]) -> bool:
    return any(path == item.path or (item.path.endswith("/") and path.startswith(item.path)) for item in left_out)


def _is_executable(entry: str) -> bool:
    return entry.startswith("100755")


def _changes(changes: Sequence[Change], rechmoded: Sequence[str], kept: Collection[str]) -> tuple[Change, ...]:
    by_path = {path: Change(path, "modified") for path in rechmoded}
    by_path |= {change.path: change for change in changes if change.path not in kept}
    return tuple(by_path[path] for path in sorted(by_path))


def _expired(log: Sequence[Snapshot], keep: int, oldest: datetime) -> tuple[Snapshot, ...]:
    run = last_run(log)
    needed = log.index(run) if run else len(log) - 1
    return tuple(
        snapshot
        for place, snapshot in enumerate(log[: max(needed, 0)])
        if place < len(log) - keep or datetime.fromisoformat(snapshot.created) < oldest
    )
