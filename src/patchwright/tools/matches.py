"""What ripgrep found, read from its output and shown grouped by file."""

import re
from pathlib import PurePosixPath

from patchwright.schema.record import Record
from patchwright.tools.paths import short
from patchwright.tools.text import counted, cut

_LINE = re.compile(r"([^\0]+)\0(\d+):(.*)", re.DOTALL)
_TOTALS = re.compile(r"^(\d+) (matched lines?|files? contained matches|files? searched)$", re.MULTILINE)
_SHOWN_CHARS = 250


class Match(Record):
    path: str
    line: int
    text: str


class Matches(Record):
    """`matches` may be fewer than `lines_matched`: the output was capped."""

    matches: tuple[Match, ...]
    lines_matched: int
    files_matched: int
    files_searched: int


def read_matches(output: str, root: PurePosixPath) -> Matches:
    """Reads what `rg --null --line-number --stats` printed. Torn lines are skipped."""
    totals = {found[2].split()[-1]: int(found[1]) for found in _TOTALS.finditer(output[-2000:])}
    return Matches(
        matches=tuple(
            Match(path=short(found[1], root), line=int(found[2]), text=found[3])
            for found in map(_LINE.fullmatch, output.split("\n"))
            if found
        ),
        lines_matched=totals.get("lines", totals.get("line", 0)),
        files_matched=totals.get("matches", 0),
        files_searched=totals.get("searched", 0),
    )


def grouped(matches: Matches, limit_chars: int) -> str:
    """As many matches as fit, and a line that counts all; empty when there are none."""
    if not matches.matches:
        return ""
    lines: list[str] = []
    shown = used = 0
    path = ""
    for match in matches.matches:
        block = [match.path] if match.path != path else []
        block.append(f"{match.line:6}: {cut(match.text.rstrip(), _SHOWN_CHARS)}")
        used += sum(len(line) + 1 for line in block)
        if used > limit_chars and lines:
            break
        lines += block
        path = match.path
        shown += 1
    return "\n".join([*lines, _count(matches, shown)])


def _count(matches: Matches, shown: int) -> str:
    total = max(matches.lines_matched, shown)
    count = f"{counted(total, 'matching line')} in {counted(matches.files_matched, 'file')}"
    if shown == total:
        return f"[{count}]"
    return f"[{count}; the first {shown} are shown: narrow the pattern, path or glob]"
