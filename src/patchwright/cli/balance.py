"""Puts several upstreams behind one gateway: endpoints that are named, or replicas of the embedded engine."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from prometheus_client import CollectorRegistry

from patchwright.cli.assemble import api_key_of, engine_of, upstream_on
from patchwright.config import Settings
from patchwright.engines.base import Replica
from patchwright.engines.remote import Remote, Unreachable
from patchwright.errors import ConfigError
from patchwright.policy.connection import Connection
from patchwright.schema.endpoint import Endpoint, shown
from patchwright.serving.balanced import Balanced
from patchwright.serving.openai_upstream import OpenAIUpstream
from patchwright.serving.queue import FairQueue
from patchwright.serving.settings import ServeSettings
from patchwright.serving.upstream import Upstream

ONE_ATTEMPT = 1
"""Of a request at one upstream: there are others."""


def check_balance(settings: Settings, serve: ServeSettings) -> None:
    """Raises ConfigError when the options contradict each other, or an upstream is no address."""
    if serve.upstreams and settings.base_url:
        raise ConfigError("both --base-url and --upstream name an endpoint", hint="name each with --upstream")
    if serve.replicas > 1 and (serve.upstreams or settings.base_url):
        raise ConfigError("--replicas are engines of this machine, and an endpoint is named", hint="leave one out")
    if serve.replicas > 1 and settings.engine != "llama.cpp":
        raise ConfigError(
            f"--replicas are of llama.cpp, not of {settings.engine}",
            hint="start one server for each device (CUDA_VISIBLE_DEVICES), and name each with --upstream",
        )
    names = [_name(url) for url in serve.upstreams]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"--upstream {', '.join(sorted(twice))} is named twice")


@asynccontextmanager
async def balanced_endpoints(
    settings: Settings, serve: ServeSettings, registry: CollectorRegistry, queue: FairQueue
) -> AsyncGenerator[Upstream]:
    """The endpoints that `--upstream` names. Those that do not answer yet are waited for, as long as one does.

    Raises ConfigError when they serve different models, and EngineError when none answers, or one refuses us.
    """
    model = settings.model if "model" in settings.model_fields_set else None
    key = api_key_of(settings)
    remotes = [Remote(url, model, key) for url in serve.upstreams]
    found = await asyncio.gather(*map(_found, remotes))
    pairs = list(zip(serve.upstreams, found, strict=True))
    endpoints = [each for each in found if isinstance(each, Endpoint)]
    absent = {_name(url): str(each) for url, each in pairs if isinstance(each, Unreachable)}
    if not endpoints:
        raise Unreachable("; ".join(absent.values()), hint="at least one of the upstreams has to answer")
    upstreams: dict[str, Upstream] = {}
    async with AsyncExitStack() as stack:
        for url, each in pairs:
            endpoint = each if isinstance(each, Endpoint) else _expected(url, endpoints[0])
            connect = Remote(url, endpoint.model, key).connect
            lost = endpoint is not each
            connection = Connection.to(endpoint, connect, attempts=ONE_ATTEMPT, lost=lost)
            upstreams[_name(url)] = OpenAIUpstream(await stack.enter_async_context(connection))
        opened = Balanced.opened(upstreams, serve.concurrency, registry, absent=absent, on_slots=queue.resize)
        yield await stack.enter_async_context(opened)


@asynccontextmanager
async def balanced_replicas(
    settings: Settings, serve: ServeSettings, registry: CollectorRegistry, queue: FairQueue
) -> AsyncGenerator[Upstream]:
    """So many embedded engines, started at once. Raises EngineError and ModelError when one does not start."""
    numbers = range(serve.replicas)
    engines = [engine_of(settings, Replica(number=number, of=serve.replicas)) for number in numbers]
    endpoints = await asyncio.gather(*(engine.connect() for engine in engines))
    upstreams: dict[str, Upstream] = {}
    async with AsyncExitStack() as stack:
        for number, engine, endpoint in zip(numbers, engines, endpoints, strict=True):
            opened = Connection.to(endpoint, engine.connect, attempts=ONE_ATTEMPT)
            connection = await stack.enter_async_context(opened)
            upstreams[f"replica-{number + 1}"] = await upstream_on(connection, settings)
        balanced = Balanced.opened(upstreams, settings.llama_cpp.slots, registry, on_slots=queue.resize)
        yield await stack.enter_async_context(balanced)


async def _found(remote: Remote) -> Endpoint | Unreachable:
    try:
        return await remote.connect()
    except Unreachable as error:
        return error


def _expected(url: str, other: Endpoint) -> Endpoint:
    """Of an endpoint that does not answer yet; what else there is to know it says itself."""
    return Endpoint(base_url=url.rstrip("/"), model=other.model, api_key=other.api_key, rules=other.rules)


def _name(url: str) -> str:
    """As metrics and the log name it: without a password that may be in it. Raises ConfigError."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigError(f"--upstream {shown(url)}: {str(error).lower()}") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigError(
            f"--upstream {shown(url).rpartition('@')[2]} is no address", hint="such as http://gpu-box:8000/v1"
        )
    return parsed.netloc.decode() + parsed.path.rstrip("/").removesuffix("/v1")
