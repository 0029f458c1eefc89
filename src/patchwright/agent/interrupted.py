"""Tool calls that a run left open when it was interrupted."""

from collections.abc import Iterable

from patchwright.schema.events import AnyEvent, Replied, ToolFinished, ToolStarted
from patchwright.schema.messages import ToolCall
from patchwright.schema.record import Record


class InterruptedCall(Record):
    """A call without a result. When it was `started`, what it did is unknown; otherwise it did nothing."""

    call: ToolCall
    started: bool


def interrupted_calls(events: Iterable[AnyEvent]) -> tuple[InterruptedCall, ...]:
    """The calls of the last reply that have no result, in its order: each needs an answer before the history
    can go on, and none may be run again. Ids count within one reply only: models use them again."""
    calls: tuple[ToolCall, ...] = ()
    started: set[str] = set()
    finished: set[str] = set()
    for event in events:
        match event:
            case Replied():
                calls, started, finished = event.message.tool_calls, set(), set()
            case ToolStarted():
                started.add(event.call_id)
            case ToolFinished():
                finished.add(event.message.tool_call_id)
            case _:
                pass
    return tuple(InterruptedCall(call=call, started=call.id in started) for call in calls if call.id not in finished)
