"""The Server protocol: an engine's server as the process that watches it sees it."""

from typing import Protocol


class Server(Protocol):
    """A server that answers."""

    url: str
    """Its root; the OpenAI routes are below /v1."""
    context_tokens: int
    """As allocated, for each slot."""

    def was_used(self) -> bool:
        """Whether it has worked, or been asked for something, since this was asked last."""
        ...

    def lives(self) -> bool:
        """Whether it can still answer."""
        ...
