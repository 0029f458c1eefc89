"""A real server that answers each route with what it is told to, and keeps what it was sent."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any


class Routes:
    """`answers` by method and path, such as "GET /v1/models"; a list is given one by one, its last for good."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = {route: each if isinstance(each, list) else [each] for route, each in answers.items()}
        self.asked: list[str] = []
        self.base_url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = head.lower().partition("content-length:")[2].split()
        body = await reader.readexactly(int(length[0])) if length else b""
        route = " ".join(head.split()[:2])
        self.asked.append(f"{route} {body.decode()}".strip())
        known = self._answers.get(route)
        text = json.dumps((known.pop(0) if len(known) > 1 else known[0]) if known else {"error": "not found"})
        status = "200 OK" if known else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def routed(answers: Mapping[str, Any]) -> AsyncGenerator[Routes]:
    routes = Routes(answers)
    server = await asyncio.start_server(routes.answer, "127.0.0.1", 0)
    async with server:
        routes.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield routes
