"""A conversation as mistral-common takes it: whatever an agent goes through, it stays one that can be written down."""

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import dropwhile

from patchwright.chat.calls import wire_call, wire_tool
from patchwright.errors import ConversationError
from patchwright.schema.messages import (
    AssistantMessage,
    Json,
    Message,
    Request,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)

NO_RESULT = "(no result: the call was not carried out)"
NO_NAME = "unknown"
PARTS = "\n\n"
"""Between the parts of one message: mistral_common/protocol/instruct/normalize.py."""

_NAME_CHARS = 64
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


def chat_completion(request: Request, *, alternating: bool = False) -> Json:
    """The request in OpenAI's words, as `ChatCompletionRequest.from_openai` of mistral-common reads them.

    alternating: also as templates take it that refuse turns which do not alternate, Mistral's own among them.

    Raises ConversationError for an order of messages that the model has never seen.
    """
    _check_order(request.messages)
    tools = frozenset(tool.name for tool in request.tools)
    messages = _answered(request.messages)
    if alternating:
        messages = _in_turn(_merged(messages))
    body: Json = {"messages": [_wire(message, tools) for message in messages]}
    if request.tools:
        body["tools"] = [wire_tool(tool) for tool in request.tools]
    return body


def _check_order(messages: Sequence[Message]) -> None:
    later = dropwhile(lambda message: isinstance(message, SystemMessage), messages)
    if any(isinstance(message, SystemMessage) for message in later):
        raise ConversationError("a system message stands in the middle; it belongs at the beginning")
    last = messages[-1] if messages else None
    if not (isinstance(last, UserMessage | ToolMessage) or (isinstance(last, AssistantMessage) and last.tool_calls)):
        raise ConversationError("the conversation ends with no message that the model could answer")


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


def _merged(messages: Iterable[Message]) -> Iterator[Message]:
    """With one message for several of the user's in a row, and for answers and the calls after them."""
    last: Message | None = None
    for message in messages:
        match last, message:
            case (UserMessage(), UserMessage()) | (AssistantMessage(tool_calls=()), AssistantMessage()):
                text = PARTS.join(filter(None, (last.content, message.content)))
                last = message.model_copy(update={"content": text})
            case _:
                if last:
                    yield last
                last = message
    if last:
        yield last


def _in_turn(messages: Iterable[Message]) -> Iterator[Message]:
    """With an empty message where one is missing: a run was stopped after a call, an answer was lost. Templates count
    what the user says and answers without calls."""
    users_turn = True
    for message in messages:
        if isinstance(message, UserMessage) or (isinstance(message, AssistantMessage) and not message.tool_calls):
            if isinstance(message, UserMessage) is users_turn:
                users_turn = not users_turn
            else:
                yield UserMessage(content=" ") if users_turn else AssistantMessage(content="")
        yield message


def _wire(message: Message, tools: Container[str]) -> Json:
    match message:
        case AssistantMessage(tool_calls=()):
            # mistral-common refuses an answer of nothing, and cuts blanks at the end: what is written is nothing.
            return {"role": "assistant", "content": message.content or " "}
        case AssistantMessage():
            calls = [wire_call(_named(call, tools)) for call in message.tool_calls]
            return {"role": "assistant", "content": message.content or None, "tool_calls": calls}
        case ToolMessage():  # its name is not written
            return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.content}
        case _:
            return {"role": message.role, "content": message.content}


def _named(call: ToolCall, tools: Container[str]) -> ToolCall:
    """A name that is none, as of a call that was cut off, becomes one."""
    if call.name in tools:
        return call
    return call.model_copy(update={"name": _NOT_IN_NAMES.sub("_", call.name)[:_NAME_CHARS] or NO_NAME})
