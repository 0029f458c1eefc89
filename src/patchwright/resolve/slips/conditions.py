"""Slips in conditions: a part too much, a part that is missing, a `not`."""

import ast
from collections.abc import Iterator

from patchwright.resolve.slips.change import Change
from patchwright.resolve.slips.located_code import LocatedCode


def conditions(code: LocatedCode, node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield code.replaced(node, code.operand(operand), 1)
        case ast.BoolOp():
            for value in node.values:
                rest = [code.clause(other) for other in node.values if other is not value]
                word = " and " if isinstance(node.op, ast.And) else " or "
                yield code.replaced(node, word.join(rest), 5)
        case _:
            pass
    if isinstance(node, ast.expr) and code.role(node)[1] == "test" and code.role(node)[0] in {"If", "While", "IfExp"}:
        yield from _tests(code, node)


def _tests(code: LocatedCode, node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.Constant):
        return
    text = code.clause(node)
    for name in dict.fromkeys(_dereferenced(node)):
        yield code.replaced(node, f"{name} is None or {text}", 3)
        yield code.replaced(node, f"{name} is not None and {text}", 3)
    if not isinstance(node, ast.UnaryOp):
        yield code.replaced(node, f"not {code.operand(node)}", 3)


def _dereferenced(node: ast.expr) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute | ast.Subscript) and isinstance(inner.value, ast.Name):
            yield inner.value.id
