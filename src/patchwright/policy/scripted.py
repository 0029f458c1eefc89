"""A policy that says what it was told to say: deterministic runs for tests, demos and front ends."""

import json
from collections.abc import AsyncGenerator, Iterable

from pydantic import JsonValue

from patchwright.chat.calls import with_ids
from patchwright.errors import EngineError
from patchwright.schema.messages import Answer, Answers, AssistantMessage, Delta, Reply, Request, TextDelta, ToolCall

Line = AssistantMessage | Reply | Answers | EngineError


def answers(*texts: str) -> Answers:
    """Several answers to one request."""
    return Answers(answers=tuple(Answer(text=text) for text in texts))


def calls(*named: tuple[str, dict[str, JsonValue]], text: str = "") -> AssistantMessage:
    """An answer with tool calls, each a name and its arguments."""
    made = (ToolCall(id="", name=name, arguments=json.dumps(arguments)) for name, arguments in named)
    return AssistantMessage(content=text, tool_calls=tuple(made))


class ScriptedPolicy:
    """Answers each request with the next line of its script; an error in the script is raised.

    `requests` keeps what it was asked. Raises EngineError when the script has run out.
    """

    def __init__(self, script: Iterable[Line], *, name: str = "scripted", context_tokens: int | None = None) -> None:
        self.name = name
        self.context_tokens = context_tokens
        self.requests: list[Request] = []
        self._script = iter(script)

    async def stream(self, request: Request) -> AsyncGenerator[Delta]:
        line = self._next(request)
        if isinstance(line, Answers):
            raise EngineError(f"the script has several answers to request {len(self.requests)}, which asks for one")
        reply = line if isinstance(line, Reply) else _reply_of(line)
        if reply.message.content:
            yield TextDelta(text=reply.message.content)
        yield reply.model_copy(update={"message": with_ids(reply.message, request.messages)})

    async def answers(self, request: Request, n: int) -> Answers:
        """The script's answers, however many were asked for."""
        line = self._next(request)
        if not isinstance(line, Answers):
            raise EngineError(f"the script has one answer to request {len(self.requests)}, which asks for {n}")
        return line

    def _next(self, request: Request) -> AssistantMessage | Reply | Answers:
        self.requests.append(request)
        line = next(self._script, None)
        if line is None:
            raise EngineError(f"the script has no answer to request {len(self.requests)}")
        if isinstance(line, EngineError):
            raise line
        return line

    async def count_tokens(self, text: str) -> int:
        """A token a word: easy to reckon with in a test."""
        return len(text.split())


def _reply_of(message: AssistantMessage) -> Reply:
    problem = None if message.tool_calls else "the reply holds no tool call"
    return Reply(message=message, problem=problem)
