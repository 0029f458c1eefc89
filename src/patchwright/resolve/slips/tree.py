"""What is asked about a syntax tree of Python alone, without its text."""

import ast
from collections.abc import Iterable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def children(value: object) -> Iterator[ast.AST]:
    if isinstance(value, ast.AST):
        yield value
    elif isinstance(value, list):
        yield from (child for child in value if isinstance(child, ast.AST))  # pyright: ignore[reportUnknownVariableType]


def parameters(arguments: ast.arguments) -> list[str]:
    plain = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    return [argument.arg for argument in plain if argument]


def stored(nodes: Iterable[ast.AST]) -> list[str]:
    return [n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for field, value in ast.iter_fields(node):
        if field in {"body", "orelse", "finalbody"} and isinstance(value, list) and value:
            yield value  # pyright: ignore[reportUnknownVariableType]


def siblings(parent: ast.AST, node: ast.stmt) -> list[ast.stmt]:
    return next((body for body in bodies(parent) if node in body), [node])
