"""A real HTTP server on loopback that sends exactly the bytes it is told to, and keeps what it was sent."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from patchwright.schema.endpoint import Endpoint

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class HttpServer:
    """Answers request n with `answers[n]` (the last one again and again) and closes the connection."""

    def __init__(self, answers: Iterable[bytes]) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []
        self.port = 0

    async def connect(self) -> Endpoint:
        return Endpoint(base_url=f"http://127.0.0.1:{self.port}/v1", model="m", context_tokens=1000)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        self.bodies.append(json.loads(await reader.readexactly(length)))
        writer.write(self.answers[min(len(self.bodies), len(self.answers)) - 1])
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(*answers: bytes) -> AsyncGenerator[HttpServer]:
    served = HttpServer(answers)
    server = await asyncio.start_server(served.handle, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served


def stream(*chunks: dict[str, Any], done: bool = True) -> bytes:
    """A streamed answer; without `done` it breaks off where the chunks end."""
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return STREAM + "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def status(code: int, body: dict[str, Any], headers: str = "") -> bytes:
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 {code} x\r\nContent-Length: {len(text)}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + text


def content(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def call_piece(index: int | None, id_: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    piece = {"index": index, "id": id_, "function": {"name": name, "arguments": arguments}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}]}
