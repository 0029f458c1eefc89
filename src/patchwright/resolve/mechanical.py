"""Small edits of Python that need no model: the slips that fix templates undo.

Template-based repair, as in GenProg (Le Goues et al., 2012: delete, move and copy what the program holds already),
PAR (Kim et al., 2013: templates taken from people's patches) and TBar (Liu et al., 2019: the catalogue of them);
the operators are those of mutation testing, which undo themselves. An edit is made on the text, at the positions
that `ast` gives, so that everything else stays as it is, byte for byte.
"""

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator

from patchwright.resolve.slips.change import Change
from patchwright.resolve.slips.conditions import conditions
from patchwright.resolve.slips.located_code import WRAPPER, LocatedCode
from patchwright.resolve.slips.operators import constants, off_by_one, operators, swapped
from patchwright.resolve.slips.statements import guards, moved, results
from patchwright.resolve.slips.values import other_names, other_values
from patchwright.resolve.sources import python_key
from patchwright.schema.record import Record
from patchwright.schema.resolution import Location

Slip = Callable[[LocatedCode, ast.AST], Iterator[Change]]
_SLIPS: tuple[Slip, ...] = (
    operators,
    constants,
    off_by_one,
    swapped,
    other_names,
    conditions,
    results,
    other_values,
    moved,
    guards,
)
"""Their order decides between equals."""


class MechanicalEdit(Record):
    """One small change of a file."""

    line: int
    """The line of the file that it starts in, from 1."""
    description: str
    source: str
    """The whole file after it."""


def mechanical_edits(source: str, location: Location, limit: int) -> tuple[MechanicalEdit, ...]:
    """At most `limit` edits of the location, each different from the others by more than layout, the likeliest first.

    Where the failing tests' lines are known, the others come after them. Empty where the location is not Python. The
    order is the same on every call.
    """
    code = LocatedCode.at(source, location)
    if code is None or limit <= 0:
        return ()
    edits: list[MechanicalEdit] = []
    known: dict[tuple[int, int], set[str | None]] = {}
    for node, change in _likeliest_first(code, location):
        first, last = code.piece(node, change)
        new = code.text[first : change.start] + change.new + code.text[change.end : last]
        seen = known.setdefault((first, last), {_key(code.text[first:last])})
        key = _key(new)
        if key is None or key in seen:
            continue
        seen.add(key)
        after = code.before + code.text[len(code.wrapper) : first] + new + code.text[last:] + code.after
        edits.append(MechanicalEdit(line=code.file_line(change.start), description=change.description, source=after))
        if len(edits) == limit:
            break
    return tuple(edits)


def _key(text: str) -> str | None:
    return python_key(WRAPPER + text if text[:1].isspace() else text)


def _likeliest_first(code: LocatedCode, location: Location) -> Iterator[tuple[ast.AST, Change]]:
    """Common slips first, the more suspicious line first among equals.

    What one slip proposes for one line gets dearer from one to the next, so that no line uses up the limit.
    """
    priced: list[tuple[int, int, ast.AST, Change]] = []
    used: dict[tuple[int, int, int], int] = defaultdict(int)
    for number, slip in enumerate(_SLIPS):
        for node in code.nodes:
            for change in slip(code, node):
                line = code.file_line(change.start)
                nth = used[line, number, change.weight]
                used[line, number, change.weight] += 1
                priced.append((change.weight + nth, line, node, change))
    rank = {line: number for number, line in enumerate(location.suspicious_lines)}
    # A statement that goes on over several lines is as suspicious as its first.
    rank = {line: rank[first] for line, first in code.first_lines.items() if first in rank} | rank
    priced.sort(key=lambda item: (bool(rank) and item[1] not in rank, item[0], rank.get(item[1], 0), item[1]))
    return iter((node, change) for _, _, node, change in priced)
