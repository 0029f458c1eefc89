"""Symbols: the functions and classes of a file, and what the file holds outside of them."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import Literal

import tree_sitter_python
from tree_sitter import Language, Node, Parser, Query, QueryCursor

from patchwright.repo.index.terms import LONGEST_WORD
from patchwright.schema.record import Record

LARGEST_BYTES = 1_000_000
"""A larger file has no symbols."""
DEEPEST = 20
"""A definition inside of so many others belongs to the one around it."""
DEEPEST_NODE = 500
"""Deeper in the syntax tree nothing is looked for: the search takes quadratic time there."""
MOST_WORDS = 20_000
LONGEST_SIGNATURE = 400
MOST_BROKEN = 5_000
"""A Python file with more nodes around syntax errors, or in one, has no symbol but the module."""

_WORD = re.compile(r"[^\W\d]\w+")
_BINARY_PREFIX = 8_000
_BOM = b"\xef\xbb\xbf"
_QUERY = """
(function_definition) @function
(class_definition) @class
(decorated_definition) @decorated
(call function: (identifier) @call)
(call function: (attribute attribute: (identifier) @call))
"""

SymbolKind = Literal["function", "class", "module"]


class Symbol(Record):
    """A function, a class, or a module. What it says of its text leaves out the symbols inside of it."""

    name: str
    """Qualified within the module: `Class.method`, `outer.inner`; empty for the module."""
    kind: SymbolKind
    start_line: int
    """From 1, decorators included."""
    end_line: int
    body_line: int
    """Where the body begins: the lines above run when it is defined, not when it is called."""
    signature: str = ""
    """From `def` or `class` to the colon, on one line; empty for a module."""
    identifiers: tuple[str, ...] = ()
    """The distinct words of its text, comments and strings included, in order of appearance."""
    calls: tuple[str, ...] = ()
    """The distinct last names of what it calls: `c` for `a.b.c()`."""

    @property
    def last_name(self) -> str:
        return self.name.rpartition(".")[2]


class _Definition:
    """A definition while its file is being read. `start` and `end` are bytes, decorators included."""

    def __init__(self, node: Node, kind: SymbolKind, first: Node, around: "_Definition | None") -> None:
        body = node.child_by_field_name("body")
        self.node, self.around = node, around
        self.kind: SymbolKind = kind
        self.start, self.end = first.start_byte, node.end_byte
        self.start_line, self.end_line = first.start_point.row + 1, _last_line(node)
        self.header_end = body.start_byte if body else node.end_byte
        self.body_line = min(_body_line(node, body), self.end_line)
        self.name = _qualified(node, around)
        self.depth = around.depth + 1 if around else 1
        self.inside: list[_Definition] = []
        self.calls: dict[str, None] = {}


def symbols_of(source: bytes) -> tuple[Symbol, ...]:
    """The symbols of a Python file in order of appearance, the module first. Broken syntax loses what is broken.

    None for a file that is empty, binary or larger than LARGEST_BYTES.
    """
    source = source.removeprefix(_BOM)
    if not _is_readable(source):
        return ()
    captures = _captures(source)
    if captures is None:
        return text_symbols(source)
    definitions = _definitions(captures)
    outer = [definition for definition in definitions if definition.around is None]
    module_calls = _place_calls(captures.get("call", []), definitions)
    module = _module(source, list(_outside(source, 0, len(source), outer)), tuple(module_calls))
    return (module, *(_symbol(source, definition) for definition in definitions))


def text_symbols(source: bytes) -> tuple[Symbol, ...]:
    """A file in any other language: one symbol, the module."""
    return (_module(source, [source], ()),) if _is_readable(source) else ()


def _is_readable(source: bytes) -> bool:
    return 0 < len(source) <= LARGEST_BYTES and b"\0" not in source[:_BINARY_PREFIX]


@cache
def _python() -> tuple[Language, Query]:
    language = Language(tree_sitter_python.language())
    return language, Query(language, _QUERY)


def _captures(source: bytes) -> dict[str, list[Node]] | None:
    """What the query finds; None where it would take too long."""
    language, query = _python()
    root = Parser(language).parse(source).root_node
    if root.has_error and _is_hopeless(root):
        return None
    cursor = QueryCursor(query)
    cursor.set_max_start_depth(DEEPEST_NODE)
    return cursor.captures(root)


def _is_hopeless(root: Node) -> bool:
    """Whether the parser gave up over a long stretch or at many places: a search there takes quadratic time.

    An hour would go into a megabyte of opening brackets. (A search that is told to stop crashes tree-sitter 0.26.)
    """
    nodes = [root]
    for _ in range(MOST_BROKEN):
        if not nodes:
            return False
        node = nodes.pop()
        if node.is_error and node.child_count > MOST_BROKEN:
            return True
        nodes.extend(child for child in node.children if child.has_error)
    return True


def _definitions(captures: dict[str, list[Node]]) -> list[_Definition]:
    wholes = ((whole.child_by_field_name("definition"), whole) for whole in captures.get("decorated", []))
    decorated = {definition.start_byte: whole for definition, whole in wholes if definition}
    kinds: tuple[SymbolKind, ...] = ("function", "class")
    nodes: list[tuple[Node, SymbolKind]] = [(node, kind) for kind in kinds for node in captures.get(kind, [])]
    definitions: list[_Definition] = []
    around: _Definition | None = None
    for node, kind in sorted(nodes, key=lambda found: (found[0].start_byte, -found[0].end_byte)):
        while around and around.end <= node.start_byte:
            around = around.around
        if around and around.depth >= DEEPEST:
            continue
        definition = _Definition(node, kind, decorated.get(node.start_byte, node), around)
        if around:
            around.inside.append(definition)
        definitions.append(definition)
        around = definition
    return definitions


def _qualified(node: Node, around: _Definition | None) -> str:
    name = node.child_by_field_name("name")
    text = _text(name.text or b"") if name else ""
    return f"{around.name}.{text}" if around else text


def _last_line(node: Node) -> int:
    """A node that ends at the start of a line does not reach into it."""
    row, column = node.end_point
    return row + 1 if column or row == node.start_point.row else row


def _body_line(node: Node, body: Node | None) -> int:
    return (body or node).start_point.row + 1


def _place_calls(calls: list[Node], definitions: list[_Definition]) -> dict[str, None]:
    """Gives each call to the innermost definition around it; returns those of the module."""
    starts = [definition.start for definition in definitions]
    module: dict[str, None] = {}
    for call in sorted(calls, key=lambda node: node.start_byte):
        place = bisect_right(starts, call.start_byte) - 1
        definition = definitions[place] if place >= 0 else None
        while definition and definition.end <= call.start_byte:
            definition = definition.around
        (definition.calls if definition else module)[_text(call.text or b"")] = None
    return module


def _symbol(source: bytes, definition: _Definition) -> Symbol:
    pieces = list(_outside(source, definition.start, definition.end, definition.inside))
    header = _text(source[definition.node.start_byte : definition.header_end][: 4 * LONGEST_SIGNATURE])
    return Symbol(
        name=definition.name,
        kind=definition.kind,
        start_line=definition.start_line,
        end_line=definition.end_line,
        body_line=definition.body_line,
        signature=" ".join(header.split()).removesuffix(":")[:LONGEST_SIGNATURE],
        identifiers=_words(pieces),
        calls=tuple(definition.calls),
    )


def _module(source: bytes, pieces: list[bytes], calls: tuple[str, ...]) -> Symbol:
    lines = source.count(b"\n") + (not source.endswith(b"\n"))
    words = _words(pieces)
    return Symbol(name="", kind="module", start_line=1, end_line=lines, body_line=1, identifiers=words, calls=calls)


def _outside(source: bytes, start: int, end: int, inside: list[_Definition]) -> Iterator[bytes]:
    for definition in inside:
        yield source[start : definition.start]
        start = definition.end
    yield source[start:end]


def _words(pieces: list[bytes]) -> tuple[str, ...]:
    words = dict.fromkeys(word for piece in pieces for word in _WORD.findall(_text(piece)))
    return tuple(word for word in words if len(word) <= LONGEST_WORD)[:MOST_WORDS]


def _text(source: bytes) -> str:
    return source.decode("utf-8", "replace")
