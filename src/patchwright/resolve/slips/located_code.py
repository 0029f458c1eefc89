"""The Python text of a location with its syntax tree: where things stand, what they stand for, how they are changed."""

import ast
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property

from patchwright.resolve.slips.change import Change, shown
from patchwright.resolve.slips.tree import (
    COMPREHENSIONS,
    FUNCTIONS,
    SCOPES,
    Function,
    bodies,
    children,
    parameters,
    stored,
)
from patchwright.resolve.sources import parsed
from patchwright.schema.resolution import Location

_MOST_NAMES = 12
"""Other names that are tried in one place."""
WRAPPER = "if True:\n"
"""What indented text is parsed behind."""
_LOOSE = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift)
_ATOMS = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant, ast.List, ast.ListComp, ast.Dict, ast.Tuple)


class LocatedCode:
    """The text of a location with its syntax tree, and what slips ask about it."""

    def __init__(self, before: str, wrapper: str, text: str, after: str, tree: ast.Module, location: Location) -> None:
        self.before, self.wrapper, self.text, self.after, self.tree = before, wrapper, text, after, tree
        self.newline = "\r\n" if "\r\n" in before + text + after else "\n"
        self._first_line = location.start_line - (1 if wrapper else 0)
        self._starts = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", text))]
        self.parents: dict[ast.AST, tuple[ast.AST, str]] = {
            child: (node, field)
            for node in ast.walk(tree)
            for field, value in ast.iter_fields(node)
            for child in children(value)
        }
        self.nodes = sorted(self._nodes(location), key=self.span)

    @classmethod
    def at(cls, source: str, location: Location) -> "LocatedCode | None":
        lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", source)
        first, last = location.start_line - 1, location.end_line
        text = "".join(lines[first:last])
        wrapper = WRAPPER if text[:1].isspace() and text.strip() else ""
        tree = parsed(wrapper + text)
        if tree is None:
            return None
        return cls("".join(lines[:first]), wrapper, wrapper + text, "".join(lines[last:]), tree, location)

    def _nodes(self, location: Location) -> Iterator[ast.expr | ast.stmt]:
        for node in ast.walk(self.tree):
            outer = list(self.around(node))
            # Before Python 3.12, what stands in an f-string has no positions of its own.
            if not isinstance(node, ast.expr | ast.stmt) or any(isinstance(one, ast.JoinedStr) for one in outer):
                continue
            own = location.kind != "module" or not any(isinstance(one, SCOPES) for one in outer)
            if own and self.span(node)[0] >= len(self.wrapper):
                yield node

    def piece(self, node: ast.AST, change: Change) -> tuple[int, int]:
        """The lines around a change of `node` that it can be judged by: those of a statement outside of functions."""
        span = next((self._pieces[outer] for outer in (node, *self.around(node)) if outer in self._pieces), None)
        if span and span[0] <= change.start and change.end <= span[1] and span != (change.start, change.end):
            return span
        return len(self.wrapper), len(self.text)

    @cached_property
    def _pieces(self) -> dict[ast.AST, tuple[int, int]]:
        pending = [self.tree.body[0]] if self.wrapper else self.tree.body
        found: dict[ast.AST, tuple[int, int]] = {}
        while pending:
            node, *pending = pending
            if isinstance(node, ast.ClassDef) or (self.wrapper and node is self.tree.body[0]):
                pending = [*pending, *(child for body in bodies(node) for child in body)]
            elif span := self.lines_of(node):
                found[node] = span
        return found

    def file_line(self, offset: int) -> int:
        return self._first_line + bisect_right(self._starts, offset) - 1

    def offset(self, line: int, column: int) -> int:
        """`column` counts bytes of UTF-8, as `ast` does."""
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        return start + len(self.text[start:end].encode("utf-8", "surrogatepass")[:column].decode(errors="replace"))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset
        return self.offset(node.lineno, node.col_offset), self.offset(end_line, end_column or 0)

    def written(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def operand(self, node: ast.expr) -> str:
        """Its text, in parentheses where it may need some beside an operator."""
        return self.written(node) if isinstance(node, _ATOMS) else f"({self.written(node)})"

    def term(self, node: ast.expr) -> str:
        """Its text, in parentheses where it may need some in a sum."""
        product = isinstance(node, ast.BinOp) and not isinstance(node.op, _LOOSE)
        return self.written(node) if product else self.operand(node)

    def clause(self, node: ast.expr) -> str:
        """Its text, in parentheses where it may need some beside `and` and `or`."""
        tight = isinstance(node, ast.Compare | ast.BinOp | ast.UnaryOp)
        return self.written(node) if tight else self.operand(node)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes that hold it, from the inside."""
        while node in self.parents:
            node = self.parents[node][0]
            yield node

    def parent(self, node: ast.AST) -> ast.AST:
        return self.parents[node][0]

    def role(self, node: ast.AST) -> tuple[str, str]:
        """What it stands for in what holds it, such as ("Call", "args")."""
        parent, field = self.parents[node]
        return type(parent).__name__, field

    def scope(self, node: ast.AST) -> Function | ast.Module:
        return next((outer for outer in self.around(node) if isinstance(outer, FUNCTIONS)), self.tree)

    @cached_property
    def first_lines(self) -> dict[int, int]:
        """For each line the first one of the innermost statement that it belongs to."""
        found: dict[int, int] = {}
        for node in self.nodes:
            if isinstance(node, ast.stmt):
                first = self.file_line(self.span(node)[0])
                found |= dict.fromkeys(range(first, first + (node.end_lineno or node.lineno) - node.lineno + 1), first)
        return found

    @cached_property
    def subscripts(self) -> dict[ast.AST, list[str]]:
        """The subscripts in each function, as they are written."""
        found: dict[ast.AST, dict[str, None]] = defaultdict(dict)
        for node in self.nodes:
            if isinstance(node, ast.Subscript):
                found[self.scope(node)][self.written(node)] = None
        return {scope: list(texts) for scope, texts in found.items()}

    def names(self, node: ast.AST) -> list[str]:
        """The variables that it can see inside of the location: parameters first, then in order of assignment."""
        found: dict[str, None] = {}
        for outer in self.around(node):
            if isinstance(outer, COMPREHENSIONS):
                found |= dict.fromkeys(stored(generator.target for generator in outer.generators))
            elif isinstance(outer, ast.Lambda):
                found |= dict.fromkeys(parameters(outer.args))
            elif isinstance(outer, (*FUNCTIONS, ast.Module)):
                found |= dict.fromkeys(self._scope_names[outer])
        return [name for name in found if name not in {"self", "cls", "_"}]

    @cached_property
    def _scope_names(self) -> dict[ast.AST, list[str]]:
        found: dict[ast.AST, list[str]] = {self.tree: []}
        for node in ast.walk(self.tree):
            if isinstance(node, FUNCTIONS):
                found[node] = parameters(node.args)
        names = (n for n in self.nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        for node in names:
            if not any(isinstance(outer, (*COMPREHENSIONS, ast.Lambda)) for outer in self.around(node)):
                found[self.scope(node)].append(node.id)
        return found

    @cached_property
    def roles(self) -> dict[str, set[tuple[str, str]]]:
        """What each name and each attribute stands for in the location."""
        found: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name):
                found[node.id].add(self.role(node))
            elif isinstance(node, ast.Attribute):
                found[f".{node.attr}"].add(self.role(node))
        return found

    def alike(self, name: str, role: tuple[str, str], others: Iterable[str]) -> list[str]:
        """The others, those first that are used in the same role, then those that share more roles with it."""
        own = self.roles[name]
        ranked = sorted(
            (other for other in others if other != name),
            key=lambda other: (role not in self.roles[other], -len(own & self.roles[other])),
        )
        return ranked[:_MOST_NAMES]

    def replaced(self, node: ast.expr | ast.stmt, new: str, weight: int) -> Change:
        return self.changed(*self.span(node), new, weight)

    def changed(self, start: int, end: int, new: str, weight: int) -> Change:
        return Change(start, end, new, weight, f"`{shown(self.text[start:end])}` → `{shown(new)}`")

    # Statements that stand on lines of their own

    def lines_of(self, node: ast.stmt) -> tuple[int, int] | None:
        """From the start of its first line to the end of its last; None when it shares them with something else."""
        start, end = self.span(node)
        if isinstance(node, SCOPES) and node.decorator_list:
            start = self.span(node.decorator_list[0])[0] - 1
        number = bisect_right(self._starts, start) - 1
        first, ending = self._starts[number], bisect_left(self._starts, end)
        last = self._starts[ending] if ending < len(self._starts) else len(self.text)
        rest = self.text[end:last].strip()
        return None if self.text[first:start].strip() or (rest and not rest.startswith("#")) else (first, last)

    def indentation(self, node: ast.stmt) -> str:
        start = self.span(node)[0]
        return self.text[self._starts[bisect_right(self._starts, start) - 1] : start]

    @cached_property
    def unit(self) -> str:
        """One more level of indentation."""
        for node in self.nodes:
            if isinstance(node, ast.stmt) and isinstance(outer := self.parent(node), ast.stmt) and outer.lineno > 1:
                inner, start = self.indentation(node), self.indentation(outer)
                if inner.startswith(start) and not inner[len(start) :].strip() and inner != start:
                    return inner[len(start) :]
        return "    "

    def inserted(self, node: ast.stmt, new: str, weight: int, where: str = "before") -> Iterator[Change]:
        """`new`, lines without indentation, before or after a statement."""
        span = self.lines_of(node)
        if span is None:
            return
        text = "".join(f"{self.indentation(node)}{line}{self.newline}" for line in new.split("\n"))
        at = span[0] if where == "before" else span[1]
        if where == "after" and not self.text[:at].endswith(("\n", "\r")):
            text = self.newline + text.removesuffix(self.newline)
        yield Change(at, at, text, weight, f"insert `{shown(new)}` {where} `{shown(self.written(node))}`")
