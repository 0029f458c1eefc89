"""A policy behind an OpenAI-compatible endpoint, streamed."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

import httpx
import stamina
from httpx_sse import EventSource, ServerSentEvent, SSEError
from pydantic import BaseModel, ValidationError

from patchwright.chat.calling import CALLING
from patchwright.chat.calls import with_ids
from patchwright.errors import EngineError
from patchwright.policy.answers import read_answers
from patchwright.policy.completion import Chunk, Completion
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import Answers, Delta, Json, Reply, Request, Sampling, TextDelta

Connect = Callable[[], Awaitable[Endpoint]]

ATTEMPTS = 3
_STREAMING = ("stream", "stream_options")
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
BYTES_PER_TOKEN = 3
"""A careful estimate for code in any of today's vocabularies (measured: 3.2 to 4.5), where none can be asked."""
TIMEOUT = httpx.Timeout(30, connect=10, read=1800)
"""Reading waits long: a CPU may prefill a full window for half an hour. A dead engine is noticed at once,
by its closed connection."""


class OpenAIPolicy:
    """Streams chat completions. `connect` is asked again when the endpoint has gone: an engine is restarted so."""

    def __init__(self, connect: Connect, client: httpx.AsyncClient, endpoint: Endpoint) -> None:
        self._connect = connect
        self._client = client
        self._endpoint = endpoint
        self._lost = False
        self.name = endpoint.model
        self.context_tokens = endpoint.context_tokens

    @classmethod
    @asynccontextmanager
    async def connected(cls, connect: Connect) -> AsyncGenerator[Self]:
        """Raises EngineError when no endpoint can be brought up."""
        endpoint = await connect()
        # A proxy from the environment has no business between us and an engine on this machine.
        local = httpx.URL(endpoint.base_url).host in LOOPBACK
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=not local) as client:
            yield cls(connect, client, endpoint)

    async def stream(self, request: Request) -> AsyncGenerator[Delta]:
        """Raises EngineError. A request is sent again only as long as nothing of its answer has arrived."""
        completion = Completion()
        calling = CALLING[request.calling]
        shown = 0
        async with AsyncExitStack() as stack:
            async for chunk in await self._chunks(stack, _body(request, self.name)):
                completion.add(chunk)
                text = calling.shown(completion.content)
                if len(text) > shown:
                    yield TextDelta(text=text[shown:])
                    shown = len(text)
        yield _reply(request, completion)

    async def answers(self, request: Request, n: int) -> Answers:
        """Endpoints that know no `n` are asked as often as it takes. Raises EngineError."""
        body = {key: value for key, value in _body(request, self.name).items() if key not in _STREAMING}
        found = Answers(answers=())
        while (missing := n - len(found.answers)) > 0:
            seeded = {} if request.sampling.seed is None else {"seed": request.sampling.seed + len(found.answers)}
            more = await self._complete(body | seeded | {"n": missing, "logprobs": True})
            found = Answers(answers=found.answers + more.answers, usage=found.usage + more.usage)
        return found

    async def _complete(self, body: Json) -> Answers:
        retries = stamina.retry_context(on=_is_passing, attempts=ATTEMPTS, timeout=None, wait_initial=0.2, wait_max=10)
        async for attempt in retries:
            with attempt:
                await self._found()
                try:
                    response = await self._client.post(self._completions(), json=body, headers=self._headers())
                except httpx.HTTPError as error:
                    raise self._gone(error) from None
                if not response.is_success:
                    raise _refusal(response)
                return read_answers(response.content)
        raise AssertionError("stamina returns or raises")

    async def count_tokens(self, text: str) -> int:
        """Exact where the server has llama.cpp's POST /tokenize, otherwise bytes ÷ 3."""
        await self._found()
        if not self._endpoint.tokenizes:
            return -(-len(text.encode()) // BYTES_PER_TOKEN)
        url = self._endpoint.base_url.removesuffix("/v1") + "/tokenize"
        try:
            response = await self._client.post(url, json={"content": text}, headers=self._headers())
        except httpx.HTTPError as error:
            raise self._gone(error) from None
        if not response.is_success:
            raise _refusal(response)
        return len(_Tokens.model_validate_json(response.content).tokens)

    async def _chunks(self, stack: AsyncExitStack, body: Json) -> AsyncIterator[Chunk]:
        """The stream, opened and its first event read; retried while that fails for a passing reason."""
        retries = stamina.retry_context(on=_is_passing, attempts=ATTEMPTS, timeout=None, wait_initial=0.2, wait_max=10)
        async for attempt in retries:
            with attempt:
                async with AsyncExitStack() as opening:
                    events = await self._open(opening, body)
                    first = await anext(events, None)
                    await stack.enter_async_context(opening.pop_all())
                    return self._read(first, events)
        raise AssertionError("stamina returns or raises")

    async def _open(self, stack: AsyncExitStack, body: Json) -> AsyncIterator[ServerSentEvent]:
        await self._found()
        try:
            streaming = self._client.stream("POST", self._completions(), json=body, headers=self._headers())
            response = await stack.enter_async_context(streaming)
            if not response.is_success:
                await response.aread()
                raise _refusal(response)
        except httpx.HTTPError as error:
            raise self._gone(error) from None
        return self._events(EventSource(response))

    async def _found(self) -> None:
        """Finds the endpoint again when it was lost."""
        if self._lost:
            self._endpoint = await self._connect()
            self._lost = False

    def _completions(self) -> str:
        return f"{self._endpoint.base_url}/chat/completions"

    async def _events(self, source: EventSource) -> AsyncIterator[ServerSentEvent]:
        try:
            async for event in source.aiter_sse():
                yield event
        except (httpx.HTTPError, SSEError) as error:
            raise self._gone(error) from None

    async def _read(self, first: ServerSentEvent | None, rest: AsyncIterator[ServerSentEvent]) -> AsyncIterator[Chunk]:
        finished = False
        event = first
        while event is not None and event.data != "[DONE]":
            chunk = _chunk(event)
            finished = finished or any(choice.finish_reason for choice in chunk.choices)
            yield chunk
            event = await anext(rest, None)
        if not finished:
            raise self._gone("the stream ended in mid-answer")

    def _gone(self, reason: object) -> EngineError:
        self._lost = True
        text = str(reason) or type(reason).__name__
        return EngineGone(
            f"{self._endpoint.base_url} stopped answering: {text.lower()}",
            hint="`patchwright engine logs` shows what the embedded engine said last",
        )

    def _headers(self) -> dict[str, str]:
        key = self._endpoint.api_key
        return {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}


class EngineGone(EngineError):
    """The connection broke, or none could be made."""


class EngineBusy(EngineError):
    """The endpoint answered that it can't serve now."""

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        super().__init__(message, hint="try again later, or use another endpoint")
        self.retry_after_s = retry_after_s


class _Tokens(BaseModel):
    tokens: list[int]


def _body(request: Request, model: str) -> Json:
    body = CALLING[request.calling].body(request)
    options = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    return body | options | _sampling(request.sampling)


def _sampling(sampling: Sampling) -> Json:
    return sampling.model_dump(exclude_none=True)


def _reply(request: Request, completion: Completion) -> Reply:
    message, problem = CALLING[request.calling].read(completion.content, completion.calls)
    return Reply(
        message=with_ids(message, request.messages),
        usage=completion.usage,
        finish_reason=completion.finish_reason or "stop",
        problem=problem,
    )


def _chunk(event: ServerSentEvent) -> Chunk:
    try:
        chunk = Chunk.model_validate_json(event.data)
    except ValidationError:
        raise EngineError(f"the endpoint sent what is no completion chunk: {event.data[:200]!r}") from None
    if chunk.error:
        text = chunk.error if isinstance(chunk.error, str) else chunk.error.message
        raise EngineError(f"the endpoint failed in mid-answer: {text}")
    return chunk


def _is_passing(error: Exception) -> bool | float:
    """Whether sending again may help; a number is the seconds to wait first."""
    if isinstance(error, EngineBusy):
        return True if error.retry_after_s is None else error.retry_after_s
    return isinstance(error, EngineGone)


def _refusal(response: httpx.Response) -> EngineError:
    message = f"{response.url} answered {response.status_code}: {_reason(response)}"
    match response.status_code:
        case 401 | 403:
            return EngineError(message, hint="name the variable that holds the key with --api-key-env")
        case 429 | 502 | 503 | 504:
            return EngineBusy(message, _retry_after_s(response))
        case _:
            return EngineError(message)


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
        return float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
