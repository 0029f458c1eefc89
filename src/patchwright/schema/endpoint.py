"""Where a policy can be reached."""

from typing import Literal

from pydantic import SecretStr

from patchwright.schema.record import Record

Dialect = Literal["openai", "mistral"]
"""Whose fields a chat completion is asked for with."""


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
    streams: bool = True
    """False when it can only answer as a whole."""
