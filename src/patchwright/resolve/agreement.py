"""Agreement: how many proposals, made independently, come to the same.

A program is little evidence: a search finds what satisfies it, and a model writes what does just that. Proposals that
agree beyond it are more, as self-consistency is for answers (Wang et al., 2022).
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Self

from patchwright.schema.resolution import Candidate, Finding, Reproduction, Verdict, Word

_WORDS: dict[Finding, Word] = {"repairs": "verified", "harmless": "plausible", "untested": "unverified"}
LEAST = 2


@dataclass(frozen=True)
class Agreement:
    """Who agrees with whom, of the candidates that are not wrong.

    `votes`: how often the model proposed each; `searched`: those that a mechanical edit came to.
    """

    reproduction: Reproduction | None
    groups: Sequence[Sequence[Candidate]]
    """The same patch but for layout, or the same outcomes of all variations of the program."""
    verdicts: Mapping[int, Verdict]
    votes: Mapping[int, int]
    searched: Set[int]

    @classmethod
    def of(
        cls,
        reproduction: Reproduction | None,
        candidates: Iterable[Candidate],
        verdicts: Mapping[int, Verdict],
        votes: Mapping[int, int],
        searched: Set[int],
    ) -> Self:
        groups: dict[object, list[Candidate]] = {}
        for candidate in candidates:
            verdict = verdicts.get(candidate.id)
            if verdict and verdict.finding != "wrong":
                groups.setdefault(verdict.outcomes or candidate.id, []).append(candidate)
        return cls(reproduction, list(groups.values()), verdicts, votes, searched)

    @property
    def standing(self) -> list[Candidate]:
        return [candidate for group in self.groups for candidate in group]

    def support(self, candidate: int) -> int:
        """Proposals that came to what this candidate does, itself included."""
        return sum(self._support(group) for group in self.groups if candidate in _ids(group))

    def others(self, candidate: int) -> int:
        """Proposals that stand, too, and come to something else."""
        return sum(map(self._support, self.groups)) - self.support(candidate)

    def rival(self, candidate: int) -> Candidate | None:
        """One of the best supported others."""
        others = [group for group in self.groups if candidate not in _ids(group)]
        return max(others, key=self._support)[0] if others else None

    def word(self, candidate: int) -> Word:
        """What the evidence for one that is standing amounts to.

        Where a program is all that shows the issue, at least two proposals must agree on what verifies, and more than
        half of all that stand.
        """
        word = _WORDS[self.verdicts[candidate].finding]
        if word != "verified" or self.reproduction is None or not self.reproduction.script:
            return word
        support = self.support(candidate)
        return "verified" if support >= LEAST and support > self.others(candidate) else "plausible"

    def _support(self, group: Sequence[Candidate]) -> int:
        """Mechanical edits are one search, however many they are; and none for what the model guessed to be right."""
        searched = not self.searched.isdisjoint(_ids(group))
        counts = self.reproduction is not None and self.reproduction.source == "issue"
        return sum(self.votes.get(each.id, 0) for each in group) + (searched and counts)


def _ids(group: Iterable[Candidate]) -> set[int]:
    return {candidate.id for candidate in group}
