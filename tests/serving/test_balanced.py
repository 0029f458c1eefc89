"""Several upstreams as one: real servers on loopback, and real engines that are really killed."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client import CollectorRegistry

from patchwright.engines.base import Replica
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.errors import ConfigError
from patchwright.policy.connection import Connect, Connection
from patchwright.serving.balanced import Balanced
from patchwright.serving.body import ChatBody
from patchwright.serving.circuit import FAILURES
from patchwright.serving.openai_upstream import OpenAIUpstream
from patchwright.serving.silence import SILENCE_S
from tests.engines.tiny_gguf import write_tiny_gguf
from tests.policy.http_server import status
from tests.serving.endpoint import OpenAIServer, openai_server
from tests.serving.served import gateway_for, served

CHAT = "/v1/chat/completions"
PAUSE_S = 0.02
CLOSED = b""


@asynccontextmanager
async def balancing(
    connects: dict[str, Connect], *, slots: int = 4, queue_slots: int = 64, silence_s: float = SILENCE_S
) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a gateway before so many upstreams."""
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        upstreams = {
            name: OpenAIUpstream(await stack.enter_async_context(Connection.to(await connect(), connect, attempts=1)))
            for name, connect in connects.items()
        }
        opened = Balanced.opened(upstreams, slots, registry, first_pause_s=PAUSE_S, silence_s=silence_s)
        balanced = await stack.enter_async_context(opened)
        gateway = gateway_for(balanced, slots=queue_slots, registry=registry)
        yield await stack.enter_async_context(served(gateway))


@asynccontextmanager
async def two_servers(*, slots: int = 4) -> AsyncGenerator[tuple[httpx.AsyncClient, OpenAIServer, OpenAIServer]]:
    async with (
        openai_server() as a,
        openai_server() as b,
        balancing({"a": a.connect, "b": b.connect}, slots=slots) as client,
    ):
        yield client, a, b
        a.may_end.set()
        b.may_end.set()


def asked(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 8} | fields


async def ask(client: httpx.AsyncClient, text: str) -> int:
    return (await client.post(CHAT, json=asked(text))).status_code


async def counts(client: httpx.AsyncClient, name: str) -> dict[str, int]:
    text = (await client.get("/metrics")).text
    found = re.findall(rf'^patchwright_upstream_{name}\{{upstream="(\w)"\}} (\d+)\.0$', text, re.MULTILINE)
    return {upstream: int(number) for upstream, number in found}


async def until(condition: Callable[[], Any], timeout_s: float = 20) -> None:
    """Of what comes to pass by itself."""
    async with asyncio.timeout(timeout_s):
        while not (await value if asyncio.iscoroutine(value := condition()) else value):
            await asyncio.sleep(0.01)


async def test_a_conversation_stays_and_new_ones_go_to_the_least_loaded() -> None:
    async with two_servers() as (client, a, b):
        a.may_end.clear()
        running = asyncio.create_task(ask(client, "one"))
        await until(lambda: a.bodies)
        assert [await ask(client, text) for text in ("two", "three", "two", "three")] == [200] * 4
        assert (len(a.bodies), len(b.bodies)) == (1, 4)
        assert await counts(client, "answers_running") == {"a": 1, "b": 0}
        a.may_end.set()
        assert await running == 200
        assert await ask(client, "one") == 200
        assert await counts(client, "requests_total") == {"a": 2, "b": 4}
        assert await counts(client, "affinity_hits_total") == {"a": 1, "b": 2}
        assert await counts(client, "answers_running") == {"a": 0, "b": 0}


async def test_text_completions_stay_as_well() -> None:
    async with two_servers() as (client, a, b):
        for prompt in ("x" * 3000, "y", "x" * 4000):
            await client.post("/v1/completions", json={"prompt": prompt})
        assert [len(body["prompt"]) for body in a.bodies] == [3000, 4000]
        assert [body["prompt"] for body in b.bodies] == ["y"]


@pytest.mark.parametrize(("slots", "stay"), [(8, 3), (2, 2)])
async def test_a_conversation_leaves_an_upstream_that_is_much_busier_or_has_no_slot(slots: int, stay: int) -> None:
    """An upstream with nothing to do counts as much less busy than one with three answers."""
    async with two_servers(slots=slots) as (client, a, b):
        assert await ask(client, "one") == 200
        a.may_end.clear()
        b.may_end.clear()
        running = [asyncio.create_task(ask(client, "one")) for _ in range(stay + 1)]
        await until(lambda: b.bodies)
        assert (len(a.bodies), len(b.bodies)) == (1 + stay, 1)
        b.may_end.set()
        a.may_end.set()
        assert await asyncio.gather(*running) == [200] * (stay + 1)


async def test_answers_are_counted_and_not_requests() -> None:
    async with two_servers() as (client, a, b):
        a.may_end.clear()
        running = asyncio.create_task(client.post(CHAT, json=asked("one", n=3)))
        await until(lambda: a.bodies)
        assert await counts(client, "answers_running") == {"a": 3, "b": 0}
        assert await ask(client, "one") == 200
        assert len(b.bodies) == 1
        a.may_end.set()
        await running


@pytest.mark.parametrize(
    ("broken", "set_aside"),
    [(CLOSED, True), (status(500, {"error": {"message": "x"}}), False), (status(503, {"error": "busy"}), False)],
)
async def test_what_fails_before_its_first_chunk_is_sent_to_another(broken: bytes, set_aside: bool) -> None:
    async with two_servers() as (client, a, b):
        a.broken = broken
        assert await ask(client, "one") == 200
        assert (len(a.bodies), len(b.bodies)) == (1, 1)
        assert await counts(client, "available") == {"a": 0 if set_aside else 1, "b": 1}


async def test_one_that_fails_is_set_aside_and_used_again_when_it_answers() -> None:
    async with two_servers() as (client, a, b):
        a.broken = CLOSED
        assert [await ask(client, f"{number}") for number in range(9)] == [200] * 9
        assert (len(a.bodies), len(b.bodies)) == (1, 9)
        a.broken = None
        await until(lambda: _is_available(client, "a"))
        assert [await ask(client, f"another {number}") for number in range(2)] == [200] * 2
        assert len(a.bodies) == 3


async def test_the_queue_has_the_slots_of_those_that_work(caplog: pytest.LogCaptureFixture) -> None:
    """One that answers a probe is tried with one request before its slots count."""
    told: list[int] = []
    async with AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(openai_server()) for name in "ab"}
        upstreams = {
            name: OpenAIUpstream(await stack.enter_async_context(Connection.opened(server.connect)))
            for name, server in servers.items()
        }
        servers["b"].broken = CLOSED
        opened = Balanced.opened(
            upstreams, 4, CollectorRegistry(), absent={"b": "it is away"}, first_pause_s=PAUSE_S, on_slots=told.append
        )
        balanced = await stack.enter_async_context(opened)
        assert told == [4]
        servers["b"].broken = None
        await until(lambda: "b answers again" in caplog.text)
        assert told == [4]
        for text in ("one", "two", "three"):
            body = ChatBody.model_validate({"messages": [{"role": "user", "content": text}]})
            assert [chunk async for chunk in balanced.chat(body)]
        assert servers["b"].bodies
        assert told == [4, 8]


async def test_the_queue_is_told_whenever_one_is_set_aside_and_probes_go_on_whatever_they_meet(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    may_be_asked = asyncio.Event()
    async with AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(openai_server()) for name in "ab"}
        upstreams = {
            name: OpenAIUpstream(await stack.enter_async_context(Connection.opened(server.connect)))
            for name, server in servers.items()
        }
        ready = upstreams["a"].ready

        async def start() -> bool:
            if not may_be_asked.is_set():
                raise OSError(28, "No space left on device")
            return await ready()

        monkeypatch.setattr(upstreams["a"], "ready", start)
        opened = Balanced.opened(upstreams, 4, CollectorRegistry(), first_pause_s=PAUSE_S, on_slots=told.append)
        balanced = await stack.enter_async_context(opened)

        async def answered(text: str) -> None:
            body = ChatBody.model_validate({"messages": [{"role": "user", "content": text}]})
            assert [chunk async for chunk in balanced.chat(body)]

        servers["a"].broken = CLOSED
        await answered("one")
        await until(lambda: "a cannot be asked whether it is there" in caplog.text)
        servers["a"].broken, servers["b"].broken = None, CLOSED
        await answered("two")  # by the one that was set aside, since the other fails
        assert told[-2:] == [4, 4]
        servers["a"].broken, servers["b"].broken = CLOSED, None
        await until(lambda: "b answers again" in caplog.text)
        await answered("three")
        assert told[-1] == 4
        servers["a"].broken = None
        may_be_asked.set()
        await until(lambda: "a answers again" in caplog.text)


async def test_one_that_answers_and_fails_again_and_again_is_set_aside() -> None:
    async with two_servers() as (client, a, _):
        a.broken = status(500, {"error": {"message": "x"}})
        assert [await ask(client, f"{number}") for number in range(FAILURES + 2)] == [200] * (FAILURES + 2)
        assert len(a.bodies) == FAILURES
        assert (await counts(client, "failures_total"))["a"] >= FAILURES


async def test_one_that_hangs_is_set_aside_and_its_request_sent_to_another(
    engines: dict[str, LlamaCpp], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is stopped: it takes connections, and nothing comes of them."""
    connects: dict[str, Connect] = {name: engine.connect for name, engine in engines.items()}
    async with balancing(connects, silence_s=0.1) as client:
        stopped = psutil.Process(await pid_of(engines["a"], tmp_path))
        monkeypatch.setattr("patchwright.policy.connection.SHORT_TIMEOUT", httpx.Timeout(2))
        stopped.suspend()
        try:
            assert await ask(client, "one") == 200
            assert await counts(client, "requests_total") == {"a": 1, "b": 1}
            assert await counts(client, "available") == {"a": 0, "b": 1}
        finally:
            stopped.resume()
        await until(lambda: _is_available(client, "a"))


async def test_one_that_reads_for_long_is_waited_for() -> None:
    async with (
        openai_server() as a,
        openai_server() as b,
        balancing({"a": a.connect, "b": b.connect}, silence_s=0.02) as client,
    ):
        a.may_end.clear()
        listed = a.listed
        running = asyncio.create_task(ask(client, "one"))
        await until(lambda: a.listed > listed + 3)
        a.may_end.set()
        assert await running == 200
        assert (len(a.bodies), len(b.bodies)) == (1, 0)
        assert await counts(client, "available") == {"a": 1, "b": 1}


async def test_what_is_the_requests_fault_is_not_tried_elsewhere() -> None:
    async with two_servers() as (client, a, b):
        a.broken = status(400, {"error": {"message": "no"}})
        for _ in range(FAILURES + 1):
            assert await ask(client, "one") == 400
        assert (len(a.bodies), len(b.bodies)) == (FAILURES + 1, 0)
        assert await counts(client, "available") == {"a": 1, "b": 1}


async def test_when_all_fail_the_client_is_told_and_no_request_is_lost_for_ever() -> None:
    async with two_servers() as (client, a, b):
        a.broken = b.broken = CLOSED
        response = await client.post(CHAT, json=asked("one"))
        assert (response.status_code, response.json()["error"]["code"]) == (503, "engine_unavailable")
        await until(lambda: _status_is(client, "/ready", 503))
        b.broken = None
        assert await ask(client, "one") == 200  # also before anybody has noticed
        await until(lambda: _status_is(client, "/ready", 200))


async def test_who_leaves_frees_the_place() -> None:
    async with two_servers() as (client, a, _):
        a.may_end.clear()
        running = asyncio.create_task(client.post(CHAT, json=asked("one", stream=True)))
        await until(lambda: a.bodies)
        running.cancel()

        async def is_free() -> bool:
            return await counts(client, "answers_running") == {"a": 0, "b": 0}

        await until(is_free)
        assert await counts(client, "available") == {"a": 1, "b": 1}


async def test_the_smallest_window_counts() -> None:
    async with (
        openai_server(context_tokens=1000) as a,
        openai_server(context_tokens=500) as b,
        balancing({"a": a.connect, "b": b.connect}) as client,
    ):
        (model,) = (await client.get("/v1/models")).json()["data"]
    assert (model["id"], model["max_model_len"]) == ("m", 500)


async def test_upstreams_with_different_models_are_refused() -> None:
    async with openai_server("m") as a, openai_server("other") as b:
        with pytest.raises(ConfigError, match="a serves m, b serves other"):
            async with balancing({"a": a.connect, "b": b.connect}):
                pass


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[dict[str, LlamaCpp]]:
    """Two replicas of an engine."""
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    settings = LlamaCppSettings(threads=1, context_tokens=16384)
    yield {
        name: LlamaCpp(model, settings, tmp_path, replica=Replica(number=number, of=2))
        for number, name in enumerate("ab")
    }
    for engine in running_engines(tmp_path):
        stop_engine(engine, tmp_path)


async def pid_of(engine: LlamaCpp, state_dir: Path) -> int:
    url = (await engine.connect()).base_url.removesuffix("/v1")
    return next(each.pid for each in running_engines(state_dir) if each.url == url)


async def test_engines_have_the_beginnings_of_their_conversations_in_their_cache(
    engines: dict[str, LlamaCpp],
) -> None:
    async with balancing({name: engine.connect for name, engine in engines.items()}) as client:
        conversations = [asked(f"{number}: " + "tell me about it. " * 40) for number in range(4)]
        read = [0] * len(conversations)
        for _ in range(3):
            for number, body in enumerate(conversations):
                answer = (await client.post(CHAT, json=body)).json()
                usage = answer["usage"]
                assert usage["prompt_tokens_details"]["cached_tokens"] >= read[number]
                read[number] = usage["prompt_tokens"]
                body["messages"] += [answer["choices"][0]["message"], {"role": "user", "content": "go on"}]
        assert min(read) > 700
        assert await counts(client, "requests_total") == {"a": 6, "b": 6}
        assert await counts(client, "affinity_hits_total") == {"a": 4, "b": 4}


async def test_when_an_engine_is_killed_its_streams_end_with_an_error_and_the_other_goes_on(
    engines: dict[str, LlamaCpp], tmp_path: Path
) -> None:
    """The killed one is started again, and used."""
    connects: dict[str, Connect] = {name: engine.connect for name, engine in engines.items()}
    endless = {"stream": True, "max_tokens": 12_000, "ignore_eos": True}
    async with balancing(connects, slots=1, queue_slots=2) as client:
        async with client.stream("POST", CHAT, json=asked("one", **endless)) as on_a:
            lines = on_a.aiter_lines()
            await anext(lines)
            on_b = asyncio.create_task(client.post(CHAT, json=asked("two", max_tokens=4000, ignore_eos=True)))
            await until(lambda: _counts_are(client, "answers_running", {"a": 1, "b": 1}))
            waiting = asyncio.create_task(ask(client, "three"))
            await until(lambda: _says(client, "patchwright_requests_waiting 1.0"))
            killed = await pid_of(engines["a"], tmp_path)
            psutil.Process(killed).kill()
            *_, error, done = [line async for line in lines if line]
        assert json.loads(error.removeprefix("data: "))["error"]["code"] == "engine_unavailable"
        assert done == "data: [DONE]"
        assert await waiting == 200
        assert (await on_b).json()["usage"]["completion_tokens"] == 4000
        assert (await counts(client, "requests_total"))["a"] == 1
        await until(lambda: _is_available(client, "a"))
        assert [await ask(client, f"{number} more") for number in range(4)] == [200] * 4
        assert (await counts(client, "requests_total"))["a"] >= 2
        assert await pid_of(engines["a"], tmp_path) != killed


async def test_where_all_engines_have_ended_the_next_request_starts_one(
    engines: dict[str, LlamaCpp], tmp_path: Path
) -> None:
    """As they do when nobody has asked anything for a while."""
    async with balancing({name: engine.connect for name, engine in engines.items()}) as client:
        for engine in running_engines(tmp_path):
            stop_engine(engine, tmp_path)
        assert await ask(client, "one") == 200


async def _is_available(client: httpx.AsyncClient, upstream: str) -> bool:
    return (await counts(client, "available"))[upstream] == 1


async def _counts_are(client: httpx.AsyncClient, name: str, wanted: dict[str, int]) -> bool:
    return await counts(client, name) == wanted


async def _says(client: httpx.AsyncClient, line: str) -> bool:
    return line in (await client.get("/metrics")).text.splitlines()


async def _status_is(client: httpx.AsyncClient, route: str, wanted: int) -> bool:
    return (await client.get(route)).status_code == wanted
