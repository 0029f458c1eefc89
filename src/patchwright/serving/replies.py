"""How an answer goes out: chunk by chunk, or whole; given up when nobody waits for it any more."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Protocol, TypeVar

import anyio
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from patchwright.schema.messages import Json
from patchwright.serving.problems import ENGINE, Problem

T = TypeVar("T")

PING_S = 15
"""Between two comments in a stream."""

logger = logging.getLogger(__name__)

_DONE = b"data: [DONE]\n\n"


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


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


def unexpected(error: Exception) -> Problem:
    """For what nobody has thought of: the log has the rest."""
    logger.error("a request failed", exc_info=error)
    return Problem(ENGINE, f"the answer failed: {type(error).__name__}")


async def streamed(
    request: Request, chunks: AsyncGenerator[Json], stamp: Stamp, *, usage: bool, patience_s: float
) -> Response:
    """usage: whether the client wants the last chunk, which has the usage and no choice.

    Raises Problem, within `patience_s`.
    """
    first = asyncio.ensure_future(anext(chunks, None))
    try:
        await while_connected(request, asyncio.wait({first}, timeout=patience_s))
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
    """The work's result. Cancels it when the client goes, and raises ClientGone."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
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
            if chunk.get("choices") or usage:
                yield _event(stamp.on_chunk(chunk))
        yield _DONE
    except Exception as error:
        problem = error if isinstance(error, Problem) else unexpected(error)
        yield _event(problem.body())
        yield _DONE
    finally:
        await _given_up(first, chunks)


async def _all(first: "asyncio.Future[Json | None]", chunks: AsyncGenerator[Json]) -> AsyncIterator[Json]:
    await asyncio.wait({first})  # which a client that leaves ends without cancelling it in the middle of its clean-up
    chunk = first.result()
    while chunk is not None:
        yield chunk
        chunk = await anext(chunks, None)


async def _given_up(first: "asyncio.Future[Json | None]", chunks: AsyncGenerator[Json]) -> None:
    """Waits for the clean-up, whoever cancels: what it gives back are slots and connections."""
    with anyio.CancelScope(shield=True):
        first.cancel()
        await asyncio.wait({first})
        await chunks.aclose()


def _event(data: Json) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
