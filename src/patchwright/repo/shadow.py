"""The shadow repository: a git directory of our own whose work tree is the user's."""

import asyncio
import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path

from patchwright.errors import RepositoryError
from patchwright.repo import patch
from patchwright.repo.git import Git, GitError, join, split
from patchwright.repo.modes import Modes, read_modes
from patchwright.repo.snapshot import Change, LeftOut

# In the git directory, this overrules every .gitattributes: no filter (git-lfs), no line-end conversion. The
# diff driver is one that no configuration defines, so that it means nothing until `patch` wants it to.
_ATTRIBUTES = "* -text !eol !filter !ident !working-tree-encoding diff=patchwright\n"
_ALL_BINARY = ("diff.patchwright.binary=true",)

_DIFF = ("diff-tree", "-r", "-p", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv")
_PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
_REMOVED_SYMLINK = re.compile(rb"^:120000 000000 ", re.MULTILINE)
_IGNORED = ("ls-files", "-z", "--cached", "--ignored", "--exclude-standard")
_ADD = ("update-index", "-z", "--add", "--remove", "--replace", "--stdin")
_NO_ENTRY = f"0 {'0' * 40}"
_ADD_ATTEMPTS = 3


class Shadow:
    """The shadow repository of one work tree, for whoever holds its lock.

    Its index is what the tree looked like when it was last recorded, with git's stat cache, so that what has
    not changed is not read again. Raises RepositoryError when git fails.
    """

    def __init__(self, git: Git, user_git: Git, root: Path, git_dir: Path, file_limit_bytes: int) -> None:
        self.git = git
        self._user_git = user_git
        self._root = root
        self._git_dir = git_dir
        self._file_limit_bytes = file_limit_bytes

    async def prepare(self) -> None:
        """Make the repository when there is none, and clear away what a killed git has left."""
        for stale in (*self._git_dir.glob("*.lock"), *self._git_dir.glob("refs/snapshots/*.lock")):
            stale.unlink()
        attributes = self._git_dir / "info" / "attributes"
        if attributes.is_file() and attributes.read_text() == _ATTRIBUTES:
            return
        await self.git.run("init", "--quiet", "--template=")
        attributes.parent.mkdir(exist_ok=True)
        attributes.write_text(_ATTRIBUTES)

    async def record(self, also: Collection[str] = ()) -> tuple[LeftOut, ...]:
        """Bring the index up to the tree; what could not be taken in.

        Files that are ignored and not tracked by the user's repository stay out, unless they are in `also`;
        so do files over the size limit. One of those that was taken in before is kept as it then was.
        """
        listed, others, forced = await asyncio.gather(
            self.git.run("diff-files", "-z", "--name-status"),
            self.git.run("ls-files", "-z", "--others", "--exclude-standard"),
            self._tracked_but_ignored(),
        )
        changed = dict(zip(split(listed)[1::2], split(listed)[::2], strict=True))
        removed = {path for path, status in changed.items() if status == "D" or not self._holds_bytes(path)}
        new = {*split(others), *_standing(self._root, (*forced, *also))}
        refused = {path: why for path in (changed.keys() - removed) | new if (why := self._refusal(path, also))}
        await self.forget(removed)
        unreadable = await self._add((changed.keys() - removed | new) - refused.keys())
        refused |= dict.fromkeys(unreadable, "cannot be read")
        return tuple(LeftOut(path, why) for path, why in sorted(refused.items()))

    async def tree(self) -> str:
        """The index as a git tree."""
        return (await self.git.run("write-tree")).decode().strip()

    async def modes(self) -> Modes:
        paths = split(await self.git.run("ls-files", "-z"))
        return await asyncio.to_thread(read_modes, self._root, paths)

    async def index_entries(self) -> dict[str, str]:
        """Mode and hash of every path in the index."""
        fields = (field.partition("\t") for field in split(await self.git.run("ls-files", "-z", "--stage")))
        return {path: facts.removesuffix(" 0") for facts, _, path in fields}

    async def tree_entries(self, tree: str) -> dict[str, str]:
        """Mode and hash of every path in a tree."""
        fields = (field.partition("\t") for field in split(await self.git.run("ls-tree", "-r", "-z", tree)))
        return {path: facts.replace(" blob ", " ") for facts, _, path in fields}

    async def overlay(self, tree: str, entries: Mapping[str, str | None]) -> str:
        """`tree` with some paths replaced (None: removed), as a new tree."""
        if not entries:
            return tree
        scratch = {"GIT_INDEX_FILE": str(self._git_dir / "scratch")}
        lines = [f"{facts or _NO_ENTRY}\t{path}" for path, facts in sorted(entries.items(), key=_removals_first)]
        await self.git.run("read-tree", tree, variables=scratch)
        await self.git.run("update-index", "-z", "--replace", "--index-info", stdin=join(lines), variables=scratch)
        return (await self.git.run("write-tree", variables=scratch)).decode().strip()

    async def checkout(self, tree: str) -> None:
        """Turn the work tree from what the index says into `tree`; files that neither of them has stay.

        Raises RepositoryError, and changes nothing, when such a file is in the way or the index is out of date.
        """
        changes = await self.compare(await self.tree(), tree)
        written = [change.path for change in changes if change.kind != "removed"]
        known = (await self.index_entries()).keys()
        if obstacles := await asyncio.to_thread(_obstacles, self._root, written, known):
            raise RepositoryError(
                f"{obstacles[0]}: in the way of what is to be restored, and no snapshot holds it",
                hint="move it somewhere else, then try again",
            )
        for path in written:
            self._clear_special(path)
        await self.git.run("read-tree", "-m", "-u", tree)

    async def compare(self, old: str, new: str) -> tuple[Change, ...]:
        """What changed from one tree to another, in order of path."""
        fields = split(await self.git.run("diff-tree", "-r", "-z", "--no-renames", "--name-status", old, new))
        return tuple(_change(path, status) for status, path in zip(fields[::2], fields[1::2], strict=True))

    async def patch(self, old: str, new: str) -> str:
        """The way from one tree to another as a patch, in text that is UTF-8 whatever is in the files."""
        raw, whole = await asyncio.gather(
            self.git.run("diff-tree", "-r", "--raw", "--no-renames", old, new),
            self.git.run(*_DIFF, *_PREFIXES, "--find-renames", old, new),
        )
        # `git apply` does not see that a renamed symlink is gone, and refuses files in a directory of its name.
        if not _REMOVED_SYMLINK.search(raw) and (text := patch.decode(whole)) is not None:
            return text
        arguments = (*_DIFF, *_PREFIXES, "--no-renames", old, new)
        readable, binary = await asyncio.gather(self.git.run(*arguments), self.git.run(*arguments, config=_ALL_BINARY))
        return patch.merge(readable, binary)

    async def ignored(self) -> frozenset[str]:
        """The paths in the index that the ignore rules in the tree, as they are now, would keep out of it."""
        return frozenset(split(await self.git.run(*_IGNORED)))

    async def forget(self, paths: Collection[str]) -> None:
        """Take paths out of the index and leave them in the tree."""
        if paths:
            await self.git.run("update-index", "-z", "--force-remove", "--stdin", stdin=join(paths))

    async def _tracked_but_ignored(self) -> list[str]:
        try:
            return split(await self._user_git.run(*_IGNORED))
        except GitError as error:
            if "not a git repository" not in error.stderr:
                raise
            return []  # the run has removed it; the tree can still be recorded and restored

    def _refusal(self, path: str, also: Collection[str]) -> str | None:
        if path.endswith("/"):
            return "a repository of its own"
        if any(part.lower() == ".git" for part in path.split("/")):
            return "git does not take files of this name"
        size_bytes = _size_bytes(self._root / path)
        if size_bytes > self._file_limit_bytes and path not in also:
            return f"{size_bytes / 1e6:.0f} MB, more than the {self._file_limit_bytes / 1e6:.0f} MB that are kept"
        return None

    async def _add(self, paths: Collection[str]) -> set[str]:
        """The paths that cannot be read. A file that changes while it is read makes git fail: then once more."""
        unreadable: set[str] = set()
        for attempt in range(_ADD_ATTEMPTS):
            present = sorted(set(paths) - unreadable)
            if not present:
                break
            try:
                await self.git.run(*_ADD, stdin=join(present))
                break
            except GitError:
                if attempt == _ADD_ATTEMPTS - 1:
                    raise
                unreadable = {path for path in present if not _can_read(self._root / path)}
        return unreadable

    def _holds_bytes(self, path: str) -> bool:
        mode = _type(self._root / path)
        return stat.S_ISREG(mode) or stat.S_ISLNK(mode)

    def _clear_special(self, path: str) -> None:
        """A pipe, socket or device node where a file belongs holds no bytes, and git would not write over it."""
        mode = _type(self._root / path)
        if mode and not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            (self._root / path).unlink()


def _change(path: str, status: str) -> Change:
    match status:
        case "A":
            return Change(path, "added")
        case "D":
            return Change(path, "removed")
        case _:
            return Change(path, "modified")


def _removals_first(item: tuple[str, str | None]) -> tuple[bool, str]:
    path, facts = item
    return facts is not None, path


def _standing(root: Path, paths: Iterable[str]) -> set[str]:
    """The paths that are files or symlinks, reached through directories and not through a symlink."""

    @cache
    def is_directory(path: str) -> bool:
        return not path or (is_directory(path.rpartition("/")[0]) and stat.S_ISDIR(_type(root / path)))

    def is_file(path: str) -> bool:
        mode = _type(root / path)
        return stat.S_ISREG(mode) or stat.S_ISLNK(mode)

    return {path for path in paths if is_directory(path.rpartition("/")[0]) and is_file(path)}


def _obstacles(root: Path, written: Iterable[str], known: Collection[str]) -> list[str]:
    """Files that are not `known` and that writing to the paths `written` would destroy."""
    found: list[str] = []
    for path in written:
        for place in (*_parents(path), path):
            mode = _type(root / place)
            if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                found += [place] if place not in known else []
                break
        else:
            found += [file for file in _files_below(root, path) if file not in known]
    return found


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def _files_below(root: Path, path: str) -> Iterable[str]:
    for directory, subdirectories, files in os.walk(root / path):
        links = [name for name in subdirectories if Path(directory, name).is_symlink()]
        for name in (*files, *links):
            yield str(Path(directory, name).relative_to(root))


def _type(path: Path) -> int:
    """The mode as lstat has it, 0 when nothing is there."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _size_bytes(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _can_read(path: Path) -> bool:
    if path.is_symlink():
        return True
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
    except FileNotFoundError:
        return True  # gone by now, which git takes for a removal
    except OSError:
        return False
    return True
