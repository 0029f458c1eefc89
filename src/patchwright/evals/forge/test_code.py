"""A test as the program that somebody would write to see the same thing."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from patchwright.resolve.sources import parsed

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class TestId:
    """A test by pytest's id for it: `tests/test_x.py::TestA::test_b[case]`."""

    __test__ = False  # not a test class, whatever its name says to pytest

    path: str
    class_name: str
    name: str
    case: str

    @classmethod
    def parsed(cls, test: str) -> "TestId":
        plain, _, case = test.partition("[")
        path, *names = plain.split("::")
        return cls(path, names[0] if len(names) > 1 else "", names[-1] if names else "", case.removesuffix("]"))


@dataclass(frozen=True)
class TestModule:
    """A test file's syntax: where its names come from, its tests and its fixtures."""

    __test__ = False

    path: Path
    tree: ast.Module

    @classmethod
    @lru_cache(maxsize=64)  # every test of a file, and every conftest.py for every test
    def read(cls, path: Path) -> "TestModule | None":
        tree = parsed(path.read_text(encoding="utf-8")) if path.is_file() else None
        return cls(path, tree) if tree else None

    @cached_property
    def definitions(self) -> dict[str, ast.stmt]:
        """The statement of the module that binds each name, the last one where there are several."""
        return {name: statement for statement in self.tree.body for name in bound_names(statement)}

    def class_named(self, name: str) -> ast.ClassDef | None:
        found = self.definitions.get(name)
        return found if isinstance(found, ast.ClassDef) else None

    def function(self, test: TestId) -> Function | None:
        """The test's own function: in its class, where it has one. Inherited ones are not looked for."""
        owner = self.class_named(test.class_name) if test.class_name else self.tree
        return function_in(owner.body, test.name) if owner else None

    def fixture(self, name: str, class_name: str) -> "tuple[TestModule, Function] | None":
        """The fixture of that name: in the class, in this file, or in the nearest conftest.py."""
        owner = self.class_named(class_name)
        for body in ([owner.body] if owner else []) + [self.tree.body]:
            if (found := function_in(body, name)) and _is_fixture(found):
                return self, found
        for directory in list(self.path.parents)[:3]:
            conftest = TestModule.read(directory / "conftest.py")
            if conftest and (found := function_in(conftest.tree.body, name)) and _is_fixture(found):
                return conftest, found
        return None


def defining(tree: Path, test: TestId) -> TestId | None:
    """The test where its code is: in its class, or in the class that this inherits it from, here or in another file."""
    module = TestModule.read(tree / test.path)
    if module is None:
        return None
    if module.function(test):
        return test
    owner = module.class_named(test.class_name)
    for base in owner.bases if owner else ():
        if isinstance(base, ast.Name) and (inherited := _imported(tree, module, test, base.id)):
            return defining(tree, inherited)
    return None


def _imported(tree: Path, module: TestModule, test: TestId, class_name: str) -> TestId | None:
    """The same test in the class of that name, in the file that it comes from."""
    match module.definitions.get(class_name):
        case ast.ClassDef():
            return replace(test, class_name=class_name)
        case ast.ImportFrom(module=name, level=level):
            start = module.path.parents[level - 1] if level else tree
            place = start.joinpath(*(name or "").split("."))
            found = next((each for each in (place.with_suffix(".py"), place / "__init__.py") if each.is_file()), None)
            return replace(test, path=found.relative_to(tree).as_posix(), class_name=class_name) if found else None
        case _:
            return None


def bound_names(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module or a function binds."""
    match statement:
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (name.asname or name.name.partition(".")[0] for name in names)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case _:
            yield from (
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            )


def used_names(nodes: Sequence[ast.AST]) -> set[str]:
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def function_in(body: Sequence[ast.stmt], name: str) -> Function | None:
    found = (node for node in body if isinstance(node, Function) and node.name == name)
    return next(found, None)


def _is_fixture(function: Function) -> bool:
    """A fixture without parameters of its own."""
    plain = [ast.unparse(decorator) for decorator in function.decorator_list]
    return any("fixture" in text and "params" not in text for text in plain)
