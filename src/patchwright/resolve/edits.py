"""Edits: a model's answer, which gives a definition or a line anew, as a new version of the file."""

import ast
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from patchwright.resolve.sources import (
    DEFINITIONS,
    Definition,
    indentation,
    normalised,
    parsed,
    reindented,
    syntax_error,
    unended,
    unreachable,
)
from patchwright.schema.resolution import Location

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_HEADER = re.compile(r"[ \t]*(?:async[ \t]+def|def|class)\b")
_BACKTICKS = re.compile(r"`([^`\n]+)`")
_WRAPPER = "if True:"
_MOST_READINGS = 100
_NO_LINE = "with the answer in place of the line, the file does not parse. Write one complete line of code."


class Unusable(ValueError):
    """Why an answer is not an edit, in words that a model can correct itself by. Bounded only by the answer's size."""


class Unchanged(Unusable):
    """The answer is the program as it was: what a model says when it sees no fault, and says again when asked again."""


def replaced_function(source: str, location: Location, answer: str) -> str:
    """The file with the location's definition as the answer writes it; the whole file when that is the location.

    Decorators stay where the answer has none. Imports and helper functions come along if the new definition uses
    them and the file lacks them. Raises Unusable.
    """
    answer = answer.replace("\r\n", "\n")
    blocks = [found[2] for found in _FENCE.finditer(answer)] or [answer]
    usable = _replaced_module if location.kind == "module" else _replaced_definition
    return _first_usable(lambda block: usable(source, location, block), blocks)


def replaced_line(source: str, line: int, answer: str) -> str:
    """The file with `line` (from 1) as the answer has it, which may be several lines. Raises Unusable."""
    lines = source.split("\n")
    old = lines[line - 1]
    was_python = parsed(source) is not None
    results = ("\n".join(new) for text in _answered_lines(answer, line, old) for new in _with_line(lines, line, text))
    problem: Unusable = Unchanged("the answer leaves the line as it was.")
    for result in islice(results, _MOST_READINGS):
        if was_python and parsed(result) is None:
            problem = Unusable(_NO_LINE)
            continue
        try:
            return checked(source, result)
        except Unchanged:
            continue
        except Unusable as unusable:
            problem = unusable
    raise problem


def checked(source: str, result: str) -> str:
    """`result`, if it is an edit of `source`: still Python where that was, another program, and no statement of it
    made dead. Raises Unusable.
    """
    old, new = parsed(source), parsed(result)
    if old is not None and new is None:
        raise Unusable(f"with the answer in place, the file does not parse: {syntax_error(result)}.")
    if normalised(result) == normalised(source):
        raise Unchanged("the answer is the same code as before.")
    if old and new and len(unreachable(new)) > len(unreachable(old)):
        raise Unusable("what the answer writes after a `return`, `raise`, `break` or `continue` can never run.")
    return result


def _first_usable(usable: Callable[[str], str], texts: Sequence[str]) -> str:
    """From the first text that can be used; the last one's reason if none can."""
    problem = Unusable("the answer is empty.")
    for text in texts:
        try:
            return usable(text)
        except Unusable as unusable:
            problem = unusable
    raise problem


# Whole definitions and files


def _replaced_module(source: str, location: Location, block: str) -> str:
    result = block.strip("\n") + "\n" * source.endswith("\n")
    if "\r\n" in source:
        result = result.replace("\n", "\r\n")
    if location.path.endswith((".py", ".pyi")) and (old := parsed(source)):
        if not (new := parsed(result)):
            raise Unusable(f"the answer does not parse: {syntax_error(result)}. Write the whole file as Python.")
        _refuse_loss(old, new, "file")
    return checked(source, result)


def _replaced_definition(source: str, location: Location, block: str) -> str:
    lines = source.split("\n")
    end = "\r" if lines[0].endswith("\r") else ""
    old = lines[location.start_line - 1 : location.end_line]
    text, tree = _parsed_block(block, location)
    new = _definition(tree, location)
    if location.kind == "class" and (was := parsed("\n".join(old))):
        _refuse_loss(was.body[0], new, "class")
    header = next((number for number, line in enumerate(old) if _HEADER.match(line)), 0)
    written = _fitted(text, new, old[header])
    if not new.decorator_list:
        written = [unended(line) for line in old[:header]] + written
    lines[location.start_line - 1 : location.end_line] = [line + end for line in written]
    if location.end_line >= len(source.split("\n")):  # it was the last line, which has no line end
        lines[location.start_line - 2 + len(written)] = written[-1]
    file = parsed(source)
    if file is not None:
        _add_helpers(lines, file, text, tree, new, location, end)
        _add_imports(lines, file, tree, _names_used([new, *_helpers(file, tree, new)]), end)
    return checked(source, "\n".join(lines))


def _refuse_loss(old: ast.AST, new: ast.AST, what: str) -> None:
    def names(node: ast.AST) -> list[str]:
        return [child.name for child in ast.iter_child_nodes(node) if isinstance(child, DEFINITIONS)]

    if lost := [name for name in names(old) if name not in names(new)]:
        raise Unusable(f"the answer leaves out {', '.join(lost)}. Write the whole {what}.")


def _parsed_block(block: str, location: Location) -> tuple[str, ast.Module]:
    """The block's text, as far as it parses, and its tree without the `if` that indented text is put under."""
    lines = block.split("\n")
    name = re.escape(location.name.rpartition(".")[2])
    header = re.compile(rf"[ \t]*(?:async[ \t]+def|def|class)[ \t]+{name}\b")
    found = [number for number, line in enumerate(lines) if header.match(line)]
    if not found:
        raise Unusable(f"the answer does not define {location.name}. Write that {location.kind} completely.")
    for text in _readings(lines, found[-1]):
        if tree := parsed(text):
            if text.startswith(_WRAPPER) and isinstance(tree.body[0], ast.If):
                tree.body = tree.body[0].body + tree.body[1:]
            return text, tree
    raise Unusable(f"the answer does not parse: {syntax_error(block)}. Write the whole {location.kind} as Python.")


def _readings(lines: Sequence[str], header: int) -> Iterator[str]:
    """Ways to read a block that holds a definition: all of it, then without what is around the definition."""
    yield "\n".join(lines)
    yield "\n".join([_WRAPPER, *lines])
    first = header
    while first and lines[first - 1].lstrip().startswith("@"):
        first -= 1
    depth = len(indentation(lines[header]))
    imports = [line for line in lines[:first] if line.startswith(("import ", "from ")) and parsed(line)]
    ends = [n for n in range(header + 1, len(lines)) if lines[n].strip() and len(indentation(lines[n])) <= depth]
    for end in [len(lines), *ends[:-_MOST_READINGS:-1]]:
        head, body = lines[first : header + 1], lines[header + 1 : end]
        yield "\n".join([*imports, *head, *body])
        yield "\n".join([_WRAPPER, *head, *body])
        yield "\n".join([*imports, *(line.strip() for line in head), *body])


def _definition(tree: ast.Module, location: Location) -> Definition:
    wanted = location.name.split(".")
    found = [
        (path, node)
        for path, node in _definitions(tree, ())
        if path[-1] == wanted[-1] and isinstance(node, ast.ClassDef) == (location.kind == "class")
    ]
    if not found:
        raise Unusable(f"the answer does not define the {location.kind} {location.name}. Write it completely.")
    # The one whose name agrees furthest, then the outermost, then the last, which is the one Python would keep.
    return max(enumerate(found), key=lambda item: (_agreement(item[1][0], wanted), -len(item[1][0]), item[0]))[1][1]


def _agreement(path: Sequence[str], wanted: Sequence[str]) -> int:
    pairs = list(zip(reversed(path), reversed(wanted), strict=False))
    return next((number for number, (mine, other) in enumerate(pairs) if mine != other), len(pairs))


def _definitions(node: ast.AST, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Definition]]:
    for child in ast.iter_child_nodes(node):
        inner = path
        if isinstance(child, DEFINITIONS):
            inner = (*path, child.name)
            yield inner, child
        if isinstance(child, ast.stmt):
            yield from _definitions(child, inner)


def _fitted(text: str, node: Definition, old_header: str) -> list[str]:
    """The definition's lines, moved to where the old header stands. What multi-line strings hold is not moved."""
    lines = text.split("\n")
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    own, wanted = indentation(lines[node.lineno - 1]), indentation(old_header)
    strings = set(_string_lines(node)) if own != wanted else set[int]()
    return [
        line if number in strings else reindented(line, own, wanted)
        for number, line in enumerate(lines[first - 1 : node.end_lineno], first)
    ]


def _string_lines(node: ast.AST) -> Iterator[int]:
    docstrings = {
        id(inner.body[0].value)
        for inner in ast.walk(node)
        if isinstance(inner, DEFINITIONS) and isinstance(inner.body[0], ast.Expr)
    }
    for inner in ast.walk(node):
        if isinstance(inner, ast.JoinedStr | ast.Constant) and id(inner) not in docstrings:
            yield from range(inner.lineno + 1, (inner.end_lineno or inner.lineno) + 1)


# What a new definition brings along


def _helpers(file: ast.Module, answer: ast.Module, new: Definition) -> list[Definition]:
    """The answer's own top-level functions and classes that the new definition uses and the file does not have."""
    known = {name for node in file.body for name in _bound(node)}
    offered = {
        node.name: node
        for node in answer.body
        if isinstance(node, DEFINITIONS) and node.name not in known and not _holds(node, new)
    }
    wanted: dict[str, Definition] = {}
    pending = [new]
    while pending:
        for name in _names_used([pending.pop()]) & offered.keys() - wanted.keys():
            wanted[name] = offered[name]
            pending.append(offered[name])
    return sorted(wanted.values(), key=lambda node: node.lineno)


def _add_helpers(
    lines: list[str], file: ast.Module, text: str, tree: ast.Module, new: Definition, location: Location, end: str
) -> None:
    outermost = (node for node in file.body if (node.end_lineno or node.lineno) >= location.start_line)
    at = min((_first_line(node) for node in outermost), default=location.start_line) - 1
    for helper in _helpers(file, tree, new):
        written = [line + end for line in [*_fitted(text, helper, ""), "", ""]]
        lines[at:at] = written
        at += len(written)


def _add_imports(lines: list[str], file: ast.Module, answer: ast.Module, used: set[str], end: str) -> None:
    known = {name for node in file.body for name in _bound(node)}
    new = [node for node in answer.body if isinstance(node, ast.Import | ast.ImportFrom)]
    wanted = [node for node in new if any(name in used and name not in known for name in _bound(node))]
    before_code: list[ast.stmt] = []
    for node in file.body:
        if isinstance(node, DEFINITIONS):
            break
        before_code.append(node)
    docstring = 1 if ast.get_docstring(file, clean=False) is not None else 0
    last = max(
        [index for index, node in enumerate(before_code, 1) if isinstance(node, ast.Import | ast.ImportFrom)]
        or [docstring]
    )
    at = (before_code[last - 1].end_lineno or 0) if last else _leading_comments(lines)
    future = [node for node in wanted if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    lines[at:at] = [ast.unparse(node) + end for node in wanted if node not in future]


def _leading_comments(lines: Sequence[str]) -> int:
    return next((number for number, line in enumerate(lines) if not line.startswith("#")), 0)


def _first_line(node: ast.stmt) -> int:
    decorators = node.decorator_list if isinstance(node, DEFINITIONS) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _holds(node: ast.AST, inner: ast.AST) -> bool:
    return any(child is inner for child in ast.walk(node))


def _bound(node: ast.stmt) -> list[str]:
    """The names that a top-level statement defines, those in its branches included."""
    if isinstance(node, DEFINITIONS):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    stored = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    inner = (child for child in ast.walk(node) if child is not node and isinstance(child, ast.Import | ast.ImportFrom))
    return stored + [name for child in inner for name in _bound(child)]


def _names_used(nodes: Iterable[ast.AST]) -> set[str]:
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}


# Single lines


def _answered_lines(answer: str, number: int, old: str) -> Iterator[list[str]]:
    """What in the answer may be the line, the likeliest first."""
    answer = answer.replace("\r\n", "\n")
    view_number = re.compile(rf"^[ \t]*{number}[ \t]*[:|\t] ?", re.MULTILINE)

    def likeness(text: str) -> float:
        return -difflib.SequenceMatcher(None, old.strip(), text.strip()).ratio()

    fenced = [found[2] for found in _FENCE.finditer(answer)]
    alone = [line for line in answer.split("\n") if line.strip()]
    said = [line.partition(":")[2] for line in alone]
    tiers = [fenced, [answer], _BACKTICKS.findall(answer), alone, said]
    for text in (text for tier in tiers for text in sorted(tier, key=likeness) if text.strip()):
        yield view_number.sub("", text.strip("\n")).rstrip().split("\n")


def _with_line(lines: Sequence[str], number: int, new: list[str]) -> Iterator[list[str]]:
    """The file's lines with the new ones at `number`: as the answer has them, and as indented as the old one."""
    old = lines[number - 1]
    new = _without_overlap(lines, number, new)
    own, wanted = indentation(new[0]), indentation(old)
    fitted = [reindented(line, own, wanted) for line in new]
    # A line without any indentation says nothing about where it belongs.
    for reading in (new, fitted) if own else (fitted,):
        ended = [line + "\r" for line in reading] if old.endswith("\r") else reading
        yield [*lines[: number - 1], *ended, *lines[number:]]


def _without_overlap(lines: Sequence[str], number: int, new: list[str]) -> list[str]:
    """Without the neighbours of the line, which models like to repeat around it."""
    for size in range(min(len(new) - 1, number - 1), 0, -1):
        if _same(new[:size], lines[number - 1 - size : number - 1]):
            new = new[size:]
            break
    for size in range(len(new) - 1, 0, -1):
        if _same(new[-size:], lines[number : number + size]):
            return new[:-size]
    return new


def _same(some: Sequence[str], others: Sequence[str]) -> bool:
    return [line.strip() for line in some] == [line.strip() for line in others]
