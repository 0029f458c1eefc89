"""The wire between the host and a supervisor: frames of a JSON object and raw bytes.

A frame is two big-endian 32-bit sizes, then as many bytes of JSON and of body.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from typing import Self

from patchwright.errors import SandboxError

_SIZES = struct.Struct(">II")


class Wire:
    """One connected socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, connection: socket.socket) -> Self:
        return cls(*await asyncio.open_connection(sock=connection))

    def post_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    def post(self, head: Mapping[str, object], body: bytes = b"") -> None:
        """Hand a whole frame over without waiting, so that a cancelled caller never leaves half of one."""
        data = json.dumps(head).encode()
        self._writer.write(_SIZES.pack(len(data), len(body)) + data + body)

    async def drain(self) -> None:
        await self._writer.drain()

    async def receive(self, limit_bytes: int) -> tuple[bytes, bytes]:
        """The next frame.

        A command may have taken the supervisor over: SandboxError for a frame larger than what was asked
        for. IncompleteReadError or ConnectionError when the other side is gone.
        """
        head_size, body_size = _SIZES.unpack(await self._reader.readexactly(_SIZES.size))
        if head_size + body_size > limit_bytes:
            raise SandboxError("the sandbox answered with more than it was asked for")
        return await self._reader.readexactly(head_size), await self._reader.readexactly(body_size)

    def close(self) -> None:
        self._writer.close()
