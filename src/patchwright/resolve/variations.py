"""Variations: programs like the one that shows the issue, which tell apart candidates that all make it pass.

Candidates that come to the same on each of them agree, though they are written differently: Chen et al., CodeT
(2022), take agreement on generated inputs for a measure of being right. Nobody knows what would be right here.
"""

import ast
import re
from collections.abc import Iterator
from itertools import chain, islice, zip_longest

from patchwright.resolve.sources import parsed

MOST = 24
_NUMBER = re.compile(r"\d+")


def variations(program: str) -> tuple[str, ...]:
    """Programs that differ from this one in one literal each. They print what it asserts.

    Empty where it is no Python, is nested too deep to be written again, or has no literal. The same on every call.
    """
    tree = parsed(program)
    try:
        return tuple(islice(_variations(tree), MOST)) if tree else ()
    except RecursionError:
        return ()


def _variations(tree: ast.Module) -> Iterator[str]:
    text = ast.unparse(ast.fix_missing_locations(_Showing().visit(tree)))
    shown = ast.parse(text)
    kept = {id(inner) for node in ast.walk(shown) if isinstance(node, ast.JoinedStr) for inner in ast.walk(node)}
    literals = (node for node in ast.walk(shown) if isinstance(node, ast.expr) and id(node) not in kept)
    replaced = ([_replaced(text, node, new) for new in _others(node)] for node in literals)
    one_of_each_first = chain.from_iterable(zip_longest(*replaced))
    yield from dict.fromkeys(varied for varied in one_of_each_first if varied and varied != text)


class _Showing(ast.NodeTransformer):
    """Assertions as prints of what they look at."""

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        value = node.test.left if isinstance(node.test, ast.Compare) else node.test
        return ast.parse(f"print(repr({ast.unparse(value)}))").body[0]


def _replaced(text: str, node: ast.expr, new: str) -> str:
    lines = text.encode().split(b"\n")
    start = sum(len(line) + 1 for line in lines[: node.lineno - 1]) + node.col_offset
    end = sum(len(line) + 1 for line in lines[: (node.end_lineno or node.lineno) - 1]) + (node.end_col_offset or 0)
    data = text.encode()
    return (data[:start] + new.encode() + data[end:]).decode()


def _others(node: ast.expr) -> Iterator[str]:
    """Other literals of the same kind, as they are written: neighbours first, then extremes."""
    match node:
        case ast.Constant(value=bool() as value):
            yield repr(not value)
        case ast.Constant(value=None):
            yield from ("0", "''", "[]")
        case ast.Constant(value=int() as number):
            yield from map(repr, (number + 1, number - 1, 0, 10 * number, -number))
        case ast.Constant(value=float() as number):
            yield from map(repr, (number + 0.5, 0.0, 10 * number, -number))
        case ast.Constant(value=str() as string):
            yield from map(repr, _other_strings(string))
        case ast.List(elts=elements, ctx=ast.Load()) if elements:
            yield from (f"[{', '.join(map(ast.unparse, part))}]" for part in _other_orders(elements))
        case _:
            pass


def _other_strings(string: str) -> Iterator[str]:
    for number in islice(_NUMBER.finditer(string), 3):
        yield from (
            string[: number.start()] + other + string[number.end() :] for other in (str(int(number[0]) + 1), "0")
        )
    yield from (string[:-1], string[1:], "", string * 2)


def _other_orders(elements: list[ast.expr]) -> Iterator[list[ast.expr]]:
    yield from (elements[:-1], elements[1:], elements[::-1], [*elements, elements[0]], [])
