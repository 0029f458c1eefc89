"""A run in its directory, read back while it goes on or after it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from patchwright.errors import RecordError
from patchwright.evals.report.event_file import read_events
from patchwright.schema.attempt import Attempt, RunFacts
from patchwright.schema.events import AnyEvent
from patchwright.schema.record import Record

R = TypeVar("R", bound=Record)

LOG_TAIL_BYTES = 200_000
NAME_BYTES = 255
"""The longest name that file systems take."""


class RecordedRun:
    """What `schema/attempt.py` says of a run's directory. Everything raises RecordError for what is not so.

    Reading is lazy: of all attempts at once nothing is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts = _read(RunFacts, path / "run.json", hint="a run's directory holds run.json")
        if len(set(self.facts.instance_ids)) < len(self.facts.instance_ids) or self.facts.attempts < 1:
            raise RecordError(f"{path / 'run.json'}: an instance is named twice, or has no attempts")

    def attempts_at(self, instance_id: str) -> Iterator[Attempt | None]:
        """The attempts at an instance in order of number; None for one that is not over."""
        for number in range(1, self.facts.attempts + 1):
            yield self.attempt(instance_id, number)

    def attempt(self, instance_id: str, number: int) -> Attempt | None:
        """None when it is not over, or never began."""
        path = self.directory_of(instance_id, number) / "attempt.json"
        if not path.exists():
            return None
        attempt = _read(Attempt, path)
        if (attempt.instance_id, attempt.number) != (instance_id, number):
            raise RecordError(f"{path}: this is attempt {attempt.number} at {attempt.instance_id}")
        return attempt

    def events(self, instance_id: str, number: int) -> Iterator[AnyEvent]:
        """The events of an attempt, one by one; none where the scaffold is not Patchwright's own."""
        path = self.directory_of(instance_id, number) / "events.jsonl"
        return read_events(path, just_begun=True) if path.exists() else iter(())

    def has_events(self, instance_id: str, number: int) -> bool:
        return (self.directory_of(instance_id, number) / "events.jsonl").exists()

    def log(self, instance_id: str, number: int, name: str) -> str:
        """The last 200 kB of a log; empty where there is none."""
        path = self.directory_of(instance_id, number) / name
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise RecordError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None

    def directory_of(self, instance_id: str, number: int) -> Path:
        """Where an attempt is kept. An id that would lead elsewhere, or is no file's name, is refused."""
        too_long = len(instance_id.encode()) > NAME_BYTES
        if instance_id in {"", ".", ".."} or "/" in instance_id or "\0" in instance_id or too_long:
            raise RecordError(f"{self.path / 'run.json'}: {instance_id!r} cannot be an instance id")
        return self.path / "attempts" / instance_id / str(number)


def _read(kind: type[R], path: Path, *, hint: str | None = None) -> R:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RecordError(f"{path}: {(error.strerror or 'cannot be read').lower()}", hint=hint) from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise RecordError(f"{path}: {where + ': ' if where else ''}{problem['msg'].lower()}") from None
