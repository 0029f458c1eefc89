"""The Upstream protocol: an engine, as the gateway sees it."""

from collections.abc import AsyncGenerator
from typing import Protocol

from patchwright.schema.messages import Json
from patchwright.serving.body import ChatBody


class Upstream(Protocol):
    """One model on one engine."""

    model: str

    @property
    def context_tokens(self) -> int | None:
        """The window in tokens, prompt and answer together; None when unknown."""
        ...

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that a body's `model` may choose instead of the model."""
        ...

    def chat(self, body: ChatBody) -> AsyncGenerator[Json]:
        """The chunks of a streamed chat completion in OpenAI's shape, the last one with the usage and no choice.

        Raises Problem, before the first chunk or after any. Closing it gives the engine's slot back.
        """
        ...

    def completion(self, body: Json) -> AsyncGenerator[Json]:
        """The same for /v1/completions, whose body goes to the engine as it is."""
        ...

    async def ready(self) -> bool:
        """Whether the engine answers."""
        ...


def adapter_of(upstream: Upstream, model: str | None) -> str:
    """The adapter that a body's `model` names; empty where it names the model itself, or nothing."""
    return model if model in upstream.adapters else ""
