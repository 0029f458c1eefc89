"""The order in which candidates are asked for: what is likely and cheap first, then wider, then from failures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

from patchwright.schema.resolution import Location

LOCATIONS = 3
"""So many of the likeliest places are tried."""
LINES = 4
ANSWERS = 4
"""To one request: what the embedded engine works on at once."""


@dataclass(frozen=True)
class Ask:
    """One request for candidates. `part`: which of the location's suspicious lines, or which share of its mechanical
    edits: 0 the likeliest, 1 the others."""

    kind: Literal["rewrite", "explained", "mechanical", "line", "refine"]
    location: Location
    temperature: float = 0.0
    part: int = 0
    answers: int = ANSWERS


Order = Callable[[Sequence[Location]], Iterable[Ask]]
"""What to ask for, in order, given where the fault may be."""


def asks(locations: Sequence[Location], *, mechanical: bool = True, refine: bool = True) -> Iterator[Ask]:
    """Without end, unless there is no location.

    One answer first: it is the likeliest, and where an engine decodes several hardly faster than one after the other
    (on a CPU) it can be judged while there is still time for another place. It is the code alone; the samples that come
    later explain themselves first, which takes twice as long, and finds some of what the code alone does not.
    Mechanical edits come in two shares: there can be a hundred, and where each makes a test hang they would take all
    the time.
    """
    if not locations:
        return
    likeliest, *others = locations[:LOCATIONS]

    def first(location: Location) -> Iterator[Ask]:
        yield Ask("rewrite", location, 0.0, answers=1)
        if mechanical:
            yield Ask("mechanical", location)

    def samples(location: Location) -> Ask:
        return Ask("explained", location, 0.8)

    def other_edits(location: Location) -> Iterator[Ask]:
        if mechanical:
            yield Ask("mechanical", location, part=1)

    yield from first(likeliest)
    yield samples(likeliest)
    for other in others:
        yield from first(other)
    yield from other_edits(likeliest)
    for other in others:
        yield samples(other)
        yield from other_edits(other)
    for line in range(LINES):
        yield Ask("line", likeliest, 0.8, part=line)
    # The likeliest place gets every other request from here on.
    order = [place for other in others for place in (likeliest, other)] or [likeliest]
    for location in cycle(order):
        yield Ask("refine" if refine else "rewrite", location, 0.9)
