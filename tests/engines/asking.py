"""Asks an endpoint, as any OpenAI client does."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from patchwright.schema.endpoint import Endpoint

Message = dict[str, str]


def client(endpoint: Endpoint) -> httpx.AsyncClient:
    assert endpoint.api_key
    headers = {"Authorization": f"Bearer {endpoint.api_key.get_secret_value()}"}
    return httpx.AsyncClient(base_url=endpoint.base_url, headers=headers, timeout=60, trust_env=False)


async def ask(endpoint: Endpoint, messages: list[Message], tokens: int, **options: Any) -> dict[str, Any]:
    """The whole answer, greedily sampled."""
    body = {"messages": messages, "max_tokens": tokens, "temperature": 0, **options}
    async with client(endpoint) as http:
        response = await http.post("/chat/completions", json=body)
        return response.raise_for_status().json()


async def stream(endpoint: Endpoint, messages: list[Message], tokens: int) -> AsyncGenerator[dict[str, Any]]:
    """The chunks as they arrive. Never ends before `tokens`."""
    options = {"stream": True, "stream_options": {"include_usage": True}, "ignore_eos": True}
    body = {"messages": messages, "max_tokens": tokens, "temperature": 0, **options}
    async with client(endpoint) as http, http.stream("POST", "/chat/completions", json=body) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                yield json.loads(line.removeprefix("data: "))


async def drain(chunks: AsyncGenerator[dict[str, Any]]) -> list[dict[str, Any]]:
    """All that is still to come."""
    return [chunk async for chunk in chunks]
