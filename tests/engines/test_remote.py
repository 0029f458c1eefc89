import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.remote import Remote
from patchwright.errors import EngineError
from patchwright.schema.endpoint import Endpoint


async def test_a_llama_cpp_server_is_found_with_its_window(tiny_engine: LlamaCpp) -> None:
    endpoint = await tiny_engine.connect()
    assert await Remote(endpoint.base_url, "tiny", endpoint.api_key).connect() == endpoint


async def test_the_only_model_need_not_be_named(tiny_engine: LlamaCpp) -> None:
    endpoint = await tiny_engine.connect()
    assert (await Remote(endpoint.base_url + "/", api_key=endpoint.api_key).connect()).model == "tiny"


async def test_a_refused_key_is_told_from_a_missing_one(tiny_engine: LlamaCpp) -> None:
    base_url = (await tiny_engine.connect()).base_url
    with pytest.raises(EngineError, match="refuses the key"):
        await Remote(base_url, "tiny", SecretStr("wrong")).connect()
    with pytest.raises(EngineError, match="asks for a key"):
        await Remote(base_url, "tiny").connect()


async def test_a_model_that_is_not_served_is_answered_with_those_that_are() -> None:
    async with serving({"data": [{"id": "b"}, {"id": "a"}]}) as base_url:
        with pytest.raises(EngineError, match=r"does not serve c; it serves a, b$"):
            await Remote(base_url, "c").connect()
        with pytest.raises(EngineError, match=r"serves more than one model; it serves a, b$"):
            await Remote(base_url).connect()


@pytest.mark.parametrize(
    "window",
    [
        {"max_model_len": 4096},
        {"max_context_length": 4096},
        {"context_length": 4096},
        {"metadata": {"max_request_context_length": 4096, "input_modality": "text"}},
    ],
)
async def test_each_servers_name_for_the_window_is_understood(window: dict[str, Any]) -> None:
    async with serving({"object": "list", "data": [{"id": "m", "owned_by": "x", **window}]}) as base_url:
        assert await Remote(base_url, "m").connect() == Endpoint(base_url=base_url, model="m", context_tokens=4096)


@pytest.mark.parametrize(
    ("model", "rules"),
    [("mistralai/Devstral-Small-2507", "alternating"), ("Codestral-latest", "alternating"), ("qwen2.5-coder", "any")],
)
async def test_mistrals_models_have_rules_for_conversations(model: str, rules: str) -> None:
    async with serving({"data": [{"id": model}]}) as base_url:
        assert (await Remote(base_url).connect()).rules == rules


async def test_nobody_there_is_said_with_the_address() -> None:
    async with serving({}) as base_url:
        pass
    with pytest.raises(EngineError, match=f"nothing answers at {base_url}"):
        await Remote(base_url, "m").connect()


async def test_a_server_of_another_kind_is_told_apart() -> None:
    async with serving({"detail": "hello"}) as base_url:
        with pytest.raises(EngineError, match="does not answer as an OpenAI endpoint does"):
            await Remote(base_url, "m").connect()
    async with serving({}, status="404 Not Found") as base_url:
        with pytest.raises(EngineError, match="/models answers 404"):
            await Remote(base_url, "m").connect()


@asynccontextmanager
async def serving(answer: dict[str, Any], status: str = "200 OK") -> AsyncGenerator[str]:
    """The base URL of a real server that gives every request the same answer."""
    body = json.dumps(answer)
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
