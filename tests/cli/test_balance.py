"""Endpoints that do not answer when the gateway starts, and do later."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from patchwright.cli.balance import balanced_endpoints
from patchwright.config import load_settings
from patchwright.serving.body import ChatBody
from patchwright.serving.queue import FairQueue
from patchwright.serving.settings import ServeSettings
from patchwright.serving.upstream import Upstream
from tests.policy.http_server import status
from tests.serving.endpoint import OpenAIServer, openai_server


@asynccontextmanager
async def one_of_two_answers(tmp_path: Path) -> AsyncGenerator[tuple[Upstream, OpenAIServer, OpenAIServer]]:
    """The other is started, and its proxy answers for it."""
    async with openai_server(context_tokens=1000) as there, openai_server(context_tokens=500) as late:
        late.broken = status(502, {"error": "bad gateway"})
        settings, serve = load_settings(state_dir=tmp_path), ServeSettings(upstreams=(late.url, there.url))
        queue = FairQueue(slots=2, waiting=9)
        async with balanced_endpoints(settings, serve, CollectorRegistry(), queue) as upstream:
            yield upstream, there, late


async def ask(upstream: Upstream, text: str) -> None:
    body = ChatBody.model_validate({"messages": [{"role": "user", "content": text}]})
    assert [chunk async for chunk in upstream.chat(body)]


async def listed(server: OpenAIServer, times: int) -> None:
    async with asyncio.timeout(10):
        while server.listed < times:
            await asyncio.sleep(0.01)


async def test_one_that_comes_later_is_used_and_its_window_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with one_of_two_answers(tmp_path) as (upstream, there, late):
        assert upstream.context_tokens == 1000
        assert f"127.0.0.1:{late.port} is set aside until it answers" in caplog.text
        await ask(upstream, "one")
        late.broken = None
        async with asyncio.timeout(10):
            while upstream.context_tokens != 500 or "answers again" not in caplog.text:
                await asyncio.sleep(0.01)
        await ask(upstream, "two")
    assert (len(there.bodies), len(late.bodies)) == (1, 1)


async def test_one_that_comes_with_another_model_is_not_used(tmp_path: Path) -> None:
    async with one_of_two_answers(tmp_path) as (upstream, there, late):
        late.model, late.broken = "other", None
        await listed(late, 3)
        for text in ("one", "two"):
            await ask(upstream, text)
    assert (len(there.bodies), late.bodies, upstream.model) == (2, [], "m")
