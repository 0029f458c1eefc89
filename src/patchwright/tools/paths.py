"""Paths as the policy writes and reads them: relative to the work tree, with a suggestion when there is none."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from pathlib import PurePosixPath

from patchwright.errors import ToolError
from patchwright.sandbox.base import FileInfo, Sandbox

_DEPTH = 12
_ENTRIES = 5000


def short(path: str | PurePosixPath, root: PurePosixPath) -> str:
    """Relative to the work tree if it lies in there, otherwise as it is."""
    path = PurePosixPath(path)
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


async def existing(sandbox: Sandbox, path: str) -> FileInfo:
    """Raises ToolError, with the closest paths of the work tree, when nothing is there."""
    if info := await sandbox.info(path):
        return info
    entries = await sandbox.list(".", depth=_DEPTH, limit=_ENTRIES)
    close = closest(short(path, sandbox.root), [short(entry.path, sandbox.root) for entry in entries])
    question = f"; did you mean {' or '.join(close)}?" if close else "; view . to see what there is"
    raise ToolError(f"{path}: there is no such file or directory{question}")


def closest(wanted: str, paths: Iterable[str]) -> list[str]:
    """Up to three of `paths` that may be meant: the same name elsewhere first, then similar ones."""
    paths = list(paths)
    name = PurePosixPath(wanted).name
    same_name = [path for path in paths if PurePosixPath(path).name == name]
    if same_name:
        return sorted(same_name, key=lambda path: SequenceMatcher(None, wanted, path).ratio(), reverse=True)[:3]
    similar = get_close_matches(wanted, paths, n=3, cutoff=0.75)
    if similar:
        return similar
    names = {PurePosixPath(path).name: path for path in reversed(paths)}
    return [names[found] for found in get_close_matches(name, names, n=3, cutoff=0.75)]
