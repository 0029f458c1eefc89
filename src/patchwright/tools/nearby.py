"""Where a text nearly occurs in a file: the windows of as many lines that are most like it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

SEARCHED_CHARS = 2_000_000
"""Files larger than this are not searched: it takes about a second for each million characters."""
LEAST_SIMILARITY = 0.5

_VIEW_NUMBER = re.compile(r"^ *\d+\t", re.MULTILINE)


@dataclass(frozen=True)
class NearMatch:
    """`lines` of the file from `first_line` (1-based) on. `similarity` is 1 when all but whitespace agrees."""

    first_line: int
    lines: tuple[str, ...]
    similarity: float
    differs_in: Literal["text", "indentation", "trailing whitespace", "whitespace"]

    @property
    def last_line(self) -> int:
        return self.first_line + len(self.lines) - 1


def nearest(lines: Sequence[str], wanted: str) -> NearMatch | None:
    """The window of `lines` that is most like `wanted`; None when nothing is, or the file is too large to search.

    Alike means Dice's coefficient over the trigrams of lines without their indentation. A window slides in
    constant time, where difflib's ratio would be quadratic for each; it serves to say what differs, later.
    """
    wanted_lines = wanted.strip("\n").split("\n")
    if not wanted.strip() or len(lines) < len(wanted_lines) or sum(map(len, lines)) > SEARCHED_CHARS:
        return None
    scores = _scores(lines, wanted_lines)
    similarity, start = max(((score, -start) for start, score in enumerate(scores)), default=(0.0, 0))
    if similarity < LEAST_SIMILARITY:
        return None
    window = tuple(lines[-start : -start + len(wanted_lines)])
    return NearMatch(1 - start, window, similarity, _difference(window, wanted_lines))


def first_difference(near: NearMatch, wanted: str) -> tuple[int, str, str] | None:
    """Number, the file's version and the wanted one of the first line that differs by more than whitespace."""
    pairs = enumerate(zip(near.lines, wanted.strip("\n").split("\n"), strict=True), near.first_line)
    return next(((number, mine, other) for number, (mine, other) in pairs if mine.split() != other.split()), None)


def without_view_numbers(text: str) -> str | None:
    """`text` without the line numbers of a view, if it was copied with them."""
    lines = text.strip("\n").split("\n")
    return _VIEW_NUMBER.sub("", text) if all(_VIEW_NUMBER.match(line) for line in lines) else None


def _scores(lines: Sequence[str], wanted_lines: Sequence[str]) -> Iterator[float]:
    wanted = Counter(gram for line in wanted_lines for gram in _trigrams(line))
    wanted_size, height = wanted.total(), len(wanted_lines)
    grams = [_trigrams(line) for line in lines]
    present: Counter[str] = Counter()
    shared = size = 0
    for end, arriving in enumerate(grams):
        shared += _add(present, wanted, arriving)
        size += len(arriving)
        if end >= height:
            shared -= _remove(present, wanted, grams[end - height])
            size -= len(grams[end - height])
        if end >= height - 1:
            yield 2 * shared / max(1, wanted_size + size)


def _trigrams(line: str) -> list[str]:
    text = f"\n{' '.join(line.split())}\n"
    return [text[i : i + 3] for i in range(len(text) - 2)]


def _add(present: Counter[str], wanted: Counter[str], grams: Iterable[str]) -> int:
    gained = 0
    for gram in grams:
        if gram in wanted:
            present[gram] += 1
            gained += present[gram] <= wanted[gram]
    return gained


def _remove(present: Counter[str], wanted: Counter[str], grams: Iterable[str]) -> int:
    lost = 0
    for gram in grams:
        if gram in wanted:
            lost += present[gram] <= wanted[gram]
            present[gram] -= 1
    return lost


def _difference(
    window: Sequence[str], wanted: Sequence[str]
) -> Literal["text", "indentation", "trailing whitespace", "whitespace"]:
    pairs = list(zip(window, wanted, strict=True))
    if all(mine.rstrip() == other.rstrip() for mine, other in pairs):
        return "trailing whitespace"
    if all(mine.strip() == other.strip() for mine, other in pairs):
        return "indentation"
    if all(mine.split() == other.split() for mine, other in pairs):
        return "whitespace"
    return "text"
