"""Test files without the tests that show a fault: what somebody who works on it gets to see."""

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path

from patchwright.evals.forge.test_code import Function, TestId, defining
from patchwright.resolve.sources import parsed


def hidden(tree: Path, tests: Iterable[str]) -> dict[str, str] | None:
    """The test files without these tests, by path. None where the code of one cannot be found."""
    found = [defining(tree, TestId.parsed(test)) for test in tests]
    texts: dict[str, str] = {}
    for path in sorted({each.path for each in found if each}):
        inside = [each for each in found if each and each.path == path]
        text = without_tests((tree / path).read_text(encoding="utf-8"), inside)
        if text is None:
            return None
        texts[path] = text
    return texts if all(found) else None


def without_tests(source: str, tests: Iterable[TestId]) -> str | None:
    """The file without the functions of these tests, and without classes that hold nothing else. None where one of
    them isn't there."""
    tree = parsed(source)
    if tree is None:
        return None
    gone: list[ast.stmt] = []
    for class_name, name in sorted({(test.class_name, test.name) for test in tests}):
        owner = next((each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == class_name), None)
        body = owner.body if owner else tree.body
        found = [each for each in body if isinstance(each, Function) and each.name == name]
        if not found or (class_name and owner is None):
            return None
        gone += found
    gone += [each for each in tree.body if isinstance(each, ast.ClassDef) and _holds_only(each, gone)]
    return _without(source, gone)


def _holds_only(owner: ast.ClassDef, gone: Sequence[ast.stmt]) -> bool:
    return any(each in gone for each in owner.body) and all(each in gone for each in owner.body)


def _without(source: str, gone: Sequence[ast.stmt]) -> str:
    lines: list[str | None] = [*source.split("\n")]
    for statement in gone:
        decorators = [each.lineno for each in getattr(statement, "decorator_list", [])]
        for line in range(min([statement.lineno, *decorators]), (statement.end_lineno or statement.lineno) + 1):
            lines[line - 1] = None
    return "\n".join(line for line in lines if line is not None)
