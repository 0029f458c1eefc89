"""What stands before the routes: who may not ask is refused before anything of the body is read, bodies that are too
large or too deep are refused, requests are counted with the status that they were answered with."""

import asyncio
import math
import time
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from pydantic import JsonValue
from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patchwright.serving.guard import Guard
from patchwright.serving.metrics import Metrics
from patchwright.serving.problems import INVALID, TOO_LARGE, Problem
from patchwright.serving.replies import unexpected

KEYED = "/v1/"
"""What the paths begin with that a key is asked for; the others are for who watches the server."""
_TOO_DEEP = "recursion limit"
"""What jiter says of JSON that is nested more than 200 deep."""
_KEY = HTTPBearer(auto_error=False, scheme_name="key", description="Where the server asks for one.")
"""For the OpenAPI page: the guard has read the header before."""


def _owner(request: Request, _key: Annotated[object, Security(_KEY)]) -> str:
    return request.state.owner


Owner = Annotated[str, Depends(_owner)]
"""The name of the key that a request comes with, for routes whose paths begin with KEYED."""


class Intake:
    """ASGI middleware. Finds out the Owner."""

    def __init__(self, app: ASGIApp, guard: Guard, metrics: Metrics, most_bytes: int) -> None:
        self._app = app
        self._guard = guard
        self._metrics = metrics
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status: int | None = None

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._taken_in(scope, receive, watched)
        except Exception as error:
            if status is not None:
                raise
            await refusal(unexpected(error))(scope, receive, watched)
        finally:
            self._metrics.ended(_route(scope), status or 500, time.monotonic() - started)

    async def _taken_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = Headers(scope=scope)
            self._guard.check_place(headers)
            body = b""  # nothing else takes one
            if scope["path"].startswith(KEYED):
                scope.setdefault("state", {})["owner"] = self._guard.owner(headers)
                body = await self._body(headers, receive)
        except Problem as problem:
            await refusal(problem)(scope, receive, send)
            return
        messages: Iterator[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replayed() -> Message:
            return next(messages, None) or await receive()

        await self._app(scope, replayed, send)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """Whole, as far as it may be. Raises Problem."""
        announced = headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > self._most_bytes:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem(INVALID, "the body broke off")
            body += message.get("body", b"")
            if len(body) > self._most_bytes:
                raise self._too_large()
            if not message.get("more_body"):
                await asyncio.to_thread(_check_json, bytes(body))
                return bytes(body)

    def _too_large(self) -> Problem:
        return Problem(TOO_LARGE, f"the body has more than {self._most_bytes} bytes")


def refusal(problem: Problem) -> JSONResponse:
    return JSONResponse(problem.body(), problem.kind.status, problem.headers())


def _check_json(body: bytes) -> None:
    """Python's own parser takes what cannot be passed on: halves of characters, NaN, any depth. Raises Problem."""
    try:
        if body:
            _check_numbers(from_json(body, allow_inf_nan=False))
    except ValueError as error:
        deep = _TOO_DEEP in str(error)
        raise Problem(INVALID, "the body is nested too deeply" if deep else f"the body is no JSON: {error}") from None


def _check_numbers(value: JsonValue) -> None:
    """1e400 is JSON, and no number that can be passed on. Raises Problem."""
    match value:
        case float() if math.isinf(value):
            raise Problem(INVALID, "the body holds a number that is too large")
        case dict():
            for each in value.values():
                _check_numbers(each)
        case list():
            for each in value:
                _check_numbers(each)
        case _:
            pass


def _route(scope: Scope) -> str:
    """The path of the route, not of the request: anybody can ask for any path."""
    route = scope.get("route")
    return route.path if route else "none"
