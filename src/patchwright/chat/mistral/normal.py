"""A conversation as mistral-common takes it: every call answered, arguments as JSON, in an order that it allows."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from patchwright.chat.calls import as_object
from patchwright.schema.messages import AssistantMessage, Json, Message, Request, ToolCall, ToolMessage

NO_RESULT = "(no result: the call was not carried out)"


def chat_completion(request: Request) -> Json:
    """The request in OpenAI's words, as `ChatCompletionRequest.from_openai` of mistral-common reads them."""
    body: Json = {"messages": [_wire(message) for message in _answered(request.messages)]}
    if request.tools:
        body["tools"] = [{"type": "function", "function": tool.model_dump()} for tool in request.tools]
    return body


def _answered(messages: Iterable[Message]) -> Iterator[Message]:
    """With a result for each call that has none: a run that was stopped, a call that the user refused."""
    open_calls: list[ToolCall] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            open_calls = [call for call in open_calls if call.id != message.tool_call_id]
        else:
            yield from _no_results(open_calls)
            open_calls = list(message.tool_calls) if isinstance(message, AssistantMessage) else []
        yield message
    yield from _no_results(open_calls)


def _no_results(calls: Sequence[ToolCall]) -> Iterator[ToolMessage]:
    for call in calls:
        yield ToolMessage(tool_call_id=call.id, name=call.name, content=NO_RESULT)


def _wire(message: Message) -> dict[str, Any]:
    match message:
        case AssistantMessage(tool_calls=()):
            return {"role": "assistant", "content": message.content}
        case AssistantMessage():
            calls = [_call(call) for call in message.tool_calls]
            return {"role": "assistant", "content": message.content or None, "tool_calls": calls}
        case _:
            return message.model_dump()


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": as_object(call.arguments)}}
