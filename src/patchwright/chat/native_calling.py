"""Native tool calls: the model's own format, applied and parsed by the engine."""

from collections.abc import Sequence

from patchwright.chat.calls import wire_call, wire_tool
from patchwright.schema.messages import (
    AssistantMessage,
    Json,
    Message,
    Request,
    ToolCall,
    ToolMessage,
)

NO_CALL = "the reply holds no tool call. Call one tool; call finish when the task is done."


def body(request: Request) -> Json:
    messages = [_wire_message(message) for message in request.messages]
    if not request.tools:
        return {"messages": messages}
    return {"messages": messages, "tools": [wire_tool(tool) for tool in request.tools]}


def read(content: str, calls: Sequence[ToolCall]) -> tuple[AssistantMessage, str | None]:
    message = AssistantMessage(content=content, tool_calls=tuple(calls))
    return message, None if calls else NO_CALL


def shown(content: str) -> str:
    return content


def _wire_message(message: Message) -> Json:
    match message:
        case AssistantMessage(tool_calls=()):
            return {"role": "assistant", "content": message.content}
        case AssistantMessage():
            calls = [wire_call(call) for call in message.tool_calls]
            return {"role": "assistant", "content": message.content or None, "tool_calls": calls}
        case ToolMessage():
            return message.model_dump()
        case _:
            return {"role": message.role, "content": message.content}
