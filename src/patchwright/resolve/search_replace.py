"""SEARCH/REPLACE blocks: how a model changes what is too long to write again."""

import ast
import re
from collections.abc import Callable, Sequence

from patchwright.resolve.edits import Unchanged, Unusable, checked
from patchwright.resolve.sources import DEFINITIONS, indentation, parsed, reindented, unended
from patchwright.tools.nearby import nearest
from patchwright.tools.text import numbered

_BLOCK = re.compile(
    r"^<{5,9} ?SEARCH[^\n]*\n(.*?)^={5,9}[ \t]*\n(.*?)^>{5,9}(?: ?REPLACE)?[ \t]*$", re.DOTALL | re.MULTILINE
)
_NO_BLOCK = (
    "the answer holds no edit. Write it as\n<<<<<<< SEARCH\nlines of the file, copied\n=======\n"
    "the lines to put there\n>>>>>>> REPLACE"
)


def search_replace(source: str, answer: str) -> str:
    """The file after the answer's SEARCH/REPLACE blocks, one after the other.

    The lines to search may differ from the file's in whitespace if only one place is like them. Raises Unusable.
    """
    blocks = _BLOCK.findall(answer.replace("\r\n", "\n"))
    if not blocks:
        raise Unusable(_NO_BLOCK)
    result = source
    for search, replacement in blocks:
        result = _with_block(result, search.removesuffix("\n"), replacement.removesuffix("\n"))
    tree = parsed(source)
    if tree and any(isinstance(node, (*DEFINITIONS, ast.Import, ast.ImportFrom)) for node in tree.body):
        return checked(source, result)
    if result == source:
        raise Unchanged("the answer replaces lines by themselves.")
    return result


def _with_block(source: str, search: str, replacement: str) -> str:
    if not search.strip():
        raise Unusable("a SEARCH block is empty. Copy the lines to replace from the file.")
    lines = source.split("\n")
    wanted, new = search.strip("\n").split("\n"), replacement.strip("\n").split("\n") if replacement.strip() else []
    for alike in (unended, str.rstrip, str.strip):
        if places := _places(lines, wanted, alike):
            return "\n".join(_with_lines(lines, wanted, new, places))
    if source.count(search.strip()) == 1:
        return source.replace(search.strip(), replacement.strip())
    raise Unusable(_missed(lines, search))


def _places(lines: Sequence[str], wanted: Sequence[str], alike: Callable[[str], str]) -> list[int]:
    mine, others = [alike(line) for line in lines], [alike(line) for line in wanted]
    return [at for at in range(len(mine) - len(others) + 1) if mine[at : at + len(others)] == others]


def _with_lines(lines: Sequence[str], wanted: Sequence[str], new: Sequence[str], places: Sequence[int]) -> list[str]:
    if len(places) > 1:
        where = ", ".join(str(at + 1) for at in places[:20])
        raise Unusable(
            f"the lines of a SEARCH block occur {len(places)} times in the file, at lines {where}. "
            "Add lines from around the right place until they are unique."
        )
    at = places[0]
    shown = next(number for number, line in enumerate(wanted) if line.strip())
    own, there = indentation(wanted[shown]), indentation(lines[at + shown])
    moved = [reindented(line, own, there) for line in new] if own != there else list(new)
    end = "\r" if lines[at].endswith("\r") else ""
    return [*lines[:at], *(unended(line) + end for line in moved), *lines[at + len(wanted) :]]


def _missed(lines: Sequence[str], search: str) -> str:
    near = nearest(lines, search)
    if near is None:
        return "the lines of a SEARCH block are not in the file, and nothing is like them. Copy them from the file."
    first = (
        f"line {near.first_line}" if near.first_line == near.last_line else f"lines {near.first_line}-{near.last_line}"
    )
    return (
        f"the lines of a SEARCH block are not in the file. The nearest is {first}:\n"
        f"{numbered(near.lines, near.first_line)}\nCopy them exactly."
    )
