"""What clients send to POST /v1/responses, as far as agents use it. Fields that are not named here are left aside.

The shapes are OpenAI's: https://platform.openai.com/docs/api-reference/responses/create
"""

from collections.abc import Mapping
from typing import Annotated, Literal, LiteralString, cast

from pydantic import AfterValidator, Discriminator, Field, JsonValue, Tag, field_validator
from pydantic_core import PydanticCustomError

from patchwright.serving.body import MOST_TOOLS, FunctionBody, Part, PlainFormat

TOOLS_LEFT_ASIDE = frozenset({"custom", "image_generation", "tool_search", "web_search"})
"""Codex CLI sends these beside its functions, unasked; with a 400 for them it could do nothing at all.
https://github.com/openai/codex/blob/main/codex-rs/tools/src/tool_spec.rs"""

_OTHER = "other"


def _by_type(tags: Mapping[str, str], untyped: str = _OTHER) -> Discriminator:
    """Chooses a shape by the `type` that a value has, read or to be written."""

    def tag(value: object) -> str:
        fields = vars(value) if isinstance(value, Part) else value
        kind = cast("dict[str, object]", fields).get("type") if isinstance(fields, dict) else None
        if kind is None:
            return untyped
        return tags.get(kind, _OTHER) if isinstance(kind, str) else _OTHER

    return Discriminator(tag)


def _text_or_list(value: object) -> str:
    return "text" if isinstance(value, str) else "list"


class TextPart(Part):
    type: Literal["input_text", "output_text", "text"]
    text: str


class RefusalPart(Part):
    type: Literal["refusal"]
    refusal: str


class ImagePart(Part):
    type: Literal["input_image"]
    image_url: str
    """Of the web, or with the image in it: data:image/png;base64,…"""
    detail: str | None = None


class OtherPart(Part):
    """None that passes."""

    type: str

    @field_validator("type")
    @classmethod
    def _refused(cls, kind: str) -> str:
        raise PydanticCustomError("unknown_part", "parts of type {kind} are not taken here, but text", {"kind": kind})


PartBody = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[RefusalPart, Tag("refusal")]
    | Annotated[ImagePart, Tag("image")]
    | Annotated[OtherPart, Tag(_OTHER)],
    _by_type(
        {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal", "input_image": "image"}
    ),
]
PartsBody = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[PartBody], Tag("list")], Discriminator(_text_or_list)
]


class MessageItem(Part):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: PartsBody


class CallItem(Part):
    type: Literal["function_call"]
    call_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    namespace: str | None = None
    arguments: str = ""


class OutputItem(Part):
    type: Literal["function_call_output"]
    call_id: str
    output: PartsBody


class ReasoningItem(Part):
    """What a model thought: other models would not know it, and chats do not bring it."""

    type: Literal["reasoning"]


class OtherItem(Part):
    """None that passes."""

    type: str

    @field_validator("type")
    @classmethod
    def _refused(cls, kind: str) -> str:
        raise PydanticCustomError(
            "unknown_item",
            "items of type {kind} are not taken here, but message, function_call, function_call_output and reasoning",
            {"kind": kind},
        )


ItemBody = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[CallItem, Tag("call")]
    | Annotated[OutputItem, Tag("output")]
    | Annotated[ReasoningItem, Tag("reasoning")]
    | Annotated[OtherItem, Tag(_OTHER)],
    _by_type(
        {"message": "message", "function_call": "call", "function_call_output": "output", "reasoning": "reasoning"},
        untyped="message",
    ),
]
InputBody = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[ItemBody], Tag("list")], Discriminator(_text_or_list)
]


class FunctionToolBody(FunctionBody):
    type: Literal["function"]


class OtherToolBody(Part):
    """A tool that OpenAI runs, or that is called with something else than JSON."""

    type: str

    @field_validator("type")
    @classmethod
    def _left_aside(cls, kind: str) -> str:
        if kind in TOOLS_LEFT_ASIDE:
            return kind
        raise PydanticCustomError(
            "unknown_tool", "tools of type {kind} cannot be run here; send functions, and run them", {"kind": kind}
        )


class NamespaceToolBody(Part):
    """Functions under one name: so Codex CLI sends those of an MCP server."""

    type: Literal["namespace"]
    name: str = Field(min_length=1)
    tools: list[
        Annotated[
            Annotated[FunctionToolBody, Tag("function")] | Annotated[OtherToolBody, Tag(_OTHER)],
            _by_type({"function": "function"}),
        ]
    ] = Field(max_length=MOST_TOOLS)


ToolBody = Annotated[
    Annotated[FunctionToolBody, Tag("function")]
    | Annotated[NamespaceToolBody, Tag("namespace")]
    | Annotated[OtherToolBody, Tag(_OTHER)],
    _by_type({"function": "function", "namespace": "namespace"}),
]


class ChoiceBody(Part):
    type: Literal["function"]
    name: str


class SchemaFormatBody(Part):
    type: Literal["json_schema"]
    name: str = "answer"
    schema_: dict[str, JsonValue] = Field(alias="schema")
    strict: bool | None = None


class TextAsked(Part):
    format: Annotated[SchemaFormatBody | PlainFormat, Field(discriminator="type")] | None = None


def _refused(message: LiteralString) -> AfterValidator:
    """For fields that ask for what is not there; what asks for nothing passes."""

    def refuse(value: JsonValue) -> JsonValue:
        if value:
            raise PydanticCustomError("refused", message)
        return value

    return AfterValidator(refuse)


_KEPT = _refused("nothing is kept here; send the whole conversation as input")
_LATER = _refused("nothing runs in the background here; leave it out, and stream the answer")


class ResponsesBody(Part):
    """One response that is asked for."""

    model: str = ""
    """Empty: the only model there is."""
    input: InputBody
    instructions: str | None = None
    tools: list[ToolBody] | None = Field(default=None, max_length=MOST_TOOLS)
    tool_choice: Literal["none", "auto", "required"] | ChoiceBody | None = None
    parallel_tool_calls: bool | None = None
    text: TextAsked | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    stream: bool | None = None
    metadata: dict[str, str] | None = None
    previous_response_id: Annotated[str | None, _KEPT] = None
    conversation: Annotated[JsonValue, _KEPT] = None
    prompt: Annotated[JsonValue, _KEPT] = None
    background: Annotated[bool | None, _LATER] = None
