"""The base of every record: frozen, and refusing fields that it does not know."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from patchwright.errors import RecordError

T = TypeVar("T")

Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
"""That something took. JSON as Python writes and reads it may say NaN, or 1e999, of which nothing can be computed."""


class Record(BaseModel):
    """A frozen value. Unknown fields are errors, so that a file from another version is never half read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse_line(adapter: TypeAdapter[T], line: str | bytes, path: Path | str, number: int) -> T:
    """One line of JSON as a record.

    Raises RecordError that names the file, the line and the field.
    """
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        raise RecordError(f"{path}:{number}: {_first_problem(error)}") from None


def is_torn(line: bytes, beginning: bytes) -> bool:
    """Whether it is what a kill left of a line of JSON that begins so, which may be nothing at all."""
    if not beginning.startswith(line[: len(beginning)]):
        return False
    try:
        from_json(line)
    except ValueError as error:
        return str(error).startswith("EOF")
    return False


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg'].lower()}" if where else problem["msg"].lower()
