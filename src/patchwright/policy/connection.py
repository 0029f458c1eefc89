"""The connection to an endpoint: found again when it was lost, retried while that can help, its refusals explained."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

import httpx
import stamina
from httpx_sse import EventSource, SSEError
from pydantic import BaseModel, ValidationError

from patchwright.errors import EngineError
from patchwright.schema.endpoint import Endpoint, shown
from patchwright.schema.messages import Json

Connect = Callable[[], Awaitable[Endpoint]]

ATTEMPTS = 3
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
TIMEOUT = httpx.Timeout(30, connect=10, read=1800, pool=None)
"""Reading waits long: a CPU may prefill a full window for half an hour. A dead engine is noticed at once,
by its closed connection."""

SHORT_TIMEOUT = httpx.Timeout(10)
"""For what needs no inference."""

_UNLIMITED = httpx.Limits(max_connections=None)
"""Who asks too much at once is the queue's business."""

LONGEST_WAIT_S = 10.0
"""An endpoint that wants more patience is not asked again: its answer is the caller's to know."""


def may_be_proxied(base_url: str) -> bool:
    """A proxy from the environment has no business between us and an engine on this machine."""
    return httpx.URL(base_url).host not in LOOPBACK


class Connection:
    """Requests to one endpoint. `connect` is asked again when the endpoint has gone: an engine is restarted so.

    Routes are below the server's root, `/v1/chat/completions`, where the endpoint's address ends in /v1, and below
    that address where it does not.
    """

    def __init__(
        self, connect: Connect, client: httpx.AsyncClient, endpoint: Endpoint, attempts: int, *, lost: bool
    ) -> None:
        self._connect = connect
        self._client = client
        self._attempts = attempts
        self._lost = lost
        self._finding: asyncio.Task[None] | None = None
        self.endpoint = endpoint

    @classmethod
    @asynccontextmanager
    async def opened(cls, connect: Connect) -> AsyncGenerator[Self]:
        """Raises EngineError when no endpoint can be brought up."""
        async with cls.to(await connect(), connect) as connection:
            yield connection

    @classmethod
    @asynccontextmanager
    async def to(
        cls, endpoint: Endpoint, connect: Connect, *, attempts: int = ATTEMPTS, lost: bool = False
    ) -> AsyncGenerator[Self]:
        """To an endpoint that was found before, or, `lost`, is still to be found there when something is asked.

        attempts: how often a request is sent; once, where somebody else can be asked instead.
        """
        proxied = may_be_proxied(endpoint.base_url)
        async with httpx.AsyncClient(timeout=TIMEOUT, limits=_UNLIMITED, trust_env=proxied) as client:
            connection = cls(connect, client, endpoint, attempts, lost=lost)
            try:
                yield connection
            finally:
                await connection._give_up_finding()

    async def post(self, route: str, body: Json, *, attempts: int | None = None) -> bytes:
        """The answer, whole. Raises EngineError."""
        return await self._whole("POST", route, body, attempts or self._attempts, TIMEOUT)

    async def get(self, route: str) -> bytes:
        """The answer, whole, asked for once, and given at once. Raises EngineError."""
        return await self._whole("GET", route, None, 1, SHORT_TIMEOUT)

    async def events(self, stack: AsyncExitStack, route: str, body: Json) -> AsyncIterator[str]:
        """The data of a stream's events, open as long as `stack` is. Sent again only as long as none has arrived.

        Raises EngineError, later also from the iterator.
        """
        async for attempt in _retries(self._attempts):
            with attempt:
                async with AsyncExitStack() as opening:
                    events = await self._open(opening, route, body)
                    first = await anext(events, None)
                    await stack.enter_async_context(opening.pop_all())
                    return _again(first, events)
        raise AssertionError("stamina returns or raises")

    async def renew(self) -> None:
        """Asks for the endpoint again: it is another one now. Raises EngineError."""
        if self._finding:
            await asyncio.wait({self._finding})
        self._lost = True
        await self.found()

    async def found(self) -> None:
        """Finds the endpoint again when it was lost: once for all who ask, and also when who asked first has left."""
        if self._lost:
            if self._finding is None:
                self._finding = asyncio.create_task(self._find())
                self._finding.add_done_callback(_retrieved)
            await asyncio.shield(self._finding)

    async def _find(self) -> None:
        try:
            self.endpoint = await self._connect()
            self._lost = False
        finally:
            self._finding = None

    async def _give_up_finding(self) -> None:
        if self._finding:
            self._finding.cancel()
            await asyncio.wait({self._finding})

    def gone(self, reason: object) -> EngineError:
        self._lost = True
        text = str(reason) or type(reason).__name__
        return EngineGone(
            f"{shown(self.endpoint.base_url)} stopped answering: {text.lower()}",
            hint="`patchwright engine logs` shows what the embedded engine said last",
        )

    async def _whole(self, method: str, route: str, body: Json | None, attempts: int, timeout: httpx.Timeout) -> bytes:
        async for attempt in _retries(attempts):
            with attempt:
                await self.found()
                try:
                    asked = None if body is None else self._asked(body)
                    response = await self._client.request(
                        method, self._url(route), json=asked, headers=self._headers(), timeout=timeout
                    )
                except httpx.HTTPError as error:
                    raise self.gone(error) from None
                if not response.is_success:
                    raise _refusal(response)
                return response.content
        raise AssertionError("stamina returns or raises")

    async def _open(self, stack: AsyncExitStack, route: str, body: Json) -> AsyncIterator[str]:
        await self.found()
        try:
            streaming = self._client.stream("POST", self._url(route), json=self._asked(body), headers=self._headers())
            response = await stack.enter_async_context(streaming)
            if not response.is_success:
                await response.aread()
                raise _refusal(response)
        except httpx.HTTPError as error:
            raise self.gone(error) from None
        return self._data(EventSource(response))

    async def _data(self, source: EventSource) -> AsyncIterator[str]:
        try:
            async for event in source.aiter_sse():
                yield event.data
        except (httpx.HTTPError, SSEError) as error:
            raise self.gone(error) from None

    def _asked(self, body: Json) -> Json:
        return self.endpoint.choosing(None) | body

    def _url(self, route: str) -> str:
        base = self.endpoint.base_url
        return base.removesuffix("/v1") + (route if base.endswith("/v1") else route.removeprefix("/v1"))

    def _headers(self) -> dict[str, str]:
        key = self.endpoint.api_key
        return {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}


def _retrieved(finding: asyncio.Task[None]) -> None:
    """An error that nobody waits for any more is nobody's."""
    if not finding.cancelled():
        finding.exception()


class EngineGone(EngineError):
    """The connection broke, or none could be made."""


class EngineFailed(EngineError):
    """The endpoint began to answer, and then said that it can't go on."""


class EngineRefused(EngineError):
    """The endpoint answered with an error. `status` is HTTP's, `reason` the endpoint's own words."""

    def __init__(self, message: str, status: int, reason: str = "", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


class EngineBusy(EngineError):
    """The endpoint answered that it can't serve now. `status` is HTTP's: 429, or what a proxy says for it."""

    def __init__(self, message: str, status: int, retry_after_s: float | None) -> None:
        super().__init__(message, hint="try again later, or use another endpoint")
        self.status = status
        self.retry_after_s = retry_after_s


async def _again(first: str | None, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    if first is not None:
        yield first
    async for data in rest:
        yield data


def _retries(attempts: int) -> AsyncIterator[stamina.Attempt]:
    return stamina.retry_context(on=_is_passing, attempts=attempts, timeout=None, wait_initial=0.2, wait_max=10)


def _is_passing(error: Exception) -> bool | float:
    """Whether sending again may help; a number is the seconds to wait first."""
    if isinstance(error, EngineBusy):
        wait_s = error.retry_after_s
        return True if wait_s is None else wait_s if wait_s <= LONGEST_WAIT_S else False
    return isinstance(error, EngineGone)


def _refusal(response: httpx.Response) -> EngineError:
    message = f"{shown(str(response.url))} answered {response.status_code}: {_reason(response)}"
    match response.status_code:
        case 401 | 403:
            hint = "name the variable that holds the key with --api-key-env"
            return EngineRefused(message, response.status_code, hint=hint)
        case 429 | 502 | 503 | 504:
            return EngineBusy(message, response.status_code, _retry_after_s(response))
        case status:
            return EngineRefused(message, status, _reason(response))


class _ErrorBody(BaseModel):
    class Inner(BaseModel):
        message: str

    error: Inner | str


def _reason(response: httpx.Response) -> str:
    try:
        error = _ErrorBody.model_validate_json(response.content).error
    except ValidationError:
        return response.text[:500] or response.reason_phrase
    return error if isinstance(error, str) else error.message


def _retry_after_s(response: httpx.Response) -> float | None:
    try:
        wait_s = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    return wait_s if math.isfinite(wait_s) else None
