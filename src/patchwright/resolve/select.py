"""Selection: which candidate the evidence speaks for. Pure, and the same for the same evidence."""

from collections.abc import Mapping, Sequence

from patchwright.resolve.sources import lines_of
from patchwright.schema.resolution import Candidate, Verdict

_WORDS = ("verified", "plausible", "unverified")


def selected(
    candidates: Sequence[Candidate], verdicts: Mapping[int, Verdict], votes: Mapping[int, int]
) -> Candidate | None:
    """The best candidate that is not shown to be wrong; None when every one is.

    The verdict comes first, then how many samples agreed on the patch, then how sure the model was of it, then the
    smaller patch, then the earlier one. `votes`: by candidate, how often the model proposed it.
    """
    standing = [candidate for candidate in candidates if _is_standing(verdicts.get(candidate.id))]
    return min(standing, key=lambda candidate: _key(candidate, verdicts[candidate.id], votes), default=None)


def why(candidate: Candidate, candidates: Sequence[Candidate], verdicts: Mapping[int, Verdict], votes: int) -> str:
    """What spoke for the selected candidate, in a sentence."""
    word = verdicts[candidate.id].word
    rivals = sum(1 for other in candidates if other.id in verdicts and verdicts[other.id].word == word) - 1
    among = f"the only {word} one" if not rivals else f"the best of {rivals + 1} {word} ones"
    agreed = f", proposed {votes} times" if votes > 1 else ""
    return f"{among} of {len(candidates)} candidates{agreed}"


def _is_standing(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.word in _WORDS


def _key(candidate: Candidate, verdict: Verdict, votes: Mapping[int, int]) -> tuple[float, ...]:
    sureness = candidate.logprob if candidate.logprob is not None else float("-inf")
    changed = sum(1 for line in lines_of(candidate.patch) if line[:1] in "+-" and line[:3] not in ("+++", "---"))
    return (_WORDS.index(verdict.word), -votes.get(candidate.id, 0), -sureness, changed, candidate.id)
