"""Snippets: a test turned into a program that prints what the test would check."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from patchwright.evals.forge.members import Members, Unsuitable
from patchwright.evals.forge.test_code import Function, TestId, TestModule, bound_names, defining, used_names

_LONGEST_BODY = 40
_RAISES = {"pytest.raises", "raises", "self.assertRaises", "self.assertRaisesRegex"}
_SHOWS_SECOND = {"assertIn", "assertNotIn"}
_FOR_TESTS = frozenset({"pytest", "self", "cls", "request", "monkeypatch", "tmp_path", "capsys", "unittest", "mock"})
"""Names that only a test has a use for."""


@dataclass(frozen=True)
class Snippet:
    """A program: statements, and the definitions of the test's modules to take what they need from."""

    body: tuple[ast.stmt, ...]
    modules: tuple[TestModule, ...]

    @cached_property
    def text(self) -> str:
        """The program, with no more of the modules than it needs."""
        needed: list[ast.stmt] = []
        pending, known = used_names(self.body), {name for each in self.body for name in bound_names(each)}
        while pending - known:
            name = min(pending - known)
            known.add(name)
            found = next((module.definitions[name] for module in self.modules if name in module.definitions), None)
            if found and found not in needed:
                needed.append(found)
                pending |= used_names([found])
        in_order = [each for module in self.modules for each in module.tree.body if each in needed]
        imports = [_narrowed(each, known) for each in in_order if isinstance(each, ast.Import | ast.ImportFrom)]
        others = [each for each in in_order if not isinstance(each, ast.Import | ast.ImportFrom)]
        parts = [
            "\n".join(map(ast.unparse, imports)),
            *map(ast.unparse, others),
            "\n".join(map(ast.unparse, self.body)),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    @property
    def is_plain(self) -> bool:
        """Whether somebody who has the installed package alone could run it."""
        tree = ast.parse(self.text)
        names = used_names([tree]) | {alias.name for node in ast.walk(tree) for alias in _aliases(node)}
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        relative = any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))
        own = {name.partition(".")[0] for name in modules | names}
        return not relative and own.isdisjoint({*_FOR_TESTS, "tests", "test"})

    def without(self, at: int) -> "Snippet":
        return replace(self, body=self.body[:at] + self.body[at + 1 :])


def snippet_of(tree: Path, test: str, position: int) -> Snippet | None:
    """The test as a program; None where it cannot be one. `position`: which of its function's cases it is, from 0."""
    identity = TestId.parsed(test)
    place = defining(tree, identity)
    module, own = TestModule.read(tree / place.path) if place else None, TestModule.read(tree / identity.path)
    if place is None or module is None or own is None:
        return None
    function = module.function(place)
    if function is None or isinstance(function, ast.AsyncFunctionDef):
        return None
    try:
        cases = _cases(function, own.class_named(identity.class_name), position)
        bound = {name for each in cases for name in bound_names(each)}
        modules, fixtures = _fixtures(module, function, identity.class_name, bound)
        members = Members.of(own.class_named(identity.class_name))
        body = (*members.statements, *cases, *fixtures, *_shown(members.plain(function.body)))
    except Unsuitable:
        return None
    snippet = Snippet(body, tuple(dict.fromkeys([*modules, own])))
    return snippet if len(body) <= _LONGEST_BODY and snippet.is_plain else None


def _cases(function: Function, owner: ast.ClassDef | None, position: int) -> list[ast.stmt]:
    """What pytest.mark.parametrize binds for the case at `position`."""
    decorators = function.decorator_list + (owner.decorator_list if owner else [])
    marks = [each for each in decorators if "parametrize" in ast.unparse(each)]
    if not marks:
        return []
    if len(marks) > 1 or not isinstance(marks[0], ast.Call) or len(marks[0].args) < 2:
        raise Unsuitable
    names, values = marks[0].args[:2]
    target = _target(names)
    if not target:
        raise Unsuitable
    if not isinstance(values, ast.List | ast.Tuple):
        return [ast.parse(f"{target} = list({ast.unparse(values)})[{position}]").body[0]]
    if position >= len(values.elts):
        raise Unsuitable
    value = values.elts[position]
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "pytest.param":
        value = value.args[0] if len(value.args) == 1 else ast.Tuple(value.args, ast.Load())
    return list(_assignments(target, value))


def _target(names: ast.expr) -> str:
    elements = names.elts if isinstance(names, ast.Tuple | ast.List) else [names]
    texts = [element.value for element in elements if isinstance(element, ast.Constant)]
    given = ",".join(text for text in texts if isinstance(text, str))
    return ", ".join(name.strip() for name in given.split(",") if name.strip())


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _assignments(target: str, value: ast.expr) -> Iterator[ast.stmt]:
    """One for each name, where the values stand there side by side."""
    names = target.split(", ")
    if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(names) > 1:
        for name, element in zip(names, value.elts, strict=True):
            yield ast.parse(f"{name} = {ast.unparse(element)}").body[0]
    else:
        yield ast.parse(f"{target} = {ast.unparse(value)}").body[0]


def _fixtures(
    module: TestModule, function: Function, class_name: str, bound: set[str]
) -> tuple[tuple[TestModule, ...], list[ast.stmt]]:
    """What the fixtures that the function asks for come down to, and the modules that this needs names of."""
    modules, body = [module], list[ast.stmt]()
    for argument in function.args.args:
        if argument.arg in {"self", *bound} or (
            argument.arg == "request" and "request" not in used_names(function.body)
        ):
            continue
        found = module.fixture(argument.arg, class_name)
        if not found:
            raise Unsuitable
        owner, fixture = found
        *before, last = fixture.body
        inner_modules, inner = _fixtures(owner, fixture, class_name, set())
        modules += [each for each in inner_modules if each not in modules]
        bound.add(argument.arg)
        body += [*inner, *_without_docstring(before), _bound(argument.arg, last)]
    return tuple(modules), body


def _bound(name: str, last: ast.stmt) -> ast.stmt:
    match last:
        case ast.Return(value=ast.expr() as value) | ast.Expr(value=ast.Yield(value=ast.expr() as value)):
            return ast.parse(f"{name} = {ast.unparse(value)}").body[0]
        case _:
            raise Unsuitable


def _without_docstring(body: Sequence[ast.stmt]) -> Sequence[ast.stmt]:
    first = body[0] if body else None
    is_docstring = isinstance(first, ast.Expr) and _is_text(first.value)
    return body[1:] if is_docstring else body


def _shown(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements with assertions turned into prints, up to the first that is to raise."""
    for statement in _without_docstring(body):
        match statement:
            case ast.Assert(test=test):
                yield _printed(_value_of(test))
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=method), args=args)):
                yield _of_unittest(method, args)
                if method.startswith("assertRaises"):
                    return
            case ast.With(items=[ast.withitem(context_expr=ast.Call(func=called))]) if ast.unparse(called) in _RAISES:
                yield from statement.body
                return
            case ast.With(items=[ast.withitem(context_expr=ast.Call(func=called))]) if (
                ast.unparse(called) == "self.subTest"
            ):
                yield from _shown(statement.body)
            case ast.For() | ast.With():
                inner = list(_shown(statement.body))
                yield _with_body(statement, inner)
            case ast.If() | ast.Try() | ast.While():
                raise Unsuitable
            case _:
                yield statement


def _with_body(statement: ast.For | ast.With, body: list[ast.stmt]) -> ast.stmt:
    if isinstance(statement, ast.For):
        return ast.For(statement.target, statement.iter, body, [], None, lineno=1)
    return ast.With(statement.items, body, None, lineno=1)


def _value_of(test: ast.expr) -> ast.expr:
    """What one would look at to see whether the condition holds."""
    match test:
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[container]):
            return container if isinstance(left, ast.Constant) else test
        case ast.Compare(left=ast.Constant(), ops=[_], comparators=[right]):
            return right
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is() | ast.IsNot()]):
            return left
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case _:
            return test


def _of_unittest(method: str, args: Sequence[ast.expr]) -> ast.stmt:
    if not method.startswith("assert") or not args:
        raise Unsuitable
    if method == "assertRaises" and len(args) > 1:
        return ast.Expr(ast.Call(args[1], list(args[2:]), []))
    first_is_plain = not any(isinstance(node, ast.Name | ast.Call) for node in ast.walk(args[0]))
    second = len(args) > 1 and (method in _SHOWS_SECOND or (first_is_plain and method.endswith("Equal")))
    return _printed(args[1] if second else args[0])


def _printed(value: ast.expr) -> ast.stmt:
    return ast.parse(f"print(repr({ast.unparse(value)}))").body[0]


def _aliases(node: ast.AST) -> Sequence[ast.alias]:
    return node.names if isinstance(node, ast.Import | ast.ImportFrom) else ()


def _narrowed(statement: ast.Import | ast.ImportFrom, known: set[str]) -> ast.stmt:
    """The import, of no more than the names in use."""
    names = [each for each in statement.names if (each.asname or each.name.partition(".")[0]) in known]
    if isinstance(statement, ast.Import):
        return ast.Import(names)
    return ast.ImportFrom(statement.module, names, statement.level)
