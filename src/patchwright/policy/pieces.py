"""What llama.cpp's POST /completion answers: pieces of text with the tokens that they came of.

Source: tools/server/README.md and server-task.cpp of llama.cpp.
"""

from pydantic import Field, TypeAdapter, ValidationError

from patchwright.errors import EngineError
from patchwright.policy.completion import Wire
from patchwright.policy.connection import EngineFailed
from patchwright.schema.messages import FinishReason, Usage

ROUTE = "/completion"


class _Timings(Wire):
    cache_n: int = 0


class Token(Wire):
    """A token and how likely it was. `bytes`: what it stands for; `token`: the same as text, where it is any."""

    token: str = ""
    bytes: list[int] = Field(default_factory=list[int])
    logprob: float


class Probability(Token):
    """The token that was drawn, and the likeliest in its place."""

    top_logprobs: list[Token] = Field(default_factory=list[Token])


class _Error(Wire):
    message: str = "no reason given"


class _Failure(Wire):
    """What comes in the place of a piece when the engine cannot go on."""

    error: _Error


class Piece(Wire):
    """One event of the stream, or a whole answer."""

    index: int = 0
    """Which of several answers it belongs to."""
    content: str
    tokens: list[int]
    """Those that made a whole character: of others, only the last."""
    stop: bool
    stop_type: str = ""
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    timings: _Timings = _Timings()
    completion_probabilities: list[Probability] = Field(default_factory=list[Probability])

    @property
    def usage(self) -> Usage:
        """Complete in the last piece of an answer."""
        return Usage(
            prompt_tokens=self.tokens_evaluated,
            cached_tokens=self.timings.cache_n,
            completion_tokens=self.tokens_predicted,
        )

    def finish_reason(self, *, called: bool) -> FinishReason:
        """Of the last piece. called: whether the answer holds tool calls."""
        if self.stop_type == "limit":
            return "length"
        return "tool_calls" if called else "stop"


_PIECE: TypeAdapter[Piece | _Failure] = TypeAdapter(Piece | _Failure)
_ONE_OR_SEVERAL: TypeAdapter[Piece | list[Piece]] = TypeAdapter(Piece | list[Piece])


def read_piece(data: str) -> Piece:
    """Raises EngineError, also where the engine says that it cannot go on."""
    try:
        piece = _PIECE.validate_json(data)
    except ValidationError:
        raise EngineError(f"the engine sent what is no piece of an answer: {data[:200]!r}") from None
    if isinstance(piece, _Failure):
        raise EngineFailed(f"the engine failed in mid-answer: {piece.error.message}")
    return piece


def read_whole(data: bytes) -> list[Piece]:
    """Whole answers, one at least. Raises EngineError."""
    try:
        found = _ONE_OR_SEVERAL.validate_json(data)
    except ValidationError:
        raise EngineError(f"the engine sent what is no answer: {data[:200]!r}") from None
    pieces = found if isinstance(found, list) else [found]
    if not pieces:
        raise EngineError("the engine sent no answer")
    return pieces
