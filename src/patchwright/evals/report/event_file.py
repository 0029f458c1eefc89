"""A file of events: of an attempt (events alone), or of an exported session (a header before them)."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from patchwright.errors import RecordError
from patchwright.schema.events import EVENT, AnyEvent
from patchwright.schema.record import parse_line
from patchwright.schema.trajectory import Header

_HEADER = TypeAdapter(Header)


def read_events(path: Path, *, just_begun: bool = False) -> Iterator[AnyEvent]:
    """The events, one by one. A last line without its end is of a run that goes on or was killed, and is left out.

    Without any whole line it is a file of events only where the run may have `just_begun`. Raises RecordError with the
    path and the line number.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n") and not _is_whole(line) and (number > 1 or just_begun):
                    return
                if not (number == 1 and _is_header(line)):
                    yield parse_line(EVENT, line, path, number)
    except OSError as error:
        raise RecordError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if not number and not just_begun:
        raise RecordError(f"{path}: the file is empty", hint="`patchwright session export` writes what can be viewed")


def _is_header(line: bytes) -> bool:
    return _fits(_HEADER, line)


def _is_whole(line: bytes) -> bool:
    return _fits(EVENT, line) or _is_header(line)


def _fits(adapter: TypeAdapter[AnyEvent] | TypeAdapter[Header], line: bytes) -> bool:
    try:
        adapter.validate_json(line)
    except ValidationError:
        return False
    return True
