"""A client's conversation as the messages that we write tokens of."""

from collections.abc import Iterable
from itertools import count

from patchwright.chat.mistral.normal import PARTS
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
from patchwright.serving.body import (
    AssistantBody,
    CallBody,
    ChatBody,
    Content,
    MessageBody,
    SystemBody,
    ToolBody,
    UserBody,
)
from patchwright.serving.problems import INVALID, Problem

_REASONING = ("reasoning", "reasoning_content")
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


def is_plain(body: ChatBody) -> bool:
    """Whether it is text and calls: no pictures, no reasoning, no answer at the end that is to be gone on with."""
    last = body.messages[-1]
    goes_on = isinstance(last, AssistantBody) and not last.tool_calls
    return not goes_on and all(map(_is_plain, body.messages))


def _is_plain(message: MessageBody) -> bool:
    if any((message.model_extra or {}).get(name) for name in _REASONING):
        return False
    return not isinstance(message.content, list) or all(part.type == "text" for part in message.content)


def tools_of(body: ChatBody) -> tuple[ToolSpec, ...]:
    functions = [tool.function for tool in body.tools or ()]
    return tuple(
        ToolSpec(name=each.name, description=each.description or "", parameters=each.parameters or _NO_PARAMETERS)
        for each in functions
    )


def _messages(bodies: Iterable[MessageBody]) -> Iterable[Message]:
    """Calls get ids of nine letters, whatever the client names them: Mistral's validator takes no others, and none
    twice. A result that does not follow its call, or follows another one, is no result any more. What the system says
    later comes from the user, in its place."""
    waiting: dict[str, list[ToolCall]] = {}
    numbers = count(1)
    begun = False
    for number, body in enumerate(bodies):
        where = f"messages.{number}.content"
        if not isinstance(body, ToolBody):
            waiting = {}
        begun = begun or not isinstance(body, SystemBody)
        match body:
            case SystemBody() if begun:
                yield UserMessage(content=_text(body.content, where))
            case SystemBody():
                yield SystemMessage(content=_text(body.content, where))
            case UserBody():
                yield UserMessage(content=_text(body.content, where))
            case AssistantBody():
                calls = tuple(_call(call, next(numbers)) for call in body.tool_calls or ())
                for asked, call in zip(body.tool_calls or (), calls, strict=True):
                    waiting.setdefault(asked.id, []).append(call)
                yield AssistantMessage(content=_text(body.content, where), tool_calls=calls)
            case ToolBody() if waiting.get(body.tool_call_id):
                call = waiting[body.tool_call_id].pop(0)
                yield ToolMessage(tool_call_id=call.id, name=call.name, content=_text(body.content, where))
            case ToolBody():
                yield UserMessage(content=f"{STRAY}\n{_text(body.content, where)}")
                waiting = {}


def _call(body: CallBody, number: int) -> ToolCall:
    return ToolCall(id=f"call{number:05d}", name=body.function.name, arguments=body.function.arguments)


def _text(content: Content, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    other = next((part for part in content if part.text is None), None)
    if other is not None:
        raise Problem(INVALID, f"this model reads text, and no {other.type}", param=where)
    return PARTS.join(part.text for part in content if part.text)
