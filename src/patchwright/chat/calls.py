"""Tool calls as every engine takes them: with ids of ours, and arguments that are a JSON object."""

import json
from collections.abc import Sequence

from patchwright.schema.messages import AssistantMessage, Json, Message, ToolCall, ToolSpec


def with_ids(message: AssistantMessage, history: Sequence[Message]) -> AssistantMessage:
    """The message with its calls numbered on from those in `history`: the same ids in every replay.

    Mistral's validator wants nine letters or digits: mistral_common/protocol/instruct/validator.py.
    """
    before = sum(len(past.tool_calls) for past in history if isinstance(past, AssistantMessage))
    calls = (
        call.model_copy(update={"id": f"call{number:05d}"})
        for number, call in enumerate(message.tool_calls, start=before + 1)
    )
    return message.model_copy(update={"tool_calls": tuple(calls)})


def wire_call(call: ToolCall) -> Json:
    """A call as OpenAI's protocol has it."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _as_object(call.arguments)}}


def wire_tool(tool: ToolSpec) -> Json:
    """A tool as OpenAI's protocol has it."""
    return {"type": "function", "function": tool.model_dump()}


def _as_object(arguments: str) -> str:
    """Arguments that are no JSON object are wrapped in one: templates parse them, and engines refuse the rest."""
    if not arguments.strip():
        return "{}"
    try:
        if isinstance(json.loads(arguments), dict):
            return arguments
    except (ValueError, RecursionError):
        pass
    return json.dumps({"malformed": arguments}, ensure_ascii=False)
