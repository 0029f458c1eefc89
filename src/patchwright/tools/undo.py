"""What the editor remembers of its edits, so that it can take them back."""

from collections import deque
from dataclasses import dataclass
from hashlib import sha256

REMEMBERED_BYTES = 16_000_000


@dataclass(frozen=True)
class Edit:
    """`before` is None when the edit created the file."""

    path: str
    before: bytes | None
    after_digest: bytes


class EditLog:
    """The last edits; the oldest are forgotten when together they are larger than `limit_bytes`."""

    def __init__(self, limit_bytes: int = REMEMBERED_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._edits: deque[Edit] = deque()
        self._size_bytes = 0

    def add(self, path: str, before: bytes | None, after: bytes) -> None:
        self._edits.append(Edit(path, before, digest(after)))
        self._size_bytes += len(before or b"")
        while self._size_bytes > self.limit_bytes and len(self._edits) > 1:
            self._size_bytes -= len(self._edits.popleft().before or b"")

    def last(self, path: str) -> Edit | None:
        return next((edit for edit in reversed(self._edits) if edit.path == path), None)

    def drop(self, edit: Edit) -> None:
        self._edits.remove(edit)
        self._size_bytes -= len(edit.before or b"")


def digest(data: bytes) -> bytes:
    return sha256(data).digest()
