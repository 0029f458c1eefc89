"""What is evidence, and so not for a candidate to change: tests, their settings, what the test command names."""

import re
import shlex
from collections.abc import Iterable, Set
from pathlib import PurePosixPath

from patchwright.repo.testing.files import is_test

_SETTINGS = frozenset(
    {
        *("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "setup.cfg", "tox.ini"),
        *(".coveragerc", "noxfile.py", "Makefile", "makefile", "GNUmakefile", "package.json", "Rakefile"),
        # Python imports these by itself, before any test.
        *("sitecustomize.py", "usercustomize.py"),
    }
)
_RUNNERS = ("pytest", "_pytest", "pluggy", "unittest", "doctest")
# At the top of the tree, which Python looks into first, these would be taken for the programs that run the tests.
_IN_A_RUNNERS_PLACE = frozenset(path for name in _RUNNERS for path in (f"{name}.py", f"{name}/__init__.py"))
# What plugins call the one test that they make of each file.
_CHECKERS = frozenset(
    {"black", "flake8", "isort", "mypy", "mypy-status", "pycodestyle", "pydocstyle", "pylint", "ruff"}
)
_FILE = re.compile(r"^diff --git ", re.MULTILINE)
# A name that git quotes is quoted on both sides; both are the same unless they are said once more.
_SAME = re.compile(r'^diff --git ("?)a/(.+)\1 \1b/\2\1$', re.MULTILINE)
_MOVED = re.compile(r'^(?:rename|copy) (?:from|to) ("?)(.+)\1$', re.MULTILINE)
_TARGET = re.compile(r'^(?:\+\+\+|---) ("?)[ab]/(.+?)\1\t?$', re.MULTILINE)


def judging_files(test_command: str | None, tests: Iterable[str]) -> frozenset[str]:
    """What the command names, and the files that hold the `tests`, ids of pytest's, wherever they lie.

    A doctest and a check of style are about the file that their id begins with: that file is the program.
    """
    command = test_command or ""
    return frozenset({*_named(command), *filter(None, (_file_of(test, command) for test in tests))})


def doctested(tests: Iterable[str]) -> frozenset[str]:
    """The modules that hold doctests among these; those that could not be collected may."""
    split = (test.partition("::") for test in tests)
    return frozenset(path for path, _, name in split if not name or _is_doctest(name, PurePosixPath(path)))


def is_evidence(path: str, judging: Set[str]) -> bool:
    """`path` is relative to the work tree, as in a patch; for `judging` see `judging_files`."""
    name = PurePosixPath(path)
    is_setting = name.name in _SETTINGS or name.name.startswith("jest.config.")
    return is_setting or is_test(path) or str(name) in judging | _IN_A_RUNNERS_PLACE


def without_evidence(patch: str, judging: Set[str]) -> str:
    """The patch of git's without its changes of files that are evidence, or that nobody can tell."""
    starts = [match.start() for match in _FILE.finditer(patch)]
    pieces = [patch[start:end] for start, end in zip(starts, [*starts[1:], len(patch)], strict=False)]
    return "".join(piece for piece in pieces if _is_of_the_program(_paths(piece), judging))


def _is_of_the_program(paths: Set[str], judging: Set[str]) -> bool:
    return bool(paths) and not any(is_evidence(path, judging) for path in paths)


def _paths(piece: str) -> Set[str]:
    head = piece.partition("\n@@")[0]
    said = (found for pattern in (_SAME, _MOVED, _TARGET) for found in pattern.findall(head))
    return {_unquoted(name) if quote else name for quote, name in said}


def _unquoted(name: str) -> str:
    """A name as git quotes it, like a string of C's, without the quotes: each byte of `ä` as three digits."""
    escaped = name.encode("utf-8", "surrogateescape").decode("unicode_escape")
    return escaped.encode("latin-1").decode("utf-8", "surrogateescape")


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
    """Whether it is a module's name, or that of something in a module; a text of doctests is no program."""
    module = file.parent.name if file.stem == "__init__" else file.stem
    return file.suffix == ".py" and ("." in name or name == module)
