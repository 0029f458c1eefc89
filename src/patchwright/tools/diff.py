"""An edit as a unified diff, for showing to a person."""

import os.path
import re
from difflib import unified_diff
from itertools import takewhile

_CONTEXT_LINES = 3
_HUNK = re.compile(r"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@")


def diff_of(path: str, before: str | None, after: str | None) -> str:
    """The change of one file; None where there is none. Lines are compared as text with plain line ends."""
    old, new = _lines(before or ""), _lines(after or "")
    # Only the part that changed is given to difflib: it is quadratic where lines repeat.
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    skipped = max(0, same - _CONTEXT_LINES)
    rest = len(os.path.commonprefix([old[same:][::-1], new[same:][::-1]]))
    cut = max(0, rest - _CONTEXT_LINES)
    changes = unified_diff(
        old[skipped : len(old) - cut],
        new[skipped : len(new) - cut],
        "/dev/null" if before is None else f"a/{path}",
        "/dev/null" if after is None else f"b/{path}",
        n=_CONTEXT_LINES,
    )
    return "".join(_moved(line, skipped) for line in changes)


def _lines(text: str) -> list[str]:
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop().removesuffix("\n")
    return [*lines, f"{last}\n\\ No newline at end of file\n"] if last else lines


def _moved(line: str, by: int) -> str:
    if not (by and (hunk := _HUNK.match(line))):
        return line
    old, old_size, new, new_size = hunk.groups(default="")
    return f"@@ -{int(old) + by}{old_size} +{int(new) + by}{new_size} @@\n"
