"""Messages of a conversation, tools as the policy sees them, and what a policy answers.

The shapes follow the OpenAI chat completions API, which every engine speaks.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from patchwright.schema.record import Record


class ToolCall(Record):
    """A call as the policy wrote it. `arguments` is its raw JSON text: it may be malformed."""

    id: str
    name: str
    arguments: str


class SystemMessage(Record):
    role: Literal["system"] = "system"
    content: str


class UserMessage(Record):
    role: Literal["user"] = "user"
    content: str


class AssistantMessage(Record):
    """`content` is the text exactly as generated, so that the engine's prefix cache matches it again."""

    role: Literal["assistant"] = "assistant"
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


class ToolMessage(Record):
    """The observation that answers one tool call."""

    role: Literal["tool"] = "tool"
    tool_call_id: str
    name: str
    content: str


Message = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class ToolSpec(Record):
    """A tool as the policy sees it. `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: dict[str, JsonValue]


Calling = Literal["native", "json"]
"""How tools are called: by the model's own tool-call format, or by one JSON object a step, held by a grammar."""


class Sampling(Record):
    """Sampling parameters; None leaves the engine's default."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    max_tokens: int | None = None


class Request(Record):
    """One policy call: the whole conversation so far and the tools that may be called next."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    calling: Calling = "native"
    sampling: Sampling = Sampling()


class Usage(Record):
    """Tokens of one policy call. `cached_tokens` of the prompt came from the engine's prefix cache."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )


class Answer(Record):
    """One of several answers to a request, as text."""

    text: str
    logprob: float | None = None
    """The mean log-probability of its tokens; None where the engine does not say."""
    complete: bool = True
    """False when it was cut off at its length limit."""


class Answers(Record):
    """All answers to one request. `usage` counts the tokens of all of them, as far as the endpoint does."""

    answers: tuple[Answer, ...]
    usage: Usage = Usage()


FinishReason = Literal["stop", "tool_calls", "length", "content_filter"]


class TextDelta(Record):
    """Text that has just arrived, for showing only: the Reply repeats it whole."""

    kind: Literal["text"] = "text"
    text: str


class Reply(Record):
    """The end of a policy call. `problem` says why no tool call could be read from it, if that is so."""

    kind: Literal["reply"] = "reply"
    message: AssistantMessage
    usage: Usage = Usage()
    finish_reason: FinishReason = "stop"
    problem: str | None = None


Delta = TextDelta | Reply

Json = dict[str, Any]
