"""Slips in names and values: one variable, attribute or expression for another that the location holds."""

import ast
from collections.abc import Iterator

from patchwright.resolve.slips.change import Change
from patchwright.resolve.slips.located_code import LocatedCode

_TWINS = {"any": "all", "all": "any", "min": "max", "max": "min"}
_TWIN_METHODS = {
    "append": "extend",
    "extend": "append",
    "add": "update",
    "update": "add",
    "startswith": "endswith",
    "endswith": "startswith",
    "lstrip": "rstrip",
    "rstrip": "lstrip",
}


def other_names(code: LocatedCode, node: ast.AST) -> Iterator[Change]:
    """A name or an attribute for another one that the function uses."""
    match node:
        case ast.Name() if code.role(node) == ("Call", "func"):
            if twin := _TWINS.get(node.id):
                yield code.replaced(node, twin, 1)
        case ast.Name():
            weight = 4 if isinstance(node.ctx, ast.Load) else 6
            for name in code.alike(node.id, code.role(node), code.names(node)):
                yield code.replaced(node, name, weight)
        case ast.Attribute():
            start, end = code.span(node.value)[1], code.span(node)[1]
            if twin := _TWIN_METHODS.get(node.attr):
                yield code.changed(start, end, f".{twin}", 1)
            others = [name for name in code.roles if name.startswith(".")]
            for name in code.alike(f".{node.attr}", code.role(node), others):
                yield code.changed(start, end, name, 4)
        case _:
            return


def other_values(code: LocatedCode, node: ast.AST) -> Iterator[Change]:
    """An expression for a variable, for what it is made of, or for another of its kind."""
    if not isinstance(node, ast.Call | ast.Subscript) or code.role(node) == ("Expr", "value"):
        return
    if isinstance(node, ast.Call) and len(node.args) == 1 and not isinstance(node.args[0], ast.Starred):
        yield code.replaced(node, code.written(node.args[0]), 5)
        if code.role(node) == ("Yield", "value"):
            yield code.replaced(node, f"from {code.written(node)}", 2)
    if isinstance(getattr(node, "ctx", None), ast.Load) or isinstance(node, ast.Call):
        for name in code.names(node):
            yield code.replaced(node, name, 7)
    if isinstance(node, ast.Subscript):
        for text in code.subscripts[code.scope(node)]:
            yield code.replaced(node, text, 6)
