"""Somebody else's endpoint behind the Engine protocol: a server in the next room, Ollama, vLLM, a hosted API."""

import logging

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from patchwright.engines.providers import Window, find_window
from patchwright.errors import EngineError
from patchwright.schema.endpoint import Dialect, Endpoint, Rules, shown

TIMEOUT_S = 5.0
MISTRALS_FAMILIES = ("mistral", "devstral", "codestral", "ministral", "magistral", "mathstral", "mixtral", "pixtral")

logger = logging.getLogger(__name__)


class Unreachable(EngineError):
    """Nothing answers there, or only a proxy: it may be there later."""


class Remote:
    """An OpenAI-compatible endpoint that is already there. `model` None: the only one that it serves."""

    name = "remote"

    def __init__(self, base_url: str, model: str | None = None, api_key: SecretStr | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._shown = shown(self._base_url)
        self._model = model
        self._api_key = api_key

    async def connect(self) -> Endpoint:
        """The endpoint, after it has listed the model. Says in the log when its window is short, or unknown.

        Raises Unreachable when nothing answers, and EngineError when the key is refused or the model is not served.
        """
        async with httpx.AsyncClient(timeout=TIMEOUT_S, headers=self._headers()) as client:
            model = self._choose(await self._served_models(client))
            window = await self._window(client, model)
        if window.warning:
            logger.warning("%s", window.warning)
        return Endpoint(
            base_url=self._base_url,
            model=model.id,
            api_key=self._api_key,
            context_tokens=window.context_tokens,
            tokenizes=model.owned_by == "llamacpp" and self._base_url.endswith("/v1"),
            dialect=_dialect(self._base_url),
            rules=_rules(model.id),
        )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._api_key.get_secret_value()}"} if self._api_key else {}

    async def _window(self, client: httpx.AsyncClient, model: "_Model") -> Window:
        if model.window or not self._base_url.endswith("/v1"):
            return Window(context_tokens=model.window)
        return await find_window(client, self._base_url.removesuffix("/v1"), model.id)

    async def _served_models(self, client: httpx.AsyncClient) -> "list[_Model]":
        try:
            response = await client.get(f"{self._base_url}/models")
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"nothing answers at {self._shown}: {str(error).lower() or 'timed out'}",
                hint="is the server running, and is this the address of its API, such as http://127.0.0.1:8000/v1?",
            ) from error
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            problem = "refuses the key" if self._api_key else "asks for a key"
            raise EngineError(f"{self._shown} {problem} ({response.status_code})", hint="name it with --api-key-env")
        if response.is_server_error:
            raise Unreachable(f"{self._shown}/models answers {response.status_code}", hint="try again later")
        if not response.is_success:
            raise EngineError(f"{self._shown}/models answers {response.status_code}", hint="most base URLs end in /v1")
        return _parse(response, self._shown)

    def _choose(self, served: "list[_Model]") -> "_Model":
        named = [model for model in served if model.id == self._model or (self._model is None and len(served) == 1)]
        if named:
            return named[0]
        names = ", ".join(sorted(model.id for model in served)) or "no model at all"
        wanted = f"does not serve {self._model}" if self._model else "serves more than one model"
        raise EngineError(f"{self._shown} {wanted}; it serves {names}", hint="name one of them with --model")


class _Meta(BaseModel):
    n_ctx: int | None = None
    n_ctx_train: int | None = None


class _Metadata(BaseModel):
    max_request_context_length: int | None = None


class _Model(BaseModel):
    """One entry of GET /models: OpenAI's fields, and the window under each server's own name for it."""

    id: str
    owned_by: str = ""
    max_model_len: int | None = None
    """vLLM, SGLang"""
    max_context_length: int | None = None
    """Mistral"""
    context_length: int | None = None
    """OpenRouter, Together"""
    meta: _Meta | None = None
    """llama.cpp"""
    metadata: _Metadata | None = None
    """Ray Serve's LLM application"""

    @property
    def window(self) -> int | None:
        of_llama_cpp = (self.meta.n_ctx or self.meta.n_ctx_train) if self.meta else None
        of_ray = self.metadata.max_request_context_length if self.metadata else None
        return self.max_model_len or self.max_context_length or self.context_length or of_llama_cpp or of_ray


class _Models(BaseModel):
    data: list[_Model]


def _dialect(base_url: str) -> Dialect:
    host = httpx.URL(base_url).host
    return "mistral" if host == "mistral.ai" or host.endswith(".mistral.ai") else "openai"


def _rules(model: str) -> Rules:
    """By the name: no server says what makes tokens of its conversations. mistral-common takes what templates take."""
    return "alternating" if any(family in model.lower() for family in MISTRALS_FAMILIES) else "any"


def _parse(response: httpx.Response, address: str) -> list[_Model]:
    try:
        return _Models.model_validate_json(response.content).data
    except ValidationError as error:
        raise EngineError(f"{address}/models does not answer as an OpenAI endpoint does") from error
