"""Selection: which candidate the evidence speaks for. Pure, and the same for the same evidence."""

from patchwright.resolve.agreement import Agreement
from patchwright.resolve.sources import lines_of
from patchwright.schema.resolution import Candidate

_WORDS = ("verified", "plausible", "unverified")


def selected(agreement: Agreement) -> Candidate | None:
    """The best candidate that is not shown to be wrong; None when every one is.

    The word comes first, then how many proposals agree with it, then how often it was proposed itself, then how sure
    the model was of it, then the smaller patch, then the earlier one.
    """
    return min(agreement.standing, key=lambda candidate: _key(candidate, agreement), default=None)


def why(candidate: Candidate, candidates: int, agreement: Agreement) -> str:
    """What spoke for the selected one of so many candidates, in a sentence."""
    word = agreement.word(candidate.id)
    alike = sum(1 for other in agreement.standing if agreement.word(other.id) == word)
    among = f"the only {word} one" if alike == 1 else f"the best of {alike} {word} ones"
    support = agreement.support(candidate.id)
    agreed = f", on which {support} proposals agree" if support > 1 else ""
    return f"{among} of {candidates} candidates{agreed}"


def _key(candidate: Candidate, agreement: Agreement) -> tuple[float, ...]:
    sureness = candidate.logprob if candidate.logprob is not None else float("-inf")
    changed = sum(1 for line in lines_of(candidate.patch) if line[:1] in "+-" and line[:3] not in ("+++", "---"))
    votes = agreement.votes.get(candidate.id, 0)
    word = _WORDS.index(agreement.word(candidate.id))
    return (word, -agreement.support(candidate.id), -votes, -sureness, changed, candidate.id)
