"""How an answer goes out: chunk by chunk, or whole; given up when nobody waits for it any more."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Protocol, TypeVar

import anyio
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from patchwright.schema.messages import Json
from patchwright.serving.problems import ENGINE, UNAVAILABLE, Problem

T = TypeVar("T")

PING_S = 15
"""Between two comments in a stream."""
SEND_S = 60.0
"""For a client to take what it is sent: one that reads no more would keep its slot for ever."""
ENDING_S = 8.0
"""For streams that are open when the server is told to end."""

logger = logging.getLogger(__name__)


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Wording(Protocol):
    """How an answer is told to a client: in the events of a stream, or whole. Of one answer."""

    last: bytes | None
    """What a stream ends with, after its last event."""

    def begin(self) -> list[Json]:
        """Events before the first chunk."""
        ...

    def add(self, chunk: Json) -> list[Json]:
        """Events that a chunk is told in."""
        ...

    def end(self) -> list[Json]:
        """Events after the last chunk."""
        ...

    def fail(self, problem: Problem) -> list[Json]:
        """Events in the place of the rest."""
        ...

    def whole(self) -> Json:
        """The body of an answer that is not streamed, after its end."""
        ...


def unexpected(error: Exception) -> Problem:
    """For what nobody has thought of: the log has the rest."""
    logger.error("a request failed", exc_info=error)
    return Problem(ENGINE, f"the answer failed: {type(error).__name__}")


async def streamed(request: Request, chunks: AsyncGenerator[Json], wording: Wording, *, patience_s: float) -> Response:
    """Raises Problem, within `patience_s`."""
    first = asyncio.ensure_future(anext(chunks, None))
    try:
        await while_connected(request, asyncio.wait({first}, timeout=patience_s))
        if first.done():
            first.result()
    except BaseException:
        await _given_up(first, chunks)
        raise
    ending = anyio.Event()
    return _Stream(
        _events(first, chunks, wording, ending),
        ping=PING_S,
        send_timeout=SEND_S,
        shutdown_event=ending,
        shutdown_grace_period=ENDING_S + 1,
    )


class _Stream(EventSourceResponse):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            logger.warning("a client did not read its answer for %.0f s: it was given up", SEND_S)


async def whole(request: Request, chunks: AsyncGenerator[Json], wording: Wording) -> Response:
    """Raises Problem."""

    async def added() -> None:
        async with aclosing(chunks):
            async for chunk in chunks:
                wording.add(chunk)

    await while_connected(request, added())
    wording.end()
    return JSONResponse(wording.whole())


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
    first: "asyncio.Future[Json | None]", chunks: AsyncGenerator[Json], wording: Wording, ending: anyio.Event
) -> AsyncIterator[bytes]:
    try:
        async with aclosing(_told(_all(first, chunks, ending), wording)) as events:
            async for event in events:
                yield _event(event)
        if wording.last is not None:
            yield wording.last
    finally:
        await _given_up(first, chunks)


async def _told(chunks: AsyncGenerator[Json], wording: Wording) -> AsyncGenerator[Json]:
    try:
        for event in wording.begin():
            yield event
        async with aclosing(chunks):
            async for chunk in chunks:
                for event in wording.add(chunk):
                    yield event
        for event in wording.end():
            yield event
    except Exception as error:
        problem = error if isinstance(error, Problem) else unexpected(error)
        for event in wording.fail(problem):
            yield event


async def _all(
    first: "asyncio.Future[Json | None]", chunks: AsyncGenerator[Json], ending: anyio.Event
) -> AsyncGenerator[Json]:
    """Raises Problem when the server ends before they do."""
    following, ended = first, asyncio.ensure_future(_ended(ending))
    try:
        while True:
            await asyncio.wait({following, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                raise Problem(UNAVAILABLE, "the server is ending")
            chunk = following.result()
            if chunk is None:
                return
            yield chunk
            following = asyncio.ensure_future(anext(chunks, None))
    finally:
        # A client that leaves ends the waiting; what is waited for is cancelled here, and its clean-up is not.
        with anyio.CancelScope(shield=True):
            ended.cancel()
            following.cancel()
            await asyncio.wait({following, ended})


async def _ended(ending: anyio.Event) -> None:
    await ending.wait()
    await asyncio.sleep(ENDING_S)


async def _given_up(first: "asyncio.Future[Json | None]", chunks: AsyncGenerator[Json]) -> None:
    """Waits for the clean-up, whoever cancels: what it gives back are slots and connections."""
    with anyio.CancelScope(shield=True):
        first.cancel()
        await asyncio.wait({first})
        await chunks.aclose()


def _event(data: Json) -> bytes:
    """Named where OpenAI's events have names: those of responses."""
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
