"""The permission bits of a snapshot's files, of which git itself keeps only the executable one."""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Modes:
    """Permission bits: the commonest of plain and of executable files, and the paths that differ from them."""

    plain: int
    executable: int
    others: Mapping[str, int]

    def of(self, path: str, *, executable: bool) -> int:
        return self.others.get(path, self.executable if executable else self.plain)


def read_modes(root: Path, paths: Iterable[str]) -> Modes:
    """The modes that the regular files among `paths` have now."""
    found = {path: mode for path in paths if (mode := _file_mode(root, path)) is not None}
    plain = _commonest((mode for mode in found.values() if not mode & stat.S_IXUSR), default=0o644)
    executable = _commonest((mode for mode in found.values() if mode & stat.S_IXUSR), default=0o755)
    others = {path: mode for path, mode in found.items() if mode not in (plain, executable)}
    return Modes(plain=plain, executable=executable, others=others)


def write_modes(root: Path, modes: Mapping[str, int]) -> tuple[str, ...]:
    """Give each regular file its mode; the paths whose mode was another."""
    changed = [path for path, mode in modes.items() if _file_mode(root, path) not in (None, mode)]
    for path in changed:
        (root / path).chmod(modes[path])
    return tuple(changed)


def _commonest(modes: Iterable[int], *, default: int) -> int:
    ranked = Counter(modes).most_common(1)
    return ranked[0][0] if ranked else default


def _file_mode(root: Path, path: str) -> int | None:
    """The permission bits of a regular file, None for anything else."""
    try:
        mode = os.lstat(f"{root}/{path}").st_mode  # a Path for each of thousands of files takes longer than the call
    except OSError:
        return None
    return mode & 0o777 if stat.S_ISREG(mode) else None
