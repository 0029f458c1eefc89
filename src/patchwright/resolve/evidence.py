"""What is evidence, and so not for a candidate to change: tests, their settings, and what the test command names."""

import re
import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath

from patchwright.repo.mentions import is_test

_SETTINGS = frozenset(
    {"conftest.py", "pytest.ini", ".pytest.ini", "tox.ini", "noxfile.py", "Makefile", "package.json", "Rakefile"}
)
_TEST_NAME = re.compile(
    r"tests?\.\w+|.+_tests?\.\w+|.+[._-](?:test|spec)s?\.\w+|Tests?[A-Z].*|.+Tests?\.\w+|jest\.config\..+"
)
_TEST_DIRECTORIES = frozenset({"__tests__", "spec", "specs", "test", "tests", "testing", "testdata"})
_FILE = re.compile(r"^diff --git ", re.MULTILINE)
_TARGET = re.compile(r"^(?:\+\+\+|---) [ab]/(.+?)\t?$", re.MULTILINE)
_NAMES = re.compile(r"^diff --git a/(.+) b/(.+)$", re.MULTILINE)


def is_evidence(path: str, test_command: str | None) -> bool:
    """`path` is relative to the work tree, as in a patch."""
    name = PurePosixPath(path)
    if is_test(path) or name.name in _SETTINGS or _TEST_NAME.fullmatch(name.name):
        return True
    return not _TEST_DIRECTORIES.isdisjoint(name.parts[:-1]) or str(name) in _named(test_command or "")


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
