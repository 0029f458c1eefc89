"""What is evidence, and so not for a candidate to change: tests, their settings, what the test command names."""

import re
import shlex
from collections.abc import Iterable, Set
from pathlib import PurePosixPath

from patchwright.repo.testing.files import is_test

_SETTINGS = frozenset({"pytest.ini", ".pytest.ini", "tox.ini", "noxfile.py", "Makefile", "package.json", "Rakefile"})
# What plugins call the one test that they make of each file.
_CHECKERS = frozenset(
    {"black", "flake8", "isort", "mypy", "mypy-status", "pycodestyle", "pydocstyle", "pylint", "ruff"}
)
_FILE = re.compile(r"^diff --git ", re.MULTILINE)
_TARGET = re.compile(r"^(?:\+\+\+|---) [ab]/(.+?)\t?$", re.MULTILINE)
_NAMES = re.compile(r"^diff --git a/(.+) b/(.+)$", re.MULTILINE)


def judging_files(test_command: str | None, tests: Iterable[str]) -> frozenset[str]:
    """What the command names, and the files that hold the `tests`, ids of pytest's, wherever they lie.

    A doctest and a check of style are about the file that their id begins with: that file is the program.
    """
    command = test_command or ""
    return frozenset({*_named(command), *filter(None, (_file_of(test, command) for test in tests))})


def is_evidence(path: str, judging: Set[str]) -> bool:
    """`path` is relative to the work tree, as in a patch; for `judging` see `judging_files`."""
    name = PurePosixPath(path)
    is_setting = name.name in _SETTINGS or name.name.startswith("jest.config.")
    return is_setting or is_test(path) or str(name) in judging


def without_evidence(patch: str, judging: Set[str]) -> str:
    """The patch of git's without its changes of files that are evidence."""
    starts = [match.start() for match in _FILE.finditer(patch)]
    pieces = [patch[start:end] for start, end in zip(starts, [*starts[1:], len(patch)], strict=False)]
    return "".join(piece for piece in pieces if not any(is_evidence(path, judging) for path in _paths(piece)))


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


def _file_of(test: str, command: str) -> str | None:
    path, _, name = test.partition("::")
    name = name.partition("[")[0]
    if not name:  # a file that could not be collected: where doctests are, it may be the program
        return None if "doctest" in command else path
    return None if _is_doctest(name, PurePosixPath(path)) or name.partition("::")[0].lower() in _CHECKERS else path


def _is_doctest(name: str, file: PurePosixPath) -> bool:
    """Whether it is a module's name, or that of something in a module."""
    return "." in name or name == (file.parent.name if file.stem == "__init__" else file.stem)
