"""Localisation: where in the repository the fault of an issue may be, most likely places first."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from patchwright.repo.index.index import Index, Indexed
from patchwright.repo.testing.files import is_test
from patchwright.resolve.issue import Frame, IssueFacts, without_environment
from patchwright.schema.resolution import Location

WORDS = 1.0
"""For the symbol whose words are most like the issue's; others in proportion."""
TITLE = 0.6
"""The same for the issue's first line."""
FILE_WORDS = 0.5
"""For what is in the file whose best symbols together are most like the issue; others in proportion."""
NAMED = 0.7
"""For a name in the issue that only one symbol has; symbols that share it get less."""
METHOD_OF_NAMED = 0.5
"""What a class's methods get of what the class got by name."""
NAMED_FILE = 0.8
"""For what is in a file that the issue names."""
FRAME = 2.0
"""For the innermost function of a traceback that is in the repository."""
FRAME_OUTWARDS = 0.7
"""What each frame further out counts for, of the one inside of it."""
EXECUTED = 4.0
"""For the function with the most suspicious line, others in proportion: more than words can say."""
EXECUTED_ON_IMPORT = 0.25
"""What a class or a module counts for of that: its lines run when it is imported."""
NEIGHBOUR = 0.1
"""What the callers and callees of the best get of its score."""
KINDS = {"function": 1.0, "class": 0.6, "module": 0.5}
"""What the score of each kind counts for: the smaller symbol is the better place."""

SEARCHED = 200
BEST_OF_FILE = 3
BEST_WITH_NEIGHBOURS = 5
SHARED_NAME = 30
"""A name that more symbols have says nothing."""
SHARED_CALL = 4
"""A call whose name more symbols have may be any of them."""
MOST_REASONS = 5
MOST_SUSPICIOUS_LINES = 50

Spectrum = Mapping[str, Mapping[int, float]]


class _Place(NamedTuple):
    """What tells symbols apart: a name may be defined twice in a file."""

    path: str
    start_line: int
    name: str


class _Evidence:
    """What speaks for each symbol, added up."""

    def __init__(self) -> None:
        self.symbols: dict[_Place, Indexed] = {}
        self.scores: defaultdict[_Place, float] = defaultdict(float)
        self.reasons: defaultdict[_Place, dict[str, None]] = defaultdict(dict)
        self.lines: defaultdict[_Place, dict[int, float]] = defaultdict(dict)

    def add(self, found: Indexed, score: float, reason: str) -> None:
        if is_test(found.path) or score <= 0:
            return
        place = _place(found)
        self.symbols[place] = found
        self.scores[place] += score * KINDS[found.symbol.kind]
        self.reasons[place][reason] = None

    def ranked(self) -> list[_Place]:
        """The best first; between equals the smaller symbol, then the earlier one."""

        def order(place: _Place) -> tuple[float, int, _Place]:
            symbol = self.symbols[place].symbol
            return -self.scores[place], symbol.end_line - symbol.start_line, place

        return sorted(self.scores, key=order)

    def location(self, place: _Place) -> Location:
        symbol, lines = self.symbols[place].symbol, self.lines[place]
        return Location(
            path=place.path,
            name=symbol.name,
            kind=symbol.kind,
            start_line=symbol.start_line,
            end_line=symbol.end_line,
            score=round(self.scores[place], 4),
            reasons=tuple(self.reasons[place])[:MOST_REASONS],
            suspicious_lines=tuple(sorted(lines, key=lambda line: (-lines[line], line)))[:MOST_SUSPICIOUS_LINES],
        )


def localise(facts: IssueFacts, issue: str, index: Index, spectrum: Spectrum, limit: int = 10) -> tuple[Location, ...]:
    """The `limit` most likely places, best first. Nothing in a test file is one.

    spectrum: suspiciousness by path and line, of the lines that failing tests execute; empty when no failing
    test is known. A line counts for the innermost symbol around it.
    """
    evidence = _Evidence()
    _weigh_names(evidence, facts.identifiers, index)
    _weigh_frames(evidence, facts.frames, index)
    _weigh_spectrum(evidence, spectrum, index)
    _weigh_named_files(evidence, _named_files(facts, index), index)
    _weigh_words(evidence, issue, index)
    _weigh_neighbours(evidence, index)
    return tuple(evidence.location(place) for place in evidence.ranked()[:limit])


def _place(found: Indexed) -> _Place:
    return _Place(found.path, found.symbol.start_line, found.symbol.name)


def _weigh_names(evidence: _Evidence, identifiers: Sequence[str], index: Index) -> None:
    """A symbol gets the best of the names that fit it once, not their sum: `a.b` and `b` are one hint."""
    best: dict[_Place, tuple[float, Indexed]] = {}
    for identifier in identifiers:
        for found, share in _bearers(identifier, index):
            inside = _methods(found, index) if found.symbol.kind == "class" else ()
            for each, score in ((found, share), *((method, share * METHOD_OF_NAMED) for method in inside)):
                if score > best.get(_place(each), (0.0, each))[0]:
                    best[_place(each)] = (score, each)
    for score, found in best.values():
        evidence.add(found, NAMED * score, "named in the issue")


def _bearers(identifier: str, index: Index) -> list[tuple[Indexed, float]]:
    """Those who have the name, or the longest end of it that anything has. Two have 0.7 each, four 0.5."""
    parts = identifier.split(".")
    for start in range(len(parts)):
        found = [each for each in index.named(".".join(parts[start:])) if not is_test(each.path)]
        if found:
            share = 1 / math.sqrt(len(found))
            return [(each, share) for each in found] if len(found) <= SHARED_NAME else []
    return []


def _methods(found: Indexed, index: Index) -> list[Indexed]:
    prefix = f"{found.symbol.name}."
    return [each for each in index.symbols(found.path) if each.symbol.name.startswith(prefix)]


def _weigh_frames(evidence: _Evidence, frames: Sequence[Frame], index: Index) -> None:
    paths = [path for path in index.paths() if not is_test(path)]
    weight = FRAME
    for frame in reversed(frames):
        found = _of_frame(frame, paths, index)
        if found:
            evidence.add(found, weight, "in the issue's traceback")
            weight *= FRAME_OUTWARDS


def _of_frame(frame: Frame, paths: Sequence[str], index: Index) -> Indexed | None:
    """The reporter's version may have other line numbers: the function's name decides, then the line."""
    path = _as_indexed(frame.path, paths)
    if path is None:
        return None
    named = [each for each in index.symbols(path) if each.symbol.last_name == frame.function]
    near = min(named, key=lambda each: _distance(each, frame.line), default=None)
    return near or index.at(path, frame.line)


def _as_indexed(path: str, paths: Iterable[str]) -> str | None:
    """`/usr/lib/python3/site-packages/slugify/core.py` is `src/slugify/core.py`: the longest common end of two names.

    One name in common is enough only for a path that has no more.
    """
    parts = path.replace("\\", "/").split("/")
    common = {each: _common_end(parts, each.split("/")) for each in paths if each.rpartition("/")[2] == parts[-1]}
    best = max(common, key=lambda each: (common[each], -len(each)), default=None)
    return best if best and common[best] >= min(2, len(parts), best.count("/") + 1) else None


def _common_end(parts: Sequence[str], others: Sequence[str]) -> int:
    pairs = zip(reversed(parts), reversed(others), strict=False)
    return next((count for count, (one, other) in enumerate(pairs) if one != other), min(len(parts), len(others)))


def _distance(found: Indexed, line: int) -> int:
    return max(found.symbol.start_line - line, line - found.symbol.end_line, 0)


def _weigh_spectrum(evidence: _Evidence, spectrum: Spectrum, index: Index) -> None:
    """A line above the body runs when its symbol is defined, which is no reason to suspect it."""
    executed: dict[_Place, Indexed] = {}
    for path, suspicious in spectrum.items():
        for line, score in suspicious.items():
            found = None if is_test(path) else index.at(path, line)
            if found and line >= found.symbol.body_line:
                executed[_place(found)] = found
                evidence.lines[_place(found)][line] = score
    most = max((score for place in executed for score in evidence.lines[place].values()), default=1.0)
    for place, found in executed.items():
        share = 1.0 if found.symbol.kind == "function" else EXECUTED_ON_IMPORT
        suspicious = max(evidence.lines[place].values()) / most
        evidence.add(found, EXECUTED * share * suspicious, "executed by what fails")


def _named_files(facts: IssueFacts, index: Index) -> list[str]:
    """By path, or as `package.module`."""
    paths = [path for path in index.paths() if not is_test(path)]
    by_path = [path for name in facts.paths if (path := _as_indexed(name, paths))]
    dotted = {f"{name.replace('.', '/')}.py" for name in facts.identifiers if "." in name}
    by_module = [path for path in paths if any(end in dotted for end in _ends(path))]
    return list(dict.fromkeys([*by_path, *by_module]))


def _ends(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _weigh_named_files(evidence: _Evidence, files: Sequence[str], index: Index) -> None:
    for path in files:
        for found in index.symbols(path):
            evidence.add(found, NAMED_FILE, "its file is named in the issue")


def _weigh_words(evidence: _Evidence, issue: str, index: Index) -> None:
    """The file's share goes to all of its symbols that something speaks for."""
    title = issue.strip().partition("\n")[0]
    words: defaultdict[str, list[float]] = defaultdict(list)
    for text, weight in ((without_environment(issue), WORDS), (title, TITLE)):
        hits = index.search(text, SEARCHED, tests=False)
        for found, score in hits:
            share = score / hits[0][1]
            words[found.path].append(share * weight)
            evidence.add(found, weight * share, "reads like the issue")
    files = {path: sum(sorted(scores, reverse=True)[:BEST_OF_FILE]) for path, scores in words.items()}
    most = max(files.values(), default=1.0)
    for place, found in list(evidence.symbols.items()):
        evidence.add(found, FILE_WORDS * files.get(place.path, 0.0) / most, "its file reads like the issue")


def _weigh_neighbours(evidence: _Evidence, index: Index) -> None:
    best = [(evidence.symbols[place], evidence.scores[place]) for place in evidence.ranked()[:BEST_WITH_NEIGHBOURS]]
    for found, score in best:
        name = found.symbol.name or found.path
        callees = [each for call in found.symbol.calls for each in _rare(index.named(call))]
        for neighbours, reason in ((callees, f"called by {name}"), (_rare(index.callers(found)), f"calls {name}")):
            for neighbour in neighbours:
                evidence.add(neighbour, NEIGHBOUR * score, reason)


def _rare(found: Sequence[Indexed]) -> Sequence[Indexed]:
    others = [each for each in found if not is_test(each.path)]
    return others if len(others) <= SHARED_CALL else ()
