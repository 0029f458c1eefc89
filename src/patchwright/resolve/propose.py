"""Proposals: answers of the policy, read as new versions of a file."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from patchwright.policy.base import Policy
from patchwright.resolve.edits import Unchanged, Unusable, replaced_function, replaced_line
from patchwright.resolve.prompts import Fault, repaired
from patchwright.resolve.search_replace import search_replace
from patchwright.resolve.sources import lines_of
from patchwright.schema.events import Sampled
from patchwright.schema.messages import Answer, Message, Request, Sampling

REWRITE_LINES = 120
"""Longer definitions are changed by SEARCH/REPLACE: to write them again takes too long."""
TOKENS_PER_LINE = 14
LINE_TOKENS = 96
LEAST_TOKENS = 256
END_OF_BLOCK = ("\n```\n",)
"""What ends an answer: explanations after the block cost time and are not read."""
MOST_TOKENS = 2048


Version = tuple[str, float | None]
"""A new text of the whole file, and the mean log-probability of the answer that it comes from."""


@dataclass(frozen=True)
class Answered:
    """What one request for answers came to."""

    versions: tuple[Version, ...]
    sampled: Sampled


@dataclass(frozen=True)
class Proposer:
    """Asks the policy for edits. Raises EngineError."""

    policy: Policy
    seed: int

    def after(self, requests: int) -> "Proposer":
        """The proposer after so many requests: asked the same again, it answers anew."""
        return replace(self, seed=self.seed + requests)

    async def rewrites(
        self,
        fault: Fault,
        n: int,
        temperature: float,
        failed: tuple[str, str] | None = None,
        *,
        explained: bool = False,
    ) -> Answered:
        """`n` answers for the whole location, `explained` or not. `failed`: an attempt, and how it failed."""
        location = fault.location
        lines = location.end_line - location.start_line + 1
        if not location.name or lines > REWRITE_LINES:
            return await self._answered(
                f"change of {location.name or location.path}",
                fault.replace(failed),
                Sampling(temperature=temperature, max_tokens=LEAST_TOKENS * 2, seed=self.seed),
                n,
                lambda answer: search_replace(fault.source, answer),
            )
        tokens = min(MOST_TOKENS, max(LEAST_TOKENS, 2 * TOKENS_PER_LINE * lines))
        return await self._answered(
            f"rewrite of {location.name}",
            fault.rewrite(failed, explained=explained),
            Sampling(temperature=temperature, max_tokens=tokens, seed=self.seed, stop=END_OF_BLOCK),
            n,
            lambda answer: replaced_function(fault.source, location, answer),
        )

    async def lines(self, fault: Fault, number: int, n: int, temperature: float) -> Answered:
        """`n` answers for one line of the file."""
        return await self._answered(
            f"line {number} of {fault.location.path}",
            fault.line(number),
            Sampling(temperature=temperature, max_tokens=LINE_TOKENS, seed=self.seed, stop=END_OF_BLOCK),
            n,
            lambda answer: replaced_line(fault.source, number, answer),
        )

    async def _answered(
        self, asked: str, messages: tuple[Message, ...], sampling: Sampling, n: int, read: Callable[[str], str]
    ) -> Answered:
        started = time.monotonic()
        found = await self.policy.answers(Request(messages=messages, sampling=sampling), n)
        versions, problems = _read(found.answers, read)
        answers, usage = len(found.answers), found.usage
        repairable = [(answer, str(why)) for answer, why in problems if not isinstance(why, Unchanged)]
        if not versions and repairable:
            again = await self.policy.answers(
                Request(messages=repaired(messages, *repairable[0]), sampling=sampling), 1
            )
            answers += len(again.answers)
            usage += again.usage
            versions, still = _read(again.answers, read)
            problems += still
        sampled = Sampled(
            asked=asked,
            answers=answers,
            unusable=len(problems),
            problems=tuple(dict.fromkeys(str(why) for _, why in problems)),
            usage=usage,
            duration_s=time.monotonic() - started,
        )
        return Answered(tuple(versions), sampled)


def _read(answers: Iterable[Answer], read: Callable[[str], str]) -> tuple[list[Version], list[tuple[str, Unusable]]]:
    """What can be used of the answers, and what can not, with the reason."""
    versions: list[Version] = []
    problems: list[tuple[str, Unusable]] = []
    for answer in answers:
        try:
            versions.append((read(answer.text), answer.logprob))
        except Unusable as error:
            problems.append((answer.text, error))
    return versions, problems


def suspicious_lines(fault: Fault, limit: int) -> Sequence[int]:
    """Lines of the location to ask about one by one: those that tests point to, else all that hold code."""
    location = fault.location
    if location.suspicious_lines:
        return location.suspicious_lines[:limit]
    lines = lines_of(fault.source)
    numbers = range(location.start_line + 1, location.end_line + 1)
    return [number for number in numbers if _holds_code(lines[number - 1])][:limit]


def _holds_code(line: str) -> bool:
    text = line.strip()
    return bool(text) and not text.startswith(("#", '"""', "'''"))
