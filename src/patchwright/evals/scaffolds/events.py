"""The steps, the tokens and the end of an attempt, folded from the events that it left."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from patchwright.evals.scaffolds.base import ended
from patchwright.schema.attempt import ExitReason
from patchwright.schema.events import EVENT, AnyEvent, Replied, ResolveFinished, RunFinished, Sampled, StepFailed
from patchwright.schema.messages import Usage

_LIMITS = ("step_limit", "time_limit", "token_limit")
_CRASHES = ("infrastructure", "interrupted")
LAST_WORDS_BYTES = 2_000


class Folded:
    """What is known of an attempt so far; of one that was killed, up to where it was."""

    def __init__(self) -> None:
        self.steps = 0
        self.usage = Usage()
        self._failure = ""
        self._finished: RunFinished | ResolveFinished | None = None

    def add(self, event: AnyEvent) -> None:
        match event:
            case Replied():
                self.steps += 1
                self.usage += event.usage
            case Sampled():
                self.steps += event.policy_calls
                self.usage += event.usage
            case StepFailed():
                self._failure = event.error
            case RunFinished() | ResolveFinished():
                self._finished = event
            case _:
                pass

    def end(self, code: int | None, patch: str, log: Path) -> tuple[ExitReason, str]:
        """The exit reason and the scaffold's own word, from the last event, or else from the exit code and the log."""
        finished = self._finished
        if code is None:
            return "limit", "killed when it did not keep to the time limit"
        if finished is None:
            return "error", f"exit code {code}: {last_line(log)}"
        detail = finished.word if isinstance(finished, ResolveFinished) and finished.patch else finished.reason
        if finished.reason in _CRASHES:
            words = finished.why if isinstance(finished, ResolveFinished) else finished.message
            return "error", f"{detail}: {self._failure or words}"
        if finished.reason in _LIMITS and not (isinstance(finished, ResolveFinished) and patch):
            return "limit", detail
        return ended(patch), detail


def fold(path: Path) -> Folded:
    folded = Folded()
    for event in _events(path):
        folded.add(event)
    return folded


def last_line(log: Path) -> str:
    """The last thing that a scaffold said, advice aside."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LAST_WORDS_BYTES))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    lines = [line for line in lines if not line.startswith("hint: ")]
    return lines[-1] if lines else "it said nothing"


def _events(path: Path) -> Iterator[AnyEvent]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                yield EVENT.validate_json(line)
            except ValidationError:
                return  # the process was killed while it wrote this line
