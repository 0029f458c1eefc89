"""What is known of other people's servers, beyond OpenAI's protocol: the window that each really has."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from patchwright.engines.llama_cpp_settings import CONTEXT_TOKENS
from patchwright.schema.record import Record

LOAD_TIMEOUT_S = 600.0
"""Ollama says how long the window is once the model is loaded, which takes minutes for a large one."""

_M = TypeVar("_M", bound=BaseModel)


class Window(Record):
    """A window as a server has allocated it. `warning`: what the user should know of it."""

    context_tokens: int | None
    warning: str | None = None


async def find_window(client: httpx.AsyncClient, root: str, model: str) -> Window:
    """The window of a server whose GET /models says nothing of it. Nothing known: no window and no warning."""
    providers: tuple[Callable[[], Awaitable[Window | None]], ...] = (
        lambda: _ollamas(client, root, model),
        lambda: _lm_studios(client, root, model),
    )
    for ask in providers:
        if window := await ask():
            return window
    return Window(context_tokens=None)


class _OllamaVersion(BaseModel):
    version: str


class _OllamaRunning(BaseModel):
    model: str
    context_length: int | None = None


class _OllamaProcesses(BaseModel):
    models: list[_OllamaRunning] = Field(default_factory=list[_OllamaRunning])


async def _ollamas(client: httpx.AsyncClient, root: str, model: str) -> Window | None:
    """None when this is no Ollama. A model that is not loaded is loaded now, as the first request would.

    GET /api/version, GET /api/ps and a POST /api/generate without a prompt are as in
    https://github.com/ollama/ollama/blob/main/docs/api.md. Its OpenAI route takes no num_ctx
    (https://github.com/ollama/ollama/issues/5902) and cuts what is too long without saying so
    (https://github.com/ollama/ollama/issues/3839).
    """
    if await _get(client, f"{root}/api/version", _OllamaVersion) is None:
        return None
    context_tokens = await _ollamas_loaded(client, root, model)
    if context_tokens is None:
        await _post(client, f"{root}/api/generate", {"model": model, "stream": False})
        context_tokens = await _ollamas_loaded(client, root, model)
    if context_tokens is None:
        cut = "ollama does not say how long its window is, and cuts the beginning of what is longer off without a word"
        return Window(context_tokens=None, warning=f"{cut}; {_OLLAMAS_WAY_OUT}")
    if context_tokens >= CONTEXT_TOKENS:
        return Window(context_tokens=context_tokens)
    cut = f"ollama runs {model} with a window of {context_tokens} tokens"
    return Window(context_tokens=context_tokens, warning=f"{cut}, short for an agent; {_OLLAMAS_WAY_OUT}")


_OLLAMAS_WAY_OUT = "set OLLAMA_CONTEXT_LENGTH where it runs, or make the model with `patchwright model export-ollama`"


async def _ollamas_loaded(client: httpx.AsyncClient, root: str, model: str) -> int | None:
    processes = await _get(client, f"{root}/api/ps", _OllamaProcesses)
    names = {model, f"{model}:latest"}
    found = [each.context_length for each in (processes.models if processes else []) if each.model in names]
    return found[0] if found else None


class _LmStudioModel(BaseModel):
    id: str
    state: str
    max_context_length: int | None = None
    loaded_context_length: int | None = None


class _LmStudioModels(BaseModel):
    data: list[_LmStudioModel]


async def _lm_studios(client: httpx.AsyncClient, root: str, model: str) -> Window | None:
    """None when this is no LM Studio. GET /api/v0/models is as in https://lmstudio.ai/docs/developer/rest/endpoints."""
    models = await _get(client, f"{root}/api/v0/models", _LmStudioModels)
    found = [each for each in (models.data if models else []) if each.id == model]
    if not found:
        return None
    loaded = found[0].loaded_context_length
    way_out = (
        f"`lms load {model} --context-length {min(found[0].max_context_length or CONTEXT_TOKENS, CONTEXT_TOKENS)}`"
    )
    if loaded is None:
        warning = f"lm studio has not loaded {model}, and will with a window of its own choice; {way_out} loads it"
        return Window(context_tokens=None, warning=warning)
    if loaded >= CONTEXT_TOKENS:
        return Window(context_tokens=loaded)
    warning = f"lm studio runs {model} with a window of {loaded} tokens, short for an agent; {way_out} loads it anew"
    return Window(context_tokens=loaded, warning=warning)


async def _get(client: httpx.AsyncClient, url: str, model: type[_M]) -> _M | None:
    """None when the server has no such route, or answers something else there."""
    try:
        response = await client.get(url)
        return model.model_validate_json(response.content) if response.is_success else None
    except (httpx.HTTPError, ValidationError):
        return None


async def _post(client: httpx.AsyncClient, url: str, body: dict[str, str | bool]) -> None:
    try:
        await client.post(url, json=body, timeout=LOAD_TIMEOUT_S)
    except httpx.HTTPError:
        return  # it is asked again, and says the window or not
