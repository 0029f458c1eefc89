"""What a supervisor answers: the JSON part of its frames. Checked, since commands run beside it."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from patchwright.errors import SandboxError
from patchwright.sandbox.base import FileInfo

A = TypeVar("A", bound="Answer")


class Answer(BaseModel):
    """The answer to a request, without more to say than that it was carried out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int


class Refusal(Answer):
    """The answer to a request that cannot be carried out."""

    error: str


class Hello(Answer):
    """The first frame, once the supervisor is ready."""

    writable: bool
    """Whether commands can write to the work tree."""


class Ran(Answer):
    """The end of a command; its output, head and tail, is the frame's body."""

    exit_code: int
    duration_s: float
    timed_out: bool
    omitted_bytes: int = Field(ge=0)
    head_bytes: int = Field(ge=0)
    """How much of the body came before what was left out."""
    cwd: str


class Looked(Answer):
    """One path, or that nothing is there."""

    info: FileInfo | None


class Listed(Answer):
    """The entries below a directory."""

    entries: tuple[FileInfo, ...]


def parse_answer(model: type[A], head: bytes) -> A | Refusal:
    """Raises SandboxError for what cannot be the answer to this kind of request."""
    try:
        return model.model_validate_json(head)
    except ValidationError:
        pass
    try:
        return Refusal.model_validate_json(head)
    except ValidationError:
        raise SandboxError("the sandbox answered something that makes no sense") from None
