"""Edits of a text as pure functions: what the text becomes, or a ToolError that says what to do instead."""

from patchwright.errors import ToolError
from patchwright.tools.nearby import first_difference, nearest, without_view_numbers
from patchwright.tools.text import numbered
from patchwright.tools.text_file import TextFile

SHOWN_LINES = 40
SNIPPET_LINES = 4


def replaced_once(file: TextFile, old: str, new: str) -> tuple[TextFile, int]:
    """The file with its one occurrence of `old` replaced, and the line (1-based) where it was.

    Raises ToolError: with what nearly matches and where, or with the lines of all occurrences.
    """
    old = old.replace("\r\n", "\n")
    if not old:
        raise ToolError("old_str is empty; use insert to add lines, create to make a file")
    if old == new:
        raise ToolError("old_str and new_str are the same: nothing would change")
    found = _occurrences(file.text, old)
    if not found:
        raise ToolError(_not_found(file, old, new))
    if len(found) > 1:
        lines = ", ".join(str(file.text.count("\n", 0, at) + 1) for at in found[:20])
        raise ToolError(f"old_str occurs {len(found)} times, at lines {lines}; add lines around it to make it unique")
    return file.replaced(found[0], found[0] + len(old), new), file.text.count("\n", 0, found[0]) + 1


def inserted(file: TextFile, after_line: int, text: str) -> TextFile:
    """The file with `text` as lines of their own after line `after_line`; 0 puts them at the top."""
    lines = file.lines
    if after_line > len(lines):
        raise ToolError(f"insert_line is {after_line}, but the file has {len(lines)} lines")
    at = sum(len(line) + 1 for line in lines[:after_line])
    if at > len(file.text):
        return file.replaced(len(file.text), len(file.text), "\n" + text.removesuffix("\n"))
    return file.replaced(at, at, text.removesuffix("\n") + "\n")


def snippet(file: TextFile, line: int, height: int) -> str:
    """The lines of an edit with some around them, numbered."""
    first = max(1, line - SNIPPET_LINES)
    last = line + min(height, SHOWN_LINES) + SNIPPET_LINES
    return numbered(file.lines[first - 1 : last], first)


def _occurrences(text: str, wanted: str) -> list[int]:
    found: list[int] = []
    at = text.find(wanted)
    while at >= 0:
        found.append(at)
        at = text.find(wanted, at + 1)
    return found


def _not_found(file: TextFile, old: str, new: str) -> str:
    if new.strip() and new in file.text:
        return "old_str is not in the file, but new_str is: the edit seems to be done already"
    plain = without_view_numbers(old)
    if plain and plain in file.text:
        return "old_str was copied with the line numbers of a view; give the lines without them"
    near = nearest(file.lines, old)
    if near is None:
        return "old_str is not in the file, and nothing like it; view the file and copy the lines from there"
    where = f"lines {near.first_line} to {near.last_line}" if len(near.lines) > 1 else f"line {near.first_line}"
    shown = numbered(near.lines[:SHOWN_LINES], near.first_line)
    if near.differs_in != "text":
        return f"old_str is not in the file. {where} differ only in {near.differs_in}; copy them exactly:\n{shown}"
    difference = first_difference(near, old)
    first = f" The first difference is in line {difference[0]}." if difference else ""
    return f"old_str is not in the file. The nearest are {where}; copy them exactly:{first}\n{shown}"
