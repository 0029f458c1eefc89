"""What is evidence, and so not for a candidate to change: tests, their settings, and what the test command names."""

import re
import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath

from patchwright.repo.testing.files import is_test

_SETTINGS = frozenset({"pytest.ini", ".pytest.ini", "tox.ini", "noxfile.py", "Makefile", "package.json", "Rakefile"})
_FILE = re.compile(r"^diff --git ", re.MULTILINE)
_TARGET = re.compile(r"^(?:\+\+\+|---) [ab]/(.+?)\t?$", re.MULTILINE)
_NAMES = re.compile(r"^diff --git a/(.+) b/(.+)$", re.MULTILINE)


def is_evidence(path: str, test_command: str | None) -> bool:
    """`path` is relative to the work tree, as in a patch."""
    name = PurePosixPath(path)
    is_setting = name.name in _SETTINGS or name.name.startswith("jest.config.")
    return is_setting or is_test(path) or str(name) in _named(test_command or "")


def without_evidence(patch: str, test_command: str | None) -> str:
    """The patch of git's without its changes of files that are evidence."""
    starts = [match.start() for match in _FILE.finditer(patch)]
    pieces = [patch[start:end] for start, end in zip(starts, [*starts[1:], len(patch)], strict=False)]
    return "".join(piece for piece in pieces if not any(is_evidence(path, test_command) for path in _paths(piece)))


def _paths(piece: str) -> Iterable[str]:
    head = piece.partition("\n@@")[0]
    names = _NAMES.match(head)
    return {*_TARGET.findall(head), *(names.groups() if names else ())}


def _named(command: str) -> set[str]:
    """The paths among the command's words, without pytest's `::test`."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return {str(PurePosixPath(word.partition("::")[0])) for word in words}
