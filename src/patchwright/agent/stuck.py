"""Whether a run goes round in circles, judged by its last calls and their observations."""

from collections.abc import Sequence
from typing import NamedTuple

REPEATS = 4
"""The same call with the same observation so often, or that many rounds of an alternating pair."""
FAILURES = 5
"""So many failed calls in a row, all with the same observation or all the same call."""


class Outcome(NamedTuple):
    """A finished call: its name and arguments, what it showed, and whether it failed."""

    call: str
    observation: str
    failed: bool


def is_stuck(outcomes: Sequence[Outcome]) -> bool:
    return _repeats_one(outcomes) or _alternates(outcomes) or _repeats_an_error(outcomes)


def _repeats_one(outcomes: Sequence[Outcome]) -> bool:
    return len(outcomes) >= REPEATS and len(set(outcomes[-REPEATS:])) == 1


def _alternates(outcomes: Sequence[Outcome]) -> bool:
    last = outcomes[-2 * REPEATS :]
    return len(last) == 2 * REPEATS and len(set(last[::2])) == 1 and len(set(last[1::2])) == 1


def _repeats_an_error(outcomes: Sequence[Outcome]) -> bool:
    last = outcomes[-FAILURES:]
    if len(last) < FAILURES or not all(outcome.failed for outcome in last):
        return False
    return len({outcome.observation for outcome in last}) == 1 or len({outcome.call for outcome in last}) == 1
