"""A policy that plays a recorded trajectory back, and fails loudly when it is asked something else."""

from collections.abc import AsyncGenerator, Sequence

from patchwright.errors import RecordError
from patchwright.schema.events import AnyEvent, Replied, RunStarted
from patchwright.schema.history import extend
from patchwright.schema.messages import Answers, Delta, Message, Reply, Request, TextDelta
from patchwright.schema.trajectory import Trajectory


class ReplayMismatch(RecordError):
    """The run that is replayed has left the recorded one."""


class ReplayPolicy:
    """Answers request n with the recorded answer n, if the conversation is the recorded one to the letter."""

    def __init__(self, trajectory: Trajectory, *, context_tokens: int | None = None) -> None:
        self.name = _model_of(trajectory.events)
        self.context_tokens = context_tokens
        self._steps = list(_steps(trajectory.events))
        self._answered = 0

    async def stream(self, request: Request) -> AsyncGenerator[Delta]:
        """Raises ReplayMismatch."""
        number = self._answered + 1
        if number > len(self._steps):
            raise ReplayMismatch(f"request {number}: the recorded run made only {len(self._steps)}")
        expected, replied = self._steps[self._answered]
        _compare(number, expected, request.messages)
        self._answered = number
        yield TextDelta(text=replied.message.content)
        yield Reply(
            message=replied.message,
            usage=replied.usage,
            finish_reason=replied.finish_reason,
            problem=replied.problem,
        )

    async def answers(self, request: Request, n: int) -> Answers:
        """A trajectory of the agent holds single replies. Raises ReplayMismatch."""
        raise ReplayMismatch(f"{n} answers were asked for, the recorded run asked for single replies")

    async def count_tokens(self, text: str) -> int:
        """A token a word, as ScriptedPolicy counts: only the recorded usage is real."""
        return len(text.split())


def _steps(events: Sequence[AnyEvent]) -> list[tuple[tuple[Message, ...], Replied]]:
    """Each recorded answer with the conversation that it answered."""
    steps: list[tuple[tuple[Message, ...], Replied]] = []
    history: tuple[Message, ...] = ()
    for event in events:
        if isinstance(event, Replied):
            steps.append((history, event))
        history = extend(history, event)
    return steps


def _model_of(events: Sequence[AnyEvent]) -> str:
    return next((event.model for event in events if isinstance(event, RunStarted)), "replay")


def _compare(number: int, expected: Sequence[Message], got: Sequence[Message]) -> None:
    for at, (then, now) in enumerate(zip(expected, got, strict=False), start=1):
        if then != now:
            raise ReplayMismatch(
                f"request {number}: message {at} is not the recorded one\nrecorded: {_brief(then)}\nnow: {_brief(now)}"
            )
    if len(expected) != len(got):
        raise ReplayMismatch(f"request {number}: {len(got)} messages, the recorded run had {len(expected)}")


def _brief(message: Message) -> str:
    text = message.model_dump_json()
    return text if len(text) <= 500 else f"{text[:500]}…"
