"""How hard an instance is to solve, as far as that can be told beforehand."""

from collections.abc import Sequence
from math import log2
from typing import Literal

from patchwright.evals.forge.mutations import Mutation
from patchwright.evals.forge.showing import Shown

Difficulty = Literal["easy", "medium", "hard"]
_MEDIUM, _HARD = 7.5, 10.5


def difficulty_of(
    sites: Sequence[Mutation], shown: Sequence[Shown], changed_lines: int, lines_executed: int
) -> Difficulty:
    """`lines_executed`: how many lines of the project the failing test runs through that runs through the fewest, which
    is where one has to look. An exception tells more of the place than a wrong result does.

    The thresholds are ours: they cut the development set into three parts of about the same size.
    """
    score = log2(max(1, lines_executed)) + changed_lines / 8 + 2 * (len(sites) - 1)
    score += sum(1 for each in shown if not each.broken.error)
    if score < _MEDIUM:
        return "easy"
    return "medium" if score < _HARD else "hard"
