"""Where a policy can be reached."""

from typing import Literal

from pydantic import SecretStr

from patchwright.schema.messages import Json
from patchwright.schema.record import Record

Dialect = Literal["openai", "mistral"]
"""Whose fields a chat completion is asked for with."""

Rules = Literal["any", "mistral", "alternating"]
"""Which conversations are taken there. mistral-common refuses a call without a result and an answer of nothing;
templates such as Mistral's also refuse turns that do not alternate. Other templates write all of it down somehow."""


def shown(address: str) -> str:
    """The address without the name, the password and the query in it: it goes into logs and to clients."""
    scheme, separator, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


class Endpoint(Record):
    """An OpenAI-compatible endpoint. `base_url` ends in /v1, as OpenAI's clients expect it."""

    base_url: str
    model: str
    api_key: SecretStr | None = None
    context_tokens: int | None = None
    """The window in tokens, prompt and answer together; None when the endpoint does not say."""
    tokenizes: bool = False
    """True when the server has llama.cpp's POST /tokenize beside /v1."""
    dialect: Dialect = "openai"
    rules: Rules = "any"
    streams: bool = True
    """False when it can only answer as a whole."""
    adapters: tuple[str, ...] = ()
    """Names of the LoRA adapters that llama.cpp has loaded, each at the place that is its number there."""

    def choosing(self, adapter: str | None) -> Json:
        """The fields of a request that choose an adapter, or none of them; nothing where there are none to choose.

        llama.cpp must be told each time: a request that names no adapter goes on from what its slot has computed with
        another one (https://github.com/ggml-org/llama.cpp/issues/26207).
        """
        if not self.adapters:
            return {}
        return {"lora": [{"id": number, "scale": float(name == adapter)} for number, name in enumerate(self.adapters)]}
