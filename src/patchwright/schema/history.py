"""The conversation as a fold over events."""

from collections.abc import Iterable

from patchwright.schema.events import AnyEvent, HistoryCompacted, MessageAdded, Replied, StepTakenBack, ToolFinished
from patchwright.schema.messages import Message


def extend(history: tuple[Message, ...], event: AnyEvent) -> tuple[Message, ...]:
    """The history after one more event. It only ever grows, but for a compaction and a step that is taken back."""
    match event:
        case MessageAdded() | Replied() | ToolFinished():
            return (*history, event.message)
        case StepTakenBack():
            return history[: event.kept_messages]
        case HistoryCompacted():
            return event.messages
        case _:
            return history


def history_of(events: Iterable[AnyEvent]) -> tuple[Message, ...]:
    """The messages that the next request of this run would carry."""
    history: tuple[Message, ...] = ()
    for event in events:
        history = extend(history, event)
    return history
