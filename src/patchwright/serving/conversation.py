"""A client's conversation as the messages that we write tokens of."""

from collections.abc import Iterable
from itertools import count

from patchwright.schema.messages import (
    AssistantMessage,
    Json,
    Message,
    Request,
    Sampling,
    SystemMessage,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from patchwright.serving.body import AssistantBody, ChatBody, Content, MessageBody, SystemBody, ToolBody, UserBody
from patchwright.serving.problems import INVALID, Problem

_NO_PARAMETERS: Json = {"type": "object", "properties": {}, "additionalProperties": False}
"""What OpenAI takes missing parameters for."""

STRAY = "(a result of a call that is no longer in the conversation)"


def request_of(body: ChatBody) -> Request:
    """Raises Problem for what is no text: the model reads nothing else."""
    sampling = Sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
        stop=body.stops or None,
        max_tokens=body.limit_tokens,
    )
    return Request(messages=tuple(_messages(body.messages)), tools=tools_of(body), sampling=sampling)


def is_text(body: ChatBody) -> bool:
    """Whether it holds nothing but text: no pictures, no sound."""
    contents = (message.content for message in body.messages)
    return all(part.text is not None for content in contents if isinstance(content, list) for part in content)


def ends_with_answer(body: ChatBody) -> bool:
    """Whether its last message is an answer that could only be gone on with."""
    last = body.messages[-1]
    return isinstance(last, AssistantBody) and not last.tool_calls


def tools_of(body: ChatBody) -> tuple[ToolSpec, ...]:
    functions = [tool.function for tool in body.tools or ()]
    return tuple(
        ToolSpec(name=each.name, description=each.description or "", parameters=each.parameters or _NO_PARAMETERS)
        for each in functions
    )


def _messages(bodies: Iterable[MessageBody]) -> Iterable[Message]:
    """Calls get ids of nine letters, whatever the client names them: Mistral's validator takes no others."""
    ids: dict[str, str] = {}
    names: dict[str, str] = {}
    numbers = count(1)
    for number, body in enumerate(bodies):
        where = f"messages.{number}.content"
        match body:
            case SystemBody():
                yield SystemMessage(content=_text(body.content, where))
            case UserBody():
                yield UserMessage(content=_text(body.content, where))
            case AssistantBody():
                calls = tuple(body.tool_calls or ())
                for call in calls:
                    ids[call.id] = f"call{next(numbers):05d}"
                    names[call.id] = call.function.name
                yield AssistantMessage(
                    content=_text(body.content, where),
                    tool_calls=tuple(
                        ToolCall(id=ids[call.id], name=call.function.name, arguments=call.function.arguments)
                        for call in calls
                    ),
                )
            case ToolBody() if body.tool_call_id in ids:
                id_, name = ids[body.tool_call_id], names[body.tool_call_id]
                yield ToolMessage(tool_call_id=id_, name=name, content=_text(body.content, where))
            case ToolBody():
                yield UserMessage(content=f"{STRAY}\n{_text(body.content, where)}")


def _text(content: Content, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    other = next((part for part in content if part.text is None), None)
    if other is not None:
        raise Problem(INVALID, f"this model reads text, and no {other.type}", param=where)
    return "".join(part.text or "" for part in content)
