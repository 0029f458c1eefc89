"""What a scaffold is: something that works on an instance by itself and leaves a patch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from patchwright.evals.base import Workspace
from patchwright.schema.attempt import ExitReason
from patchwright.schema.instance import Instance
from patchwright.schema.messages import Usage

GRACE_S = 60.0
"""What a scaffold may take beyond its time limit, for an engine to start and for itself to end, before it is killed."""


@dataclass(frozen=True)
class Terms:
    """Within what an attempt is made."""

    time_limit_s: float
    number: int = 1
    """Which of the attempts at the instance this is: another one samples other answers, where a scaffold can."""


@dataclass(frozen=True)
class Outcome:
    """What an attempt came to."""

    exit_reason: ExitReason
    patch: str
    seconds: float
    detail: str = ""
    steps: int | None = None
    usage: Usage | None = None


class Scaffold(Protocol):
    """One way to work on an instance. It can be sent to another process: it holds settings, and nothing open."""

    @property
    def name(self) -> str: ...

    async def attempt(self, instance: Instance, workspace: Workspace, terms: Terms, directory: Path) -> Outcome:
        """Work in the workspace's tree, and leave logs in `directory`, which is there and is kept.

        A crash of the scaffold is an Outcome with "error", or raises PatchwrightError. Whatever happens, no process
        of it is left, not even when this process is killed.
        """
        ...


def ended(patch: str) -> ExitReason:
    """How an attempt ended that ended by itself."""
    return "done" if patch.strip() else "gave_up"
