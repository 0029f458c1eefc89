"""Compaction: a history that no longer fits is replaced by a shorter one that says what was left out.

It is deterministic and asks no model: the earlier steps become one line each, behind the task; the latest stay whole.
"""

from collections.abc import Sequence

from patchwright.schema.messages import AssistantMessage, Message, ToolMessage, UserMessage

HEADING = "\n\n# Earlier steps, shortened to a line each\n"
LINE_CHARS = 160
DIGEST_LINES = 60


def compact(history: Sequence[Message], keep_chars: int) -> tuple[Message, ...]:
    """System and task message, a digest of the earlier steps, and the latest steps that fit `keep_chars` together.

    The result begins a step where the kept part begins, so that roles go on alternating.
    """
    opening = _opening_length(history)
    head, steps = history[:opening], _steps(history[opening:])
    kept: list[Sequence[Message]] = []
    size = 0
    for step in reversed(steps):
        size += sum(_size(message) for message in step)
        if size > keep_chars:
            break
        kept.insert(0, step)
    dropped = steps[: len(steps) - len(kept)]
    if not dropped:
        return tuple(history)
    return (*head[:-1], _with_digest(head[-1], dropped), *(message for step in kept for message in step))


def _opening_length(history: Sequence[Message]) -> int:
    """Messages up to the first of the policy's own."""
    return next((i for i, message in enumerate(history) if isinstance(message, AssistantMessage)), len(history))


def _steps(messages: Sequence[Message]) -> list[list[Message]]:
    """Each message of the policy with what answered it."""
    steps: list[list[Message]] = []
    for message in messages:
        if isinstance(message, AssistantMessage):
            steps.append([])
        steps[-1].append(message)
    return steps


def _with_digest(task: Message, dropped: Sequence[Sequence[Message]]) -> UserMessage:
    text, _, earlier = task.content.partition(HEADING)
    lines = [*earlier.splitlines(), *(line for step in dropped for line in _digest(step))]
    return UserMessage(content=text + HEADING + "\n".join(lines[-DIGEST_LINES:]))


def _digest(step: Sequence[Message]) -> list[str]:
    first = step[0]
    if not isinstance(first, AssistantMessage):
        return []
    answers = {message.tool_call_id: message for message in step if isinstance(message, ToolMessage)}
    return [
        _one_line(f"- {call.name} {call.arguments}") + " → " + _one_line(_first_line(answers.get(call.id)))
        for call in first.tool_calls
    ]


def _first_line(answer: ToolMessage | None) -> str:
    return answer.content.strip().partition("\n")[0] if answer else "no result"


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LINE_CHARS else f"{flat[:LINE_CHARS]}…"


def _size(message: Message) -> int:
    calls = message.tool_calls if isinstance(message, AssistantMessage) else ()
    return len(message.content) + sum(len(call.arguments) for call in calls)
