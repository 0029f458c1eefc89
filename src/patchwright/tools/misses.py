"""What the policy is told when its old_str cannot be replaced: why, and what to copy instead."""

from patchwright.tools.nearby import NearMatch, first_difference, nearest, without_view_numbers
from patchwright.tools.text import counted, cut, numbered
from patchwright.tools.text_file import TextFile

_PLACES = 20


def explain(path: str, file: TextFile, old_str: str, new_str: str) -> str:
    """Several lines of text, not bounded."""
    if old_str in file.text:
        return _ambiguous(path, file, old_str)
    parts = [f"{path}: nothing was changed, old_str is not in the file."]
    if new_str.strip() and new_str.strip("\n") in file.text:
        line = _line_of(file, file.text.index(new_str.strip("\n")))
        parts.append(f"new_str is there already, at line {line}: the edit seems to be done.")
    plain = without_view_numbers(old_str)
    if plain:
        parts.append("old_str carries line numbers of a view: leave them out.")
    parts.append(_nearby(file, plain or old_str))
    return "\n".join(parts)


def _ambiguous(path: str, file: TextFile, old_str: str) -> str:
    lines: list[str] = []
    start = file.text.find(old_str)
    while start >= 0 and len(lines) < _PLACES:
        lines.append(str(_line_of(file, start)))
        start = file.text.find(old_str, start + len(old_str))
    times = counted(file.text.count(old_str), "time")
    return (
        f"{path}: nothing was changed, old_str occurs {times}, at lines {', '.join(lines)}. "
        "Add lines from around the right place to old_str, and to new_str, until it is unique."
    )


def _nearby(file: TextFile, old_str: str) -> str:
    near = nearest(file.lines, old_str)
    if near is None:
        return "Nothing in the file is like it: view the file, then copy the lines to replace."
    return "\n".join([*_difference(near, old_str), numbered(near.lines, near.first_line), "Copy them exactly."])


def _difference(near: NearMatch, old_str: str) -> list[str]:
    where = _lines_from(near)
    if near.differs_in != "text":
        return [f"Only the {near.differs_in} differs from {where}:"]
    parts: list[str] = []
    if difference := first_difference(near, old_str):
        number, mine, wanted = difference
        parts = [
            f"The first difference is in line {number}:",
            f"  file:    {cut(mine.strip())}",
            f"  old_str: {cut(wanted.strip())}",
        ]
    return [f"The nearest is {where} ({near.similarity:.0%} alike).", *parts, "These lines are, in the file:"]


def _lines_from(near: NearMatch) -> str:
    if near.first_line == near.last_line:
        return f"line {near.first_line}"
    return f"lines {near.first_line}-{near.last_line}"


def _line_of(file: TextFile, position: int) -> int:
    return file.text.count("\n", 0, position) + 1
