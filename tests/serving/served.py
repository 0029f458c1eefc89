"""A gateway that really listens, for the time of a test."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from prometheus_client import CollectorRegistry

from patchwright.serving.adapters import Adapters
from patchwright.serving.app import gateway_app
from patchwright.serving.gateway import Gateway, Limits
from patchwright.serving.guard import LOOPBACK, Guard
from patchwright.serving.keys import KeyStore
from patchwright.serving.queue import FairQueue
from patchwright.serving.upstream import Upstream


def gateway_for(
    upstream: Upstream,
    *,
    slots: int = 4,
    waiting: int = 8,
    system: str | None = None,
    patience_s: float = 10.0,
    tokens: int | None = None,
    registry: CollectorRegistry | None = None,
) -> Gateway:
    limits = Limits(answers=slots, body_bytes=200_000, patience_s=patience_s, tokens=tokens)
    return Gateway(upstream, FairQueue(slots, waiting), limits, system, registry)


@asynccontextmanager
async def served(
    gateway: Gateway, guard: Guard | None = None, adapters: Adapters | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the gateway, whose base URL is the server's root."""
    guard = guard or Guard(KeyStore(Path("/nonexistent/keys.json")), LOOPBACK)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        gateway_app(gateway, guard, adapters), log_level="warning", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=address, timeout=60, trust_env=False) as client:
        try:
            yield client
        finally:
            server.should_exit = True
            await running
