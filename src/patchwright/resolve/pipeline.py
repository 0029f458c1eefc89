"""The strategy for small models: edits are asked for directly, at the places where the fault may be."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchwright.errors import RepositoryError
from patchwright.resolve.mechanical import mechanical_edits
from patchwright.resolve.plan import Ask, Order
from patchwright.resolve.prompts import Fault
from patchwright.resolve.propose import Answered, Proposer, Version, suspicious_lines
from patchwright.resolve.sources import lines_of, normalised, unified_diff
from patchwright.resolve.state import ResolveState
from patchwright.resolve.strategy import Batch, Draft
from patchwright.schema.resolution import CandidateSource

LIKELIEST_EDITS = 24
"""Of the mechanical edits, those that are tried before more answers are asked for."""
MECHANICAL_EDITS = 80


@dataclass(frozen=True)
class Pipeline:
    """Follows an order of asking, from where an interrupted resolution left it. `root`: the work tree, only read.

    Files that are no UTF-8 are left alone: a patch of one can be neither stored nor shown.
    """

    proposer: Proposer
    root: Path
    order: Order

    async def batches(self, issue: str, state: ResolveState) -> AsyncGenerator[Batch]:
        done = state.asked
        places = [place for place in state.locations or () if _is_text(source_of(self.root / place.path))]
        for number, ask in enumerate(self.order(places), 1):
            if number <= done:  # an answer at temperature 0, given once more, would agree with itself
                continue
            if ask.kind == "refine" and state.agreement.standing:
                return
            source = source_of(self.root / ask.location.path)
            failure = state.reproduction.failure if state.reproduction else ""
            fault = Fault(issue, ask.location, source, failure)
            if ask.kind == "mechanical":
                edits = mechanical_edits(source, ask.location, MECHANICAL_EDITS)
                share = edits[LIKELIEST_EDITS:] if ask.part else edits[:LIKELIEST_EDITS]
                yield Batch(_drafts(ask, source, "mechanical", [(edit.source, None) for edit in share]))
            elif answered := await self._asked(ask, fault, state):
                drafts = _drafts(ask, source, "model", answered.versions)
                yield Batch(drafts, answered.sampled.model_copy(update={"ask": number}))

    async def _asked(self, ask: Ask, fault: Fault, state: ResolveState) -> Answered | None:
        proposer = self.proposer.after(state.requests)
        if ask.kind == "line":
            numbers = suspicious_lines(fault, ask.part + 1)
            if len(numbers) <= ask.part:
                return None
            return await proposer.lines(fault, numbers[ask.part], ask.answers, ask.temperature)
        failed = _failed(ask, state) if ask.kind == "refine" else None
        explained = ask.kind == "explained"
        return await proposer.rewrites(fault, ask.answers, ask.temperature, failed, explained=explained)


def _failed(ask: Ask, state: ResolveState) -> tuple[str, str] | None:
    """The best wrong candidate for this place, as its changed lines, and how it fails."""
    best = state.best_failed(ask.location.path)
    if best is None:
        return None
    candidate, verdict = best
    changed = [line[1:] for line in lines_of(candidate.patch) if line[:1] == "+" and line[:3] != "+++"]
    return "\n".join(changed), verdict.failure


def _drafts(ask: Ask, before: str, source: CandidateSource, versions: Sequence[Version]) -> tuple[Draft, ...]:
    """What changes more than the layout. `versions`: of the whole file, each with its log-probability."""
    path, untouched = ask.location.path, normalised(before)
    keyed = ((after, logprob, normalised(after)) for after, logprob in versions)
    return tuple(
        Draft(source, path, unified_diff(path, before, after), f"{path} {key}", logprob, ask.location.name)
        for after, logprob, key in keyed
        if key != untouched and _is_text(after)
    )


def _is_text(source: str) -> bool:
    """Whether it is UTF-8, with no bytes that stand for themselves."""
    return not any("\ud800" <= char <= "\udfff" for char in source)


def source_of(path: Path) -> str:
    """A file as it is, with line ends; what is no UTF-8 as surrogates. Raises RepositoryError."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RepositoryError(f"{path}: {reason}", hint="the files have changed meanwhile; start again") from None
