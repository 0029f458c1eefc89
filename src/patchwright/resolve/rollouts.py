"""The strategy for models that can work by themselves: the agent is run again and again, each time on its own copy."""

import hashlib
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from patchwright.agent.deadline import Stopped
from patchwright.errors import EngineError
from patchwright.resolve.budget import Budget
from patchwright.resolve.evidence import judging_files, without_evidence
from patchwright.resolve.sources import lines_of
from patchwright.resolve.state import ResolveState
from patchwright.resolve.strategy import Batch, Draft
from patchwright.schema.events import RunFinished, Sampled
from patchwright.schema.messages import Sampling

HOTTER = (0.4, 0.7)
"""Temperatures of the rollouts after the first, in turn."""

_TARGET = re.compile(r"^\+\+\+ b/(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Turn:
    """One rollout: its number, from 1, and what it may take at most."""

    number: int
    time_s: float
    tokens: int | None


@dataclass(frozen=True)
class Rollouts:
    """`rollout` runs the agent on the issue in a copy of the work tree, and gives its last event.

    What it changed in tests is left out: a candidate is judged by the tests as they are.
    """

    rollout: Callable[[str, Turn], Awaitable[RunFinished]]
    test_command: str | None
    budget: Budget
    tokens: int | None = None
    """For all of them."""

    async def batches(self, issue: str, state: ResolveState) -> AsyncGenerator[Batch]:
        """Raises Stopped when what a rollout came to could not be judged in time."""
        while True:
            started = time.monotonic()
            time_s = self.budget.before_judging_s(state.baseline.suite.duration_s if state.baseline else 0.0)
            if time_s <= 0:
                raise Stopped("time_limit")
            turn = Turn(state.asked + 1, time_s, state.tokens_left(self.tokens))
            finished = await self.rollout(issue, turn)
            if finished.reason == "infrastructure":
                raise EngineError(finished.message)
            patch = without_evidence(finished.patch, judging_files(self.test_command, state.tests))
            sampled = Sampled(
                ask=turn.number,
                asked=f"a rollout of {finished.steps} steps",
                policy_calls=finished.steps,
                answers=1,
                unusable=0 if patch else 1,
                problems=() if patch else (f"no change was made ({finished.reason})",),
                usage=finished.usage,
                duration_s=time.monotonic() - started,
            )
            yield Batch(_drafts(patch), sampled)


def sampling(usual: Sampling, seed: int, number: int) -> Sampling:
    """How the agent draws in its rollout of this number, from 1: as usual in the first, then otherwise and hotter.

    What comes out the same twice is to count as agreement, and a draw that is repeated would agree with itself.
    """
    hotter = 0.0 if number == 1 else HOTTER[number % len(HOTTER)]
    return usual.model_copy(update={"temperature": max(usual.temperature or 0.0, hotter), "seed": seed + number - 1})


def _drafts(patch: str) -> tuple[Draft, ...]:
    if not patch:
        return ()
    target = _TARGET.search(patch)
    return (Draft("agent", target[1] if target else "", patch, _key(patch)),)


def _key(patch: str) -> str:
    """The same for patches that change the same lines to the same text but for spaces."""
    changed = [" ".join(line.split()) for line in lines_of(patch) if line[:1] in "+-" and line[1:].strip()]
    return hashlib.sha256("\n".join(changed).encode("utf-8", "surrogateescape")).hexdigest()
