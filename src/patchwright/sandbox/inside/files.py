"""File methods as the sandbox sees the disk, held to what may be read and what may be changed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Generator
from pathlib import Path
from typing import Any

from patchwright.sandbox.inside.channel import Refused, shown, write_all

_CHUNK_BYTES = 1 << 20
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}


class Files:
    """Paths are absolute, or relative to the root; `readable` None: whatever there is."""

    def __init__(self, root: str, readable: list[str] | None) -> None:
        self._root = Path(root).resolve()
        self._writable = [self._root, Path("/tmp").resolve()]
        self._readable = None if readable is None else [*self._writable, *(Path(path).resolve() for path in readable)]

    def read(self, path: str, limit_bytes: int) -> bytes:
        target = self._followed(path)
        self._check_readable(target)
        # Before opening, since that alone can hang (a FIFO) or do something (a device); after, since it may change.
        _check_regular(target.stat())
        with _descriptor(target, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            status = os.fstat(descriptor)
            _check_regular(status)
            data = _read_up_to(descriptor, limit_bytes + 1) if status.st_size <= limit_bytes else b""
        size = max(len(data), status.st_size)
        if size > limit_bytes:
            raise Refused(f"too large: {size} bytes, and at most {limit_bytes} may be read at once")
        return data

    def write(self, path: str, data: bytes) -> None:
        target = self._followed(path)
        self._check_writable(target)
        mode = _mode_to_keep(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".patchwright-{os.urandom(6).hex()}")
        try:
            with _descriptor(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
                write_all(descriptor, data)
                os.fchmod(descriptor, mode)
            temporary.replace(target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def remove(self, path: str) -> None:
        target = self._place(path)
        self._check_writable(target)
        if stat.S_ISDIR(target.lstat().st_mode):
            raise Refused("is a directory")
        target.unlink()

    def info(self, path: str) -> dict[str, Any] | None:
        target = self._place(path)
        self._check_readable(target)
        try:
            return _described(target, target.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, path: str, depth: int, limit: int) -> list[dict[str, Any]]:
        target = self._followed(path)
        self._check_readable(target)
        found: list[dict[str, Any]] = []
        _walk(target, depth, limit, found)
        return found

    def _followed(self, path: str) -> Path:
        try:
            return (self._root / path).resolve()
        except RuntimeError:
            raise Refused("too many symbolic links, one leading to the other") from None

    def _place(self, path: str) -> Path:
        """The path with the symlinks in its parents followed, but not its own."""
        place = self._root / path
        return self._followed(path) if place.name == ".." else self._followed(str(place.parent)) / place.name

    def _check_readable(self, target: Path) -> None:
        if self._readable is not None and not any(_is_below(target, place) for place in self._readable):
            raise Refused("outside the sandbox")

    def _check_writable(self, target: Path) -> None:
        if target in self._writable:
            raise Refused("is a directory")
        if not any(_is_below(target, place) for place in self._writable):
            raise Refused("outside the sandbox, where only the work tree and /tmp may be changed")
        if _is_below(target, self._root) and ".git" in target.relative_to(self._root).parts:
            raise Refused("permission denied, since the git directory is read-only")


@contextlib.contextmanager
def _descriptor(path: Path, flags: int) -> Generator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _mode_to_keep(target: Path) -> int:
    try:
        status = target.stat()
    except FileNotFoundError:
        umask = os.umask(0o022)
        os.umask(umask)
        return 0o666 & ~umask
    _check_regular(status)
    # Renaming would replace even a file that its owner has protected.
    if not os.access(target, os.W_OK):
        raise Refused("permission denied")
    return stat.S_IMODE(status.st_mode)


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Refused("is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise Refused("not a regular file")


def _read_up_to(descriptor: int, size: int) -> bytes:
    """In pieces: the size of a file in /proc is not known before."""
    pieces: list[bytes] = []
    while size > 0:
        piece = os.read(descriptor, min(size, _CHUNK_BYTES))
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _walk(directory: Path, depth: int, limit: int, found: list[dict[str, Any]]) -> None:
    for path in sorted(path for path in directory.iterdir() if not path.name.startswith(".")):
        if len(found) >= limit:
            return
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        found.append(_described(path, status))
        if depth > 1 and stat.S_ISDIR(status.st_mode):
            # A directory that may not be entered is still an entry.
            with contextlib.suppress(PermissionError, FileNotFoundError):
                _walk(path, depth - 1, limit, found)


def _described(path: Path, status: os.stat_result) -> dict[str, Any]:
    return {
        "path": shown(path),
        "kind": _KINDS.get(stat.S_IFMT(status.st_mode), "other"),
        "size_bytes": status.st_size,
        "mode": stat.S_IMODE(status.st_mode),
    }


def _is_below(path: Path, place: Path) -> bool:
    return path == place or place in path.parents
