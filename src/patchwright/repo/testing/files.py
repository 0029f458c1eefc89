"""Test files, by what they are called and where they lie."""

import re
from pathlib import PurePosixPath

_MODULE = re.compile(r"(?:test_(?P<after>.+)|(?P<before>.+)_tests?|tests?)\.py")
_NAME = re.compile(
    r"(?:test_|conftest\.).*|tests?\.\w+|.*_tests?(?:\.\w+)?|.+[._-](?:test|spec)s?\.\w+|Tests?[A-Z].*|.+Tests?\.\w+"
)
_DIRECTORIES = frozenset({"__tests__", "spec", "specs", "test", "tests", "testing", "testdata"})


def is_test(path: str) -> bool:
    """Whether the file tests, or helps to, in whatever language. `path` is relative to the work tree."""
    file = PurePosixPath(path)
    return _NAME.fullmatch(file.name) is not None or not _DIRECTORIES.isdisjoint(file.parts[:-1])


def subject_of(path: str) -> str | None:
    """What a module of Python tests is named after: `parser` for `test_parser.py`, nothing for `tests.py`.

    None for any other file, one that only helps tests included.
    """
    match = _MODULE.fullmatch(PurePosixPath(path).name)
    return (match["after"] or match["before"] or "") if match else None
