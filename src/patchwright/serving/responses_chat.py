"""What is asked of /v1/responses, as the chat completion that it comes to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from pydantic import ValidationError

from patchwright.schema.messages import Json
from patchwright.serving.body import (
    AssistantBody,
    CallBody,
    ChatBody,
    ContentPart,
    FunctionCall,
    MessageBody,
    SystemBody,
    ToolBody,
    UserBody,
)
from patchwright.serving.problems import INVALID, Problem
from patchwright.serving.responses_body import (
    CallItem,
    ChoiceBody,
    FunctionToolBody,
    ImagePart,
    ItemBody,
    MessageItem,
    NamespaceToolBody,
    OutputItem,
    PartBody,
    PartsBody,
    ReasoningItem,
    RefusalPart,
    ResponsesBody,
    SchemaFormatBody,
    TextPart,
)

IMAGE_LEFT_OUT = "(an image, which cannot be shown here)"
"""In the result of a call, which chats have in text only. Codex's tool to view one would otherwise end its session."""


@dataclass(frozen=True)
class Function:
    """A tool that the model can call. `namespace`: the one that the client knows it in."""

    tool: FunctionToolBody
    namespace: str | None


def functions_of(body: ResponsesBody) -> dict[str, Function]:
    """By the names that the model knows them under."""
    return {
        _full_name(function.namespace, function.tool.name): function
        for tool in body.tools or ()
        for function in _functions_in(tool)
    }


def chat_of(body: ResponsesBody) -> ChatBody:
    """Raises Problem when nothing is said, and for a choice of no tool."""
    functions = functions_of(body)
    asked: dict[str, object] = {
        "model": body.model,
        "messages": list(_messages(body)),
        "max_tokens": body.max_output_tokens,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "response_format": _format(body),
        "tools": [_tool(name, function) for name, function in functions.items()] or None,
    }
    if functions or body.tool_choice not in {
        "auto",
        "none",
    }:  # engines refuse a choice where there is nothing to choose
        asked |= {"tool_choice": _choice(body), "parallel_tool_calls": body.parallel_tool_calls if functions else None}
    if not asked["messages"]:
        raise Problem(INVALID, "input says nothing; send a message", param="input")
    try:
        return ChatBody.model_validate({name: value for name, value in asked.items() if value is not None})
    except ValidationError as error:
        raise Problem(INVALID, error.errors()[0]["msg"].lower()) from None


def _functions_in(tool: object) -> Iterator[Function]:
    match tool:
        case FunctionToolBody():
            yield Function(tool, None)
        case NamespaceToolBody(name=namespace, tools=tools):
            yield from (Function(each, namespace) for each in tools if isinstance(each, FunctionToolBody))
        case _:
            pass


def _full_name(namespace: str | None, name: str) -> str:
    """As Codex names the tools of MCP servers: mcp__server__tool. https://github.com/openai/codex/issues/23186"""
    return name if namespace is None else f"{namespace.rstrip('_')}__{name}"


def _tool(name: str, function: Function) -> Json:
    tool = function.tool
    given = {"description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    return {
        "type": "function",
        "function": {"name": name} | {field: value for field, value in given.items() if value is not None},
    }


def _choice(body: ResponsesBody) -> Json | str | None:
    match body.tool_choice:
        case ChoiceBody(name=name):
            return {"type": "function", "function": {"name": name}}
        case choice:
            return choice


def _format(body: ResponsesBody) -> Json | None:
    match body.text and body.text.format:
        case SchemaFormatBody(name=name, schema_=schema, strict=strict):
            wanted: Json = {"name": name, "schema": schema}
            return {"type": "json_schema", "json_schema": wanted if strict is None else wanted | {"strict": strict}}
        case None:
            return None
        case plain:
            return {"type": plain.type}


def _messages(body: ResponsesBody) -> Iterator[MessageBody]:
    """One system message at most, at the beginning, and none of developers: templates such as Qwen's take no others.

    What a client adds to it later comes from the user, in its place: the history before it stays as it was, and cached.
    """
    items = [item for item in _items(body) if not isinstance(item, ReasoningItem)]
    system = list(takewhile(_is_system, items))
    texts = [body.instructions, *(_text(item.content) for item in system if isinstance(item, MessageItem))]
    if any(texts):
        yield SystemBody(role="system", content="\n\n".join(text for text in texts if text))
    for is_answer, run in groupby(items[len(system) :], _is_assistants):
        turn = list(run)
        yield from [_answer(turn)] if is_answer else map(_message, turn)


def _items(body: ResponsesBody) -> list[ItemBody]:
    return [MessageItem(role="user", content=body.input)] if isinstance(body.input, str) else body.input


def _is_system(item: ItemBody) -> bool:
    return isinstance(item, MessageItem) and item.role in {"system", "developer"}


def _is_assistants(item: ItemBody) -> bool:
    return isinstance(item, CallItem) or (isinstance(item, MessageItem) and item.role == "assistant")


def _answer(items: Sequence[ItemBody]) -> AssistantBody:
    """What the model said and called before somebody else's turn: one message of a chat."""
    text = "\n\n".join(_text(item.content) for item in items if isinstance(item, MessageItem))
    calls = [_call(item) for item in items if isinstance(item, CallItem)]
    if not calls:
        return AssistantBody(role="assistant", content=text)
    return AssistantBody(role="assistant", content=text or None, tool_calls=calls)


def _call(item: CallItem) -> CallBody:
    function = FunctionCall(name=_full_name(item.namespace, item.name), arguments=item.arguments)
    return CallBody(id=item.call_id, function=function)


def _message(item: ItemBody) -> MessageBody:
    match item:
        case MessageItem(content=content):
            return UserBody(role="user", content=_content(content))
        case OutputItem(call_id=call_id, output=output):
            return ToolBody(role="tool", tool_call_id=call_id, content=_text(output))
        case _:
            raise AssertionError(item.type)


def _content(parts: PartsBody) -> str | list[ContentPart]:
    """Text as text, which every template takes; images in parts."""
    if isinstance(parts, str) or not any(isinstance(part, ImagePart) for part in parts):
        return _text(parts)
    return [_content_part(part) for part in parts]


def _content_part(part: PartBody) -> ContentPart:
    if not isinstance(part, ImagePart):
        return ContentPart(type="text", text=_text([part]))
    image = {"url": part.image_url} if part.detail is None else {"url": part.image_url, "detail": part.detail}
    return ContentPart.model_validate({"type": "image_url", "image_url": image})


def _text(parts: PartsBody) -> str:
    if isinstance(parts, str):
        return parts
    return "\n".join(map(_text_of, parts))


def _text_of(part: PartBody) -> str:
    match part:
        case TextPart(text=text):
            return text
        case RefusalPart(refusal=text):
            return text
        case _:
            return IMAGE_LEFT_OUT
