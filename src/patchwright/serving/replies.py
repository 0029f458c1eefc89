"""How an answer goes out: chunk by chunk, or whole; given up when nobody waits for it any more."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, suppress
from typing import Protocol, TypeVar

from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from patchwright.schema.messages import Json
from patchwright.serving.problems import Problem

T = TypeVar("T")

PATIENCE_S = 10.0
"""So long an answer may still fail with a status of HTTP. Then the stream is opened, and comments keep it so: a proxy
closes what is silent for as long as a CPU may read a prompt."""
PING_S = 15

_DONE = b"data: [DONE]\n\n"


class Adding(Protocol):
    """Adds chunks up to a whole answer."""

    def add(self, chunk: Json) -> None: ...

    def json(self) -> Json: ...


class Stamp:
    """What is the same in all chunks of an answer. `kind`: as OpenAI's `object` names the whole answer."""

    def __init__(self, prefix: str, kind: str, model: str) -> None:
        self._common: Json = {"id": f"{prefix}-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}
        self._kind = kind

    def on_chunk(self, chunk: Json) -> Json:
        suffix = ".chunk" if self._kind.startswith("chat") else ""
        return chunk | self._common | {"object": self._kind + suffix}

    def on_whole(self, answer: Json) -> Json:
        return self._common | {"object": self._kind} | answer


async def streamed(request: Request, chunks: AsyncGenerator[Json], stamp: Stamp, *, usage: bool) -> Response:
    """usage: whether the client wants the last chunk, which has the usage and no choice. Raises Problem."""
    first = asyncio.ensure_future(anext(chunks, None))
    try:
        await while_connected(request, asyncio.wait({first}, timeout=PATIENCE_S))
        if first.done():
            first.result()
    except BaseException:
        await _given_up(first, chunks)
        raise
    return EventSourceResponse(_events(first, chunks, stamp, usage=usage), ping=PING_S)


async def whole(request: Request, chunks: AsyncGenerator[Json], adding: Adding, stamp: Stamp) -> Response:
    """Raises Problem."""

    async def added() -> None:
        async with aclosing(chunks):
            async for chunk in chunks:
                adding.add(chunk)

    await while_connected(request, added())
    return JSONResponse(stamp.on_whole(adding.json()))


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The work's result. Cancels it when the client goes, and raises CancelledError."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise asyncio.CancelledError
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait({working, leaving})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(
    first: "asyncio.Future[Json | None]", chunks: AsyncGenerator[Json], stamp: Stamp, *, usage: bool
) -> AsyncIterator[bytes]:
    try:
        async for chunk in _all(first, chunks):
            if chunk["choices"] or usage:
                yield _event(stamp.on_chunk(chunk))
        yield _DONE
    except Problem as problem:
        yield _event(problem.body())
        yield _DONE
    finally:
        await _given_up(first, chunks)


async def _all(first: "asyncio.Future[Json | None]", chunks: AsyncGenerator[Json]) -> AsyncIterator[Json]:
    chunk = await first
    while chunk is not None:
        yield chunk
        chunk = await anext(chunks, None)


async def _given_up(first: "asyncio.Future[Json | None]", chunks: AsyncGenerator[Json]) -> None:
    if not first.done():
        first.cancel()
        with suppress(asyncio.CancelledError, Problem):
            await first
    await chunks.aclose()


def _event(data: Json) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
