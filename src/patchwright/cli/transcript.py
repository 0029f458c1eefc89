"""A session as text to read: who said what, what was called, what came back."""

from collections.abc import Iterable, Iterator

from patchwright.schema.events import (
    AnyEvent,
    HistoryCompacted,
    MessageAdded,
    Replied,
    RunFinished,
    RunStarted,
    SnapshotTaken,
    StepFailed,
    StepStarted,
    StepTakenBack,
    TestsRun,
    TextArrived,
    ToolFinished,
    ToolStarted,
)

_INDENT = "    "


def transcript(events: Iterable[AnyEvent]) -> Iterator[str]:
    """The session as paragraphs, whole: nothing is cut short."""
    for event in events:
        if paragraph := _paragraph(event):
            yield paragraph


def _paragraph(event: AnyEvent) -> str:
    match event:
        case RunStarted():
            return f"run of {event.model}, profile {event.profile}, sandbox {event.sandbox}, in {event.work_tree}"
        case MessageAdded():
            return _titled(event.message.role, event.message.content)
        case StepStarted():
            return f"step {event.step}"
        case Replied():
            return _titled("assistant", event.message.content)
        case ToolStarted():
            return _titled(f"call {event.name}", event.arguments)
        case ToolFinished():
            failed = ", failed" if event.failed else ""
            return _titled(f"observation ({event.duration_s:.1f} s{failed})", event.message.content)
        case StepFailed():
            return _titled("the endpoint failed", event.error)
        case TestsRun():
            title = f"tests {event.when}: exit code {event.exit_code} ({event.duration_s:.1f} s)"
            return _titled(title, f"$ {event.command}\n{event.output}")
        case StepTakenBack():
            return f"step taken back: the first {event.kept_messages} messages stay"
        case HistoryCompacted():
            return f"history compacted: {event.tokens_before} → {event.tokens_after} tokens"
        case RunFinished():
            title = f"finished: {event.reason}, {event.steps} steps, {event.duration_s:.1f} s"
            return _titled(title, f"{event.message}\n{event.patch}")
        case SnapshotTaken():
            return f'snapshot {event.snapshot}, "{event.label}"'
        case TextArrived():
            return ""
        case _:
            return _titled(event.kind.replace("_", " "), event.model_dump_json(indent=2, exclude={"kind"}))


def _titled(title: str, text: str) -> str:
    return "\n".join([f"{title}:", *(f"{_INDENT}{line}" for line in text.rstrip("\n").split("\n") if line or text)])
