"""Slips in operators, their operands and constants: the operators of mutation testing, which undo themselves."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from patchwright.resolve.slips.change import Change
from patchwright.resolve.slips.located_code import LocatedCode

_COMPARISONS: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">", ">=", "!=")),
    ast.LtE: ("<=", ("<", ">=", ">", "==")),
    ast.Gt: (">", (">=", "<", "<=", "!=")),
    ast.GtE: (">=", (">", "<=", "<", "==")),
    ast.Eq: ("==", ("!=", "<=", ">=", "<", ">")),
    ast.NotEq: ("!=", ("==", "<", ">")),
    ast.In: ("in", ("not in", "==")),
    ast.NotIn: ("not in", ("in", "!=")),
    ast.Is: ("is", ("is not", "==")),
    ast.IsNot: ("is not", ("is", "!=")),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, tuple[str, ...]]] = {
    ast.Add: ("+", ("-", "*")),
    ast.Sub: ("-", ("+",)),
    ast.Mult: ("*", ("//", "/", "**", "+")),
    ast.Div: ("/", ("//", "*")),
    ast.FloorDiv: ("//", ("/", "%", "*")),
    ast.Mod: ("%", ("//", "/")),
    ast.Pow: ("**", ("*",)),
    ast.BitAnd: ("&", ("|", "^")),
    ast.BitOr: ("|", ("&", "^")),
    ast.BitXor: ("^", ("&", "|", "**")),
    ast.LShift: ("<<", (">>",)),
    ast.RShift: (">>", ("<<",)),
}


def operators(code: LocatedCode, node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare():
            for operator, (left, right) in zip(node.ops, pairwise([node.left, *node.comparators]), strict=True):
                symbol, others = _COMPARISONS[type(operator)]
                yield from _symbol(code, left, right, symbol, others, 0)
        case ast.BinOp():
            symbol, others = _ARITHMETIC.get(type(node.op), ("@", ()))
            yield from _symbol(code, node.left, node.right, symbol, others, 2)
        case ast.AugAssign():
            symbol, others = _ARITHMETIC.get(type(node.op), ("@", ()))
            yield from _symbol(code, node.target, node.value, symbol, others, 1)
        case ast.BoolOp():
            symbol, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in pairwise(node.values):
                yield from _symbol(code, left, right, symbol, (other,), 2)
        case _:
            return


def _symbol(
    code: LocatedCode, left: ast.expr, right: ast.expr, symbol: str, others: Iterable[str], weight: int
) -> Iterator[Change]:
    start, end = code.span(left)[1], code.span(right)[0]
    pattern = r"\s+".join(re.escape(word) for word in symbol.split())
    if found := re.compile(pattern).search(code.text, start, end):
        for other in others:
            yield code.changed(*found.span(), other, weight)


def constants(code: LocatedCode, node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Constant(value=bool()):
            yield code.replaced(node, str(not node.value), 1)
        case ast.Constant(value=int(value)) if value < 10**18:
            yield code.replaced(node, str(value - 1), 3)
            yield code.replaced(node, str(value + 1), 3)
        case _:
            return


def off_by_one(code: LocatedCode, node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield code.replaced(node, code.term(node.left), 2 if isinstance(node.right, ast.Constant) else 6)
        if isinstance(node.op, ast.Add):
            yield code.replaced(node, code.term(node.right), 2 if isinstance(node.left, ast.Constant) else 6)
    if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.BinOp):
        return
    if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant):  # its constant is changed already
        return
    weight = _off_by_one_weight(code, node)
    if weight is not None:
        for sign in "+-":
            new = f"{code.term(node)} {sign} 1"
            yield code.replaced(node, f"({new})" if weight == 3 else new, weight)


def _off_by_one_weight(code: LocatedCode, node: ast.expr) -> int | None:
    if isinstance(getattr(node, "ctx", None), ast.Store):
        return None
    parent = code.parent(node)
    match code.role(node):
        case ("Subscript", "slice") | ("Slice", _):
            return 1
        case ("Call", "args") if isinstance(parent, ast.Call):
            return 1 if isinstance(parent.func, ast.Name) and parent.func.id == "range" else 2
        case ("Tuple", _) if code.role(parent) == ("Subscript", "slice"):
            return 1
        case ("Return" | "Assign", "value"):
            return 5
        case ("Compare", _):
            return 4
        case _:
            lengths = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"
            return 3 if lengths else None


def swapped(code: LocatedCode, node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Call(args=values) | ast.Tuple(elts=values, ctx=ast.Load()):
            for left, right in pairwise(values):
                yield from _exchanged(code, left, right, code.written, 2)
        case ast.BinOp(op=ast.Sub() | ast.Div() | ast.FloorDiv() | ast.Mod()):
            yield from _exchanged_operands(code, node, 3)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            if not any(isinstance(side, ast.Constant) and isinstance(side.value, int) for side in (left, right)):
                yield from _exchanged_operands(code, node, 3)
        case _:
            return


def _exchanged(
    code: LocatedCode, left: ast.expr, right: ast.expr, written: Callable[[ast.expr], str], weight: int
) -> Iterator[Change]:
    if isinstance(left, ast.Starred) or isinstance(right, ast.Starred):
        return
    (start, left_end), (right_start, end) = code.span(left), code.span(right)
    yield code.changed(start, end, written(right) + code.text[left_end:right_start] + written(left), weight)


def _exchanged_operands(code: LocatedCode, node: ast.BinOp, weight: int) -> Iterator[Change]:
    symbol = _ARITHMETIC[type(node.op)][0]
    yield code.replaced(node, f"{code.operand(node.right)} {symbol} {code.operand(node.left)}", weight)
