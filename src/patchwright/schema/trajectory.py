"""A trajectory file: the record of one run, as JSON lines. The first line is the header, each further one an event."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from patchwright.errors import RecordError
from patchwright.schema.events import EVENT, AnyEvent, Event
from patchwright.schema.record import Record, parse_line


class Header(Record):
    """The first line. A new version of the format changes `version`; there is no reading of older ones."""

    format: Literal["patchwright.trajectory"] = "patchwright.trajectory"
    version: Literal[1] = 1
    id: str
    created: str
    """ISO 8601, UTC."""
    patchwright: str
    """The version of Patchwright that wrote it."""


class Trajectory(Record):
    header: Header
    events: tuple[Event, ...]


_HEADER = TypeAdapter(Header)


def dumps(trajectory: Trajectory) -> str:
    """The file's text. `loads` of it, dumped again, is the same byte for byte."""
    return "".join(f"{line}\n" for line in _lines(trajectory.header, trajectory.events))


def loads(text: str, path: Path | str = "<trajectory>") -> Trajectory:
    """Raises RecordError with `path` and the line number for anything that is not version 1 of the format."""
    lines = text.removesuffix("\n").split("\n")
    if lines == [""]:
        raise RecordError(f"{path}:1: the file is empty, a trajectory starts with a header line")
    header = parse_line(_HEADER, lines[0], path, 1)
    events = (parse_line(EVENT, line, path, n) for n, line in enumerate(lines[1:], start=2))
    return Trajectory(header=header, events=tuple(events))


def read(path: Path) -> Trajectory:
    """Raises RecordError when the file is missing, is not UTF-8 or is not a trajectory."""
    try:
        return loads(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise RecordError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except UnicodeDecodeError:
        raise RecordError(f"{path}: not UTF-8 text, so not a trajectory") from None


def write(path: Path, trajectory: Trajectory) -> None:
    path.write_text(dumps(trajectory), encoding="utf-8")


def _lines(header: Header, events: Iterable[AnyEvent]) -> Iterable[str]:
    yield header.model_dump_json()
    for event in events:
        yield event.model_dump_json()
