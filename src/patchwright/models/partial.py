"""A file in progress: the bytes so far, beside its final name, and what it takes to go on with them later."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from patchwright.errors import ModelError
from patchwright.models.source import Promise
from patchwright.schema.record import Record


class Journal(Record):
    """What is known of the bytes in a partial file."""

    identity: str | None = None
    """The SHA-256 or the ETag of the whole file that they belong to."""
    part_ends: tuple[int, ...] = ()
    """Where each part, fetched whole, ends."""


class Partial:
    """The bytes of `target` so far, in `target.partial`. One process at a time works on it: see `locked`."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.partial")
        self._journal_path = target.with_name(f"{target.name}.partial.json")

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def claim(self, promise: Promise) -> None:
        """Keeps the bytes if they are known to belong to the promised file, and drops them otherwise."""
        journal = self._journal()
        too_long = promise.size_bytes is not None and self.size_bytes > promise.size_bytes
        if too_long or promise.identity is None or journal.identity != promise.identity:
            self.discard()
            self._write_journal(Journal(identity=promise.identity))

    def append(self, chunks: Iterable[bytes]) -> Iterator[int]:
        """Writes each chunk and yields the size so far. Raises ModelError when the disk is full."""
        with self.path.open("ab", buffering=0) as file:
            for chunk in chunks:
                with disk_errors(self.target):
                    _write_all(file.fileno(), chunk)
                yield file.tell()

    def truncate(self, size_bytes: int) -> None:
        with disk_errors(self.target), self.path.open("ab") as file:
            file.truncate(size_bytes)

    def end_part(self) -> None:
        """Remembers that all bytes so far are whole parts."""
        journal = self._journal()
        self._write_journal(journal.model_copy(update={"part_ends": (*journal.part_ends, self.size_bytes)}))

    def back_to_last_part(self) -> int:
        """Drops what was written after the last whole part; the number of whole parts."""
        size = self.size_bytes
        journal = self._journal()
        ends = tuple(end for end in journal.part_ends if end <= size)
        self.truncate(ends[-1] if ends else 0)
        self._write_journal(journal.model_copy(update={"part_ends": ends}))
        return len(ends)

    def sha256(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def finish(self) -> None:
        """Gives the file its final name; the bytes are on the disk before the name is."""
        with disk_errors(self.target), self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)
        self._journal_path.unlink(missing_ok=True)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._journal_path.unlink(missing_ok=True)

    @contextmanager
    def scratch(self) -> Generator[Path]:
        """An empty directory on the same disk, gone afterwards; so is one that a killed process left behind."""
        prefix = f".{self.target.name}.scratch-"
        for left_over in self.target.parent.glob(f"{prefix}*"):
            shutil.rmtree(left_over)
        with disk_errors(self.target):
            directory = tempfile.TemporaryDirectory(prefix=prefix, dir=self.target.parent)
        with directory as name:
            yield Path(name)

    def check_space(self, total_bytes: int) -> None:
        """Raises ModelError when the rest of the file does not fit on the disk."""
        needed = total_bytes - self.size_bytes
        free = shutil.disk_usage(self.target.parent).free
        if needed > free:
            raise ModelError(
                f"not enough space in {self.target.parent}: {self.target.name} needs {needed:,} bytes more, "
                f"{free:,} are free",
                hint="free some space, or set data_dir to a larger disk",
            )

    def _journal(self) -> Journal:
        try:
            return Journal.model_validate_json(self._journal_path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return Journal()

    def _write_journal(self, journal: Journal) -> None:
        fresh = self._journal_path.with_suffix(".new")
        with disk_errors(self.target):
            fresh.write_text(journal.model_dump_json(), encoding="utf-8")
        fresh.replace(self._journal_path)


@contextmanager
def disk_errors(target: Path) -> Generator[None]:
    """Turns what the disk refuses into a ModelError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise disk_is_full(target) from None
        reason = (error.strerror or type(error).__name__).lower()
        raise ModelError(f"cannot write {target}: {reason}", hint="set data_dir to a place of your own") from None


def disk_is_full(target: Path) -> ModelError:
    return ModelError(
        f"the disk became full while {target.name} was written to {target.parent}",
        hint="free some space and pull again: what has arrived is kept; `patchwright model rm` removes it",
    )


def _write_all(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
