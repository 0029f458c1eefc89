"""How far a run is: a fold over its attempts that keeps none of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from patchwright.schema.attempt import Attempt, RunFacts


@dataclass
class Tally:
    """Counts of attempts."""

    total: int
    over: int = 0
    resolved: int = 0
    errors: int = 0
    over_before: int = 0
    """Those that earlier calls had made already."""

    @classmethod
    def of(cls, facts: RunFacts, attempts: Iterable[Attempt]) -> Self:
        tally = cls(total=len(facts.instance_ids) * facts.attempts)
        for attempt in attempts:
            tally.add(attempt)
        tally.over_before = tally.over
        return tally

    def add(self, attempt: Attempt) -> None:
        self.over += 1
        self.resolved += attempt.resolved
        self.errors += attempt.exit_reason == "error"

    def left_s(self, spent_s: float) -> float | None:
        """What the rest will take if it goes on as it did; None before the first attempt is over."""
        made = self.over - self.over_before
        return spent_s / made * (self.total - self.over) if made else None
