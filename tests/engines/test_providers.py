"""Servers that do not say in OpenAI's words how long their window is, answering as their makers document it."""

import logging
from typing import Any

import pytest

from patchwright.engines.remote import Remote
from tests.engines.routes import routed

MODEL = "devstral:24b"
LISTED = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "library"}]}


def ollama(*processes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "GET /v1/models": LISTED,
        "GET /api/version": {"version": "0.12.6"},
        "GET /api/ps": [{"models": models} for models in processes],
        "POST /api/generate": {"model": MODEL, "response": "", "done": True},
    }


def loaded(context_tokens: int) -> list[dict[str, Any]]:
    return [{"name": MODEL, "model": MODEL, "size": 1, "context_length": context_tokens}]


async def test_ollamas_window_is_what_it_has_allocated(caplog: pytest.LogCaptureFixture) -> None:
    async with routed(ollama(loaded(65536))) as server:
        endpoint = await Remote(server.base_url, MODEL).connect()
    assert endpoint.context_tokens == 65536
    assert caplog.messages == []


async def test_a_short_window_of_ollamas_is_taken_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async with routed(ollama(loaded(4096))) as server:
        endpoint = await Remote(server.base_url, MODEL).connect()
    assert endpoint.context_tokens == 4096
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert warning.getMessage() == (
        "ollama runs devstral:24b with a window of 4096 tokens, short for an agent; set OLLAMA_CONTEXT_LENGTH where it "
        "runs, or make the model with `patchwright model export-ollama`"
    )


async def test_a_model_that_ollama_has_not_loaded_is_loaded_to_learn_its_window() -> None:
    async with routed(ollama([], loaded(32768))) as server:
        endpoint = await Remote(server.base_url, MODEL).connect()
    assert endpoint.context_tokens == 32768
    assert f'POST /api/generate {{"model":"{MODEL}","stream":false}}' in server.asked


async def test_an_older_ollama_that_says_nothing_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async with routed(ollama([{"name": MODEL, "model": MODEL, "size": 1}])) as server:
        endpoint = await Remote(server.base_url, MODEL).connect()
    assert endpoint.context_tokens is None
    assert caplog.messages[0].startswith("ollama does not say how long its window is, and cuts the beginning")


def lm_studio(**model: Any) -> dict[str, Any]:
    known = {"id": MODEL, "object": "model", "type": "llm", "publisher": "mistralai", "max_context_length": 131072}
    return {"GET /v1/models": LISTED, "GET /api/v0/models": {"object": "list", "data": [known | model]}}


async def test_lm_studios_window_is_what_the_model_was_loaded_with(caplog: pytest.LogCaptureFixture) -> None:
    async with routed(lm_studio(state="loaded", loaded_context_length=40000)) as server:
        endpoint = await Remote(server.base_url, MODEL).connect()
    assert endpoint.context_tokens == 40000
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("model", "context_tokens", "said"),
    [
        ({"state": "loaded", "loaded_context_length": 4096}, 4096, "lm studio runs devstral:24b with a window of 4096"),
        ({"state": "not-loaded"}, None, "lm studio has not loaded devstral:24b, and will with a window of its own"),
    ],
)
async def test_lm_studios_short_or_unknown_window_is_warned_of(
    model: dict[str, Any], context_tokens: int | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with routed(lm_studio(**model)) as server:
        endpoint = await Remote(server.base_url, MODEL).connect()
    assert endpoint.context_tokens == context_tokens
    assert caplog.messages[0].startswith(said)
    assert "`lms load devstral:24b --context-length 32768`" in caplog.messages[0]


async def test_a_server_that_nobody_knows_is_taken_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async with routed({"GET /v1/models": LISTED}) as server:
        endpoint = await Remote(server.base_url, MODEL).connect()
    assert (endpoint.context_tokens, endpoint.dialect) == (None, "openai")
    assert caplog.messages == []
