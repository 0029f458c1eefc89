"""The state of a resolution, as a fold over its events: one that was interrupted is taken up by folding them again."""

from collections import Counter
from collections.abc import Iterable

from patchwright.resolve.agreement import Agreement
from patchwright.schema.events import AnyEvent, BaselineRun, Judged, Localised, Proposed, Reproduced, Sampled
from patchwright.schema.messages import Usage
from patchwright.schema.resolution import Candidate, Location, Reproduction, Verdict


class ResolveState:
    """What the stages have found. Changed by `add` alone."""

    def __init__(self, events: Iterable[AnyEvent] = ()) -> None:
        self.baseline: BaselineRun | None = None
        self.locations: tuple[Location, ...] | None = None
        self.reproduced: Reproduced | None = None
        self.candidates: dict[int, Candidate] = {}
        self.verdicts: dict[int, Verdict] = {}
        self.votes: Counter[int] = Counter()
        """By candidate, how often the model proposed it."""
        self.searched: set[int] = set()
        """The candidates that a mechanical edit came to, whoever else did."""
        self.requests = 0
        """So many requests for answers have been made."""
        self.asked = 0
        """The last ask of the pipeline's order that has been answered."""
        self.usage = Usage()
        for event in events:
            self.add(event)

    def add(self, event: AnyEvent) -> None:
        match event:
            case BaselineRun():
                self.baseline = event
            case Localised():
                self.locations = event.locations
            case Reproduced():
                self.reproduced = event
            case Proposed():
                self._add_proposal(event)
            case Sampled():
                self.requests += 1
                self.asked = max(self.asked, event.ask or 0)
                self.usage += event.usage
            case Judged():
                self.verdicts[event.verdict.candidate] = event.verdict
            case _:
                pass

    @property
    def tests(self) -> Iterable[str]:
        """The ids of the tests that ran on the untouched tree."""
        return self.baseline.suite.outcomes if self.baseline else ()

    @property
    def reproduction(self) -> Reproduction | None:
        return self.reproduced.reproduction if self.reproduced else None

    def tokens_left(self, limit: int | None) -> int | None:
        """None without a limit."""
        return None if limit is None else max(0, limit - self.usage.prompt_tokens - self.usage.completion_tokens)

    @property
    def agreement(self) -> Agreement:
        return Agreement.of(self.reproduction, self.candidates.values(), self.verdicts, self.votes, self.searched)

    @property
    def verified(self) -> bool:
        agreement = self.agreement
        return any(agreement.word(candidate.id) == "verified" for candidate in agreement.standing)

    @property
    def next_id(self) -> int:
        return len(self.candidates) + 1

    def known(self, key: str) -> Candidate | None:
        """The candidate that is this patch but for its layout."""
        return next((candidate for candidate in self.candidates.values() if candidate.key == key), None)

    def unjudged(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates.values() if candidate.id not in self.verdicts]

    def best_failed(self, path: str) -> tuple[Candidate, Verdict] | None:
        """The candidate of the model for this file that repaired most and broke least, of those that are wrong."""
        failed = [
            (self.candidates[verdict.candidate], verdict)
            for verdict in self.verdicts.values()
            if verdict.finding == "wrong" and verdict.failure and self.candidates[verdict.candidate].path == path
        ]
        of_model = [pair for pair in failed if pair[0].source == "model"]
        return max(of_model, key=lambda pair: (len(pair[1].repaired) - len(pair[1].broken), -pair[0].id), default=None)

    def _add_proposal(self, event: Proposed) -> None:
        if event.duplicate_of is None:
            self.candidates[event.candidate.id] = event.candidate
        if (event.source or event.candidate.source) == "mechanical":
            self.searched.add(event.candidate.id)
        else:
            self.votes[event.candidate.id] += 1
