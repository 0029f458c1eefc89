"""What a page shows of a trajectory: cards, each of blocks of text and tables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, cast

from patchwright.evals.report.inert import bounded

SHOWN_LINES = 14
SHOWN_DIFF_LINES = 60
SHOWN_CHARS = 2_000
FOLDED_LINES = 8
FOLDED_CHARS = 900

Tone = Literal["", "good", "bad", "warn"]
Look = Literal["prose", "code", "log", "diff"]
"""Of a log the end tells most, of the others the beginning."""


@dataclass(frozen=True)
class Line:
    """A line of a diff."""

    text: str
    look: Literal["added", "removed", "hunk", "file", ""]


@dataclass(frozen=True)
class Block:
    """A text under a title. What is long shows its beginning or its end, and the rest on demand."""

    title: str
    text: str
    look: Look = "code"
    tone: Tone = ""
    whole: bool = False
    """Shown whole however long it is."""

    @property
    def shown(self) -> str:
        return self._parts[0]

    @property
    def rest(self) -> str:
        """Of a log it comes before what is shown, of the others after it."""
        return self._parts[1]

    @property
    def rest_size(self) -> str:
        lines = self.rest.count("\n") + 1
        if self.look == "log":
            return f"{lines} lines before"
        return f"{lines} more lines" if lines > 3 else f"{len(self.rest):,} more characters"

    @property
    def lines(self) -> Iterator[Line]:
        """Of a diff."""
        return diff_lines(self._text)

    @property
    def folded(self) -> bool:
        return not self._is_short(self._text)

    @property
    def _parts(self) -> tuple[str, str]:
        text = self._text
        if self._is_short(text):
            return text, ""
        if self.look == "log":
            cut = len(text) - _cut(text[::-1])
            return text[cut:], text[:cut]
        return text[: _cut(text)], text[_cut(text) :]

    @property
    def _text(self) -> str:
        return bounded(self.text.rstrip("\n"))

    def _is_short(self, text: str) -> bool:
        if self.whole:
            return True
        if self.look == "diff":
            return text.count("\n") < SHOWN_DIFF_LINES
        return text.count("\n") < SHOWN_LINES and len(text) <= SHOWN_CHARS


@dataclass(frozen=True)
class Table:
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass
class Card:
    """A stop on the way through a trajectory."""

    title: str
    about: str = ""
    """A few words for the list of all cards."""
    tone: Tone = ""
    facts: list[str] = field(default_factory=list[str])
    """Costs, in a line."""
    blocks: list[Block | Table] = field(default_factory=list["Block | Table"])

    def add(self, title: str, text: str, look: Look = "code", tone: Tone = "", *, whole: bool = False) -> None:
        """A block, if there is any text."""
        if text.strip():
            self.blocks.append(Block(title, text, look, tone, whole))


def diff_lines(text: str) -> Iterator[Line]:
    """The lines of a unified diff with what each is. Within a hunk `---` is a removed line and no file's name."""
    in_hunk = False
    for line in text.split("\n"):
        if line.startswith("@@"):
            in_hunk = True
            yield Line(line, "hunk")
        elif line.startswith(("diff ", "--- a/", "--- /dev/null")):
            in_hunk = False
            yield Line(line, "file")
        elif not in_hunk:
            yield Line(line, "file")
        else:
            yield Line(line, "added" if line.startswith("+") else "removed" if line.startswith("-") else "")


def argument_blocks(arguments: str) -> Iterator[tuple[str, str]]:
    """A call's arguments by name where they are a JSON object, and as they are where not."""
    try:
        values: object = json.loads(arguments)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        yield "", arguments
        return
    for name, value in cast("dict[str, object]", values).items():
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> int:
    """Where the beginning of a long text ends: after some lines, or some characters of a long one."""
    end = -1
    for _ in range(FOLDED_LINES):
        end = text.find("\n", end + 1)
        if end == -1:
            return FOLDED_CHARS
    return min(end + 1, FOLDED_CHARS)
