"""One change of a text, with how it is shown."""

from dataclasses import dataclass

_SHOWN_CHARS = 50


@dataclass(frozen=True)
class Change:
    """`new` in place of the text from `start` to `end`. A low `weight` is a common slip."""

    start: int
    end: int
    new: str
    weight: int
    description: str


def shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 1] + "…"
