"""Frames to and from the host: two big-endian 32-bit sizes, a JSON object, raw bytes."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from typing import Any

_SIZES = struct.Struct(">II")
_CHUNK_BYTES = 1 << 20


class Refused(Exception):
    """A request that cannot be carried out; the reason is for the user."""


class Channel:
    """Two descriptors, since Docker gives two pipes where the other launchers give one socket."""

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self.closed = False

    def receive(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """The frames that are complete after one read."""
        chunk = os.read(self.reader, _CHUNK_BYTES)
        self.closed = not chunk
        self._buffer += chunk
        while len(self._buffer) >= _SIZES.size:
            head_size, body_size = _SIZES.unpack_from(self._buffer)
            head_end = _SIZES.size + head_size
            if len(self._buffer) < head_end + body_size:
                return
            head = json.loads(bytes(self._buffer[_SIZES.size : head_end]))
            body = bytes(self._buffer[head_end : head_end + body_size])
            del self._buffer[: head_end + body_size]
            yield head, body

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Whole, or not at all when the host has hung up."""
        data = json.dumps(head).encode()
        try:
            write_all(self._writer, _SIZES.pack(len(data), len(body)) + data + body)
        except BrokenPipeError:
            self.closed = True


def write_all(descriptor: int, data: bytes) -> None:
    """`os.write` may write less than it was given."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def shown(path: str | os.PathLike[str]) -> str:
    """A path as JSON can carry it, whatever its bytes are."""
    return os.fsencode(path).decode("utf-8", "replace")
