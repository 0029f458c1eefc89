"""Slips in statements: one too much, one missing, one in the wrong block."""

import ast
import re
from collections.abc import Iterator

from patchwright.resolve.slips.change import Change, shown
from patchwright.resolve.slips.located_code import LocatedCode
from patchwright.resolve.slips.tree import FUNCTIONS, SCOPES, bodies, parameters, siblings

_QUOTES = re.compile("\"\"\"|'''")


def results(code: LocatedCode, node: ast.AST) -> Iterator[Change]:
    """A `return` that is missing, or that gives a constant where a variable is meant."""
    match node:
        case ast.Return(value=ast.Constant() as constant):
            for name in code.names(node):
                yield code.replaced(constant, name, 4)
        case ast.Expr(value=ast.Call()) if _ends_function(code, node):
            start = code.span(node)[0]
            yield Change(start, start, "return ", 2, f"`{shown(code.written(node))}` → `return …`")
        case ast.stmt() if _ends_function(code, node) and not isinstance(node, ast.Return | ast.Raise):
            scope = code.scope(node)
            if not any(isinstance(inner, ast.Return | ast.Yield | ast.YieldFrom) for inner in ast.walk(scope)):
                for name in reversed(code.names(node)):
                    yield from code.inserted(node, f"return {name}", 4, "after")
        case _:
            return


def _ends_function(code: LocatedCode, node: ast.stmt) -> bool:
    parent = code.parent(node)
    return isinstance(parent, FUNCTIONS) and parent.body[-1] is node and parent.name != "__init__"


def moved(code: LocatedCode, node: ast.AST) -> Iterator[Change]:
    """A statement deleted, moved out of its block, or into the block before it; `break` for `continue`."""
    if not isinstance(node, ast.stmt) or isinstance(node, SCOPES) or (span := code.lines_of(node)) is None:
        return
    parent, text = code.parent(node), code.text[span[0] : span[1]]
    beside = siblings(parent, node)
    title, unit = shown(code.written(node)), code.unit
    if isinstance(node, ast.Break | ast.Continue):
        yield code.replaced(node, "continue" if isinstance(node, ast.Break) else "break", 2)
    if len(beside) > 1 and not isinstance(node, ast.Import | ast.ImportFrom):
        yield Change(*span, "", 5, f"delete `{title}`")
    if _QUOTES.search(text):  # moving the lines of a string would change it
        return
    last = node is beside[-1] and isinstance(parent, ast.stmt) and code.span(parent)[1] == code.span(node)[1]
    if last and len(beside) > 1 and not isinstance(parent, SCOPES):
        out = "".join(line.removeprefix(unit) for line in text.splitlines(keepends=True))
        yield Change(*span, out, 4, f"move `{title}` out of the block")
    before = beside[beside.index(node) - 1] if beside.index(node) else None
    if before is not None and any(bodies(before)) and not isinstance(before, SCOPES):
        into = "".join(unit + line if line.strip() else line for line in text.splitlines(keepends=True))
        yield Change(*span, into, 4, f"move `{title}` into the block before it")


def guards(code: LocatedCode, node: ast.AST) -> Iterator[Change]:
    """For a parameter that may be None or empty, and for a default that calls share."""
    if not isinstance(node, FUNCTIONS):
        return
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    if not body:
        return
    unit = code.unit
    for name in [name for name in parameters(node.args) if name not in {"self", "cls"}]:
        for value in ("None", "False"):
            yield from code.inserted(body[0], f"if {name} is None:\n{unit}return {value}", 6)
        for value in (name, "0", "[]"):
            yield from code.inserted(body[0], f"if not {name}:\n{unit}return {value}", 7)
    arguments = [*node.args.posonlyargs, *node.args.args]
    for argument, default in zip(reversed(arguments), reversed(node.args.defaults), strict=False):
        if isinstance(default, ast.List | ast.Dict | ast.Set):
            (start, end), text = code.span(default), code.written(default)
            for guard in code.inserted(body[0], f"if {argument.arg} is None:\n{unit}{argument.arg} = {text}", 1):
                new = "None" + code.text[end : guard.start] + guard.new
                yield Change(start, guard.start, new, 1, f"`{argument.arg}={shown(text)}` → a new one for each call")
