"""A gate on loopback before a server that asks for no key, or not everywhere.

vLLM asks for its key below /v1 alone and answers /invocations, /tokenize and every web page; `transformers serve` has
none. A connection whose first request brings the key is joined to the server; any other is answered 401.
"""

import asyncio
import secrets
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Thread
from typing import TypeAlias

Upstream: TypeAlias = Callable[[], Awaitable[tuple[StreamReader, StreamWriter]]]
"""Opens a connection to the server. Raises OSError when nothing listens."""

PIECE_BYTES = 65536
_END = b"\r\n\r\n"
_REFUSED = "401 Unauthorized"
_ABSENT = "503 Service Unavailable"


class Gate:
    """Open from `start` until the process ends, in a thread of its own."""

    def __init__(self, key: str, upstream: Upstream) -> None:
        self._authorization = f"Bearer {key}".encode()
        self._upstream = upstream
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._connections = 0
        self._let_in = 0
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()

    def take_use(self) -> bool:
        """Whether a connection is open, or has been since this was asked last. The server closes idle ones."""
        let_in, self._let_in = self._let_in, 0
        return bool(let_in or self._connections)

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._answer, sock=self._socket, limit=PIECE_BYTES)
        await server.serve_forever()

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(_END)
            if secrets.compare_digest(_authorization(head), self._authorization):
                await self._join(head, reader, writer)
            else:
                await _say(writer, _REFUSED)
        writer.close()

    async def _join(self, head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            from_server, to_server = await self._upstream()
        except OSError:
            await _say(writer, _ABSENT)
            return
        self._connections += 1
        self._let_in += 1
        try:
            to_server.write(head)
            pumps = {asyncio.create_task(_pump(reader, to_server)), asyncio.create_task(_pump(from_server, writer))}
            # Whoever hangs up ends both: a client that is gone frees the server.
            _, pending = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pending:
                pump.cancel()
        finally:
            self._connections -= 1
            to_server.close()


def _authorization(head: bytes) -> bytes:
    """The header's value, empty where there is none."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"authorization":
            return value.strip()
    return b""


async def _pump(source: StreamReader, sink: StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(PIECE_BYTES):
            sink.write(piece)
            await sink.drain()


async def _say(writer: StreamWriter, status: str) -> None:
    body = f'{{"error": {{"message": "{status.partition(" ")[2].lower()}"}}}}'
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
    writer.write(f"{head}\r\n\r\n{body}".encode())
    await writer.drain()
