"""A chat completion, put together from its chunks as they arrive, or from the whole."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from patchwright.errors import EngineError
from patchwright.schema.messages import FinishReason, ToolCall, Usage


class Wire(BaseModel):
    """What we read of a server's answer; servers add fields of their own."""

    model_config = ConfigDict(extra="ignore")


class _FunctionPiece(Wire):
    name: str | None = None
    arguments: str | None = None


class _CallPiece(Wire):
    index: int | None = None
    id: str | None = None
    function: _FunctionPiece = _FunctionPiece()


class _Delta(Wire):
    content: str | None = None
    tool_calls: list[_CallPiece] | None = None


class _Choice(Wire):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _PromptDetails(Wire):
    cached_tokens: int | None = None


class WireUsage(Wire):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _PromptDetails | None = None


class _Error(Wire):
    message: str = "no reason given"


class Chunk(Wire):
    """One `data:` line of the stream."""

    choices: list[_Choice] = Field(default_factory=list[_Choice])
    usage: WireUsage | None = None
    error: _Error | str | None = None


class _WholeChoice(Wire):
    message: _Delta = _Delta()
    finish_reason: str | None = None


class _Whole(Wire):
    choices: list[_WholeChoice]
    usage: WireUsage | None = None


class Completion:
    """Collects chunks. `content` and `calls` are complete once `finish_reason` is set."""

    def __init__(self) -> None:
        self.content = ""
        self.usage = Usage()
        self.finish_reason: FinishReason | None = None
        self._calls: dict[int, _PartialCall] = {}

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        ordered = (self._calls[index] for index in sorted(self._calls))
        return tuple(ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in ordered)

    def add(self, chunk: Chunk) -> None:
        if chunk.usage:
            self.usage = usage_of(chunk.usage)
        for choice in chunk.choices[:1]:
            self.content += choice.delta.content or ""
            for piece in choice.delta.tool_calls or ():
                self._call_for(piece).add(piece)
            if choice.finish_reason:
                self.finish_reason = _finish_reason(choice.finish_reason)

    def _call_for(self, piece: _CallPiece) -> "_PartialCall":
        """The call that a piece continues: by index, or, from servers that give none, the last one until a new id."""
        if piece.index is not None:
            return self._calls.setdefault(piece.index, _PartialCall())
        last = max(self._calls, default=-1)
        continues = last >= 0 and piece.id in {None, self._calls[last].id}
        return self._calls.setdefault(last if continues else last + 1, _PartialCall())


class _PartialCall:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments = ""

    def add(self, piece: _CallPiece) -> None:
        self.id = self.id or piece.id or ""
        self.name = self.name or piece.function.name or ""
        self.arguments += piece.function.arguments or ""


def read_whole(data: bytes) -> Chunk:
    """A completion that was not streamed, as the only chunk of one. Raises EngineError when it is none."""
    try:
        whole = _Whole.model_validate_json(data)
    except ValidationError:
        raise EngineError(f"the endpoint sent what is no chat completion: {data[:200]!r}") from None
    choices = [_Choice(delta=choice.message, finish_reason=choice.finish_reason) for choice in whole.choices]
    return Chunk(choices=choices, usage=whole.usage)


def usage_of(wire: WireUsage) -> Usage:
    details = wire.prompt_tokens_details or _PromptDetails()
    return Usage(
        prompt_tokens=wire.prompt_tokens,
        cached_tokens=details.cached_tokens or 0,
        completion_tokens=wire.completion_tokens,
    )


def _finish_reason(text: str) -> FinishReason:
    match text:
        case "length" | "content_filter" | "tool_calls":
            return text
        case "function_call":
            return "tool_calls"
        case _:
            return "stop"
