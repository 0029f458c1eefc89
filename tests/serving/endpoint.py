"""A real HTTP server that speaks OpenAI's protocol as a test tells it to, and holds its answers back if told so."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from patchwright.engines.remote import Remote
from tests.policy.http_server import STREAM, content, status


class OpenAIServer:
    """Serves `model` with a window of `context_tokens`. `bodies`: what was asked for."""

    def __init__(self, model: str = "m", context_tokens: int = 1000) -> None:
        self.model = model
        self.context_tokens = context_tokens
        self.bodies: list[dict[str, Any]] = []
        self.listed = 0
        """How often somebody asked for its models."""
        self.broken: bytes | None = None
        """Sent to everybody, instead of an answer: nothing at all closes the connection."""
        self.may_end = asyncio.Event()
        """After its first chunk an answer waits for it."""
        self.may_end.set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def connect(self) -> Any:
        return Remote(self.url).connect

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if head.startswith("get"):
            self.listed += 1
            models = {"data": [{"id": self.model, "max_model_len": self.context_tokens}]}
            writer.write(status(200, models) if self.broken is None else self.broken)
        else:
            length = int(head.partition("content-length:")[2].split()[0])
            self.bodies.append(json.loads(await reader.readexactly(length)))
            await self._answer(writer)
        await writer.drain()
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        if self.broken is not None:
            writer.write(self.broken)
            return
        writer.write(STREAM + _event(content("Hel")))
        await writer.drain()
        await self.may_end.wait()
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        writer.write(
            _event(content("lo", finish="stop")) + _event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n"
        )


@asynccontextmanager
async def openai_server(model: str = "m", context_tokens: int = 1000) -> AsyncGenerator[OpenAIServer]:
    told = OpenAIServer(model, context_tokens)
    server = await asyncio.start_server(told.handle, "127.0.0.1", 0)
    told.port = server.sockets[0].getsockname()[1]
    async with server:
        yield told


def _event(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()
