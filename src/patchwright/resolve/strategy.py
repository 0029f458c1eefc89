"""The Strategy protocol: how candidates come about."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from patchwright.resolve.state import ResolveState
from patchwright.schema.events import Sampled
from patchwright.schema.resolution import CandidateSource


@dataclass(frozen=True)
class Draft:
    """A patch that is to be a candidate, unless there is one like it already. For the fields see Candidate."""

    source: CandidateSource
    path: str
    patch: str
    key: str
    logprob: float | None = None
    location: str = ""


@dataclass(frozen=True)
class Batch:
    """Drafts to be tried before more are made; `sampled` says what the policy was asked for them, if it was."""

    drafts: tuple[Draft, ...]
    sampled: Sampled | None = None


class Strategy(Protocol):
    """Proposes patches for an issue."""

    def batches(self, issue: str, state: ResolveState) -> AsyncGenerator[Batch]:
        """One batch after the other, made with what `state` holds by then. Raises EngineError and SandboxError."""
        ...
