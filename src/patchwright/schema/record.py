"""The base of every record: frozen, and refusing fields that it does not know."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from patchwright.errors import RecordError

T = TypeVar("T")


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


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg'].lower()}" if where else problem["msg"].lower()
