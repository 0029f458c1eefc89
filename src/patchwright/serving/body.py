"""What clients send to POST /v1/chat/completions. Fields that are not named here go to the engine as they are.

The shapes are OpenAI's: https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Annotated, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

MOST_STOPS = 16
LONGEST_STOP = 1000
MOST_TOOLS = 512
MOST_LOGPROBS = 20


class Part(BaseModel):
    """Of these parts the gateway reads what it must know; the rest is the engine's business."""

    model_config = ConfigDict(extra="allow", frozen=True)


class ContentPart(Part):
    type: str
    text: str | None = None


Content = str | list[ContentPart] | None


class FunctionCall(Part):
    name: str = Field(min_length=1)
    arguments: str = ""


class CallBody(Part):
    id: str = Field(min_length=1)
    function: FunctionCall


class SystemBody(Part):
    role: Literal["system", "developer"]
    content: Content


class UserBody(Part):
    role: Literal["user"]
    content: Content


class AssistantBody(Part):
    role: Literal["assistant"]
    content: Content = None
    tool_calls: list[CallBody] | None = None


class ToolBody(Part):
    role: Literal["tool"]
    tool_call_id: str
    content: Content


MessageBody = Annotated[SystemBody | UserBody | AssistantBody | ToolBody, Field(discriminator="role")]


class FunctionBody(Part):
    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.-]+$")
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None


class FunctionTool(Part):
    type: Literal["function"]
    function: FunctionBody


class NamedFunction(Part):
    name: str


class NamedChoice(Part):
    type: Literal["function"]
    function: NamedFunction


class JsonSchema(Part):
    name: str = "answer"
    schema_: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue], alias="schema")
    strict: bool | None = None


class SchemaFormat(Part):
    type: Literal["json_schema"]
    json_schema: JsonSchema


class PlainFormat(Part):
    type: Literal["text", "json_object"]


class StreamOptions(Part):
    include_usage: bool = False


_MAX_TOKENS = ("max_tokens", "max_completion_tokens", "n_predict")
"""OpenAI's names, old and new, and llama.cpp's own."""
_OTHER_NS = ("n_cmpl", "best_of", "use_beam_search")
"""llama.cpp's own name for n, and vLLM's ways to have more answers made than are given."""
StopString = Annotated[str, Field(max_length=LONGEST_STOP)]


class Asked(Part):
    """What both kinds of completion are asked for with."""

    model: str = ""
    """Empty: the only model there is."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: StopString | Annotated[list[StopString], Field(max_length=MOST_STOPS)] | None = None

    @model_validator(mode="after")
    def _asks_for_more_in_one_way(self) -> Self:
        """What engines would take for `n`, or for work that nobody has counted."""
        for name in _OTHER_NS:
            asked = (self.model_extra or {}).get(name)
            if asked is True or asked not in (None, False, 1):
                raise ValueError(f"{name} is not taken here: several answers are asked for with n")
        return self

    @property
    def answers(self) -> int:
        return self.n or 1

    def limited(self, most: int) -> Self:
        """The same for answers of so many tokens at most, under the names that the client has for it."""
        asked = {name: getattr(self, name) for name in _MAX_TOKENS if name in self.model_fields_set}
        limits = [each for each in asked.values() if isinstance(each, int) and each > 0]
        return self.model_copy(update=dict.fromkeys(asked or ("max_tokens",), min([*limits, most])))

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class ChatBody(Asked):
    """One chat completion that is asked for."""

    messages: list[MessageBody] = Field(min_length=1)
    tools: list[FunctionTool] | None = Field(default=None, max_length=MOST_TOOLS)
    tool_choice: Literal["none", "auto", "required"] | NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[SchemaFormat | PlainFormat, Field(discriminator="type")] | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=MOST_LOGPROBS)

    @model_validator(mode="after")
    def _choice_is_there(self) -> "ChatBody":
        names = {tool.function.name for tool in self.tools or ()}
        if self.named_tool is not None and self.named_tool not in names:
            raise ValueError(f"tool_choice names {self.named_tool}, which is not among the tools")
        if self.tool_choice == "required" and not names:
            raise ValueError("tool_choice is required, and there are no tools")
        return self

    @property
    def limit_tokens(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def named_tool(self) -> str | None:
        """The tool that `tool_choice` names."""
        return self.tool_choice.function.name if isinstance(self.tool_choice, NamedChoice) else None

    @property
    def must_call(self) -> bool:
        """Whether the answer must be a call."""
        return self.tool_choice == "required" or self.named_tool is not None

    @property
    def stops(self) -> tuple[str, ...]:
        named = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return tuple(filter(None, named))


class TextBody(Asked):
    """One text completion that is asked for: POST /v1/completions."""

    prompt: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=1)]
        | Annotated[list[int], Field(min_length=1)]
    )
    """One: a text, or its tokens."""
    logprobs: int | None = Field(default=None, ge=0, le=MOST_LOGPROBS)

    @property
    def only_prompt(self) -> str | list[int]:
        """llama.cpp streams no answer to a list of texts, not even of one."""
        match self.prompt:
            case [str() as text]:
                return text
            case prompt:
                return cast("str | list[int]", prompt)
