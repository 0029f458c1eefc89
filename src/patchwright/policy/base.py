"""The Policy protocol."""

from collections.abc import AsyncGenerator
from typing import Protocol

from patchwright.schema.messages import Answers, Delta, Request


class Policy(Protocol):
    """A model that can be sampled."""

    name: str
    context_tokens: int | None
    """The window in tokens, prompt and answer together; None when unknown."""

    def stream(self, request: Request) -> AsyncGenerator[Delta]:
        """Text as it arrives, then exactly one Reply. Raises EngineError when the endpoint fails."""
        ...

    async def answers(self, request: Request, n: int) -> Answers:
        """`n` answers in text, drawn from one reading of the prompt where the engine can. Raises EngineError."""
        ...

    async def count_tokens(self, text: str) -> int:
        """Tokens of `text` in the model's own vocabulary, or a careful estimate where it cannot be asked."""
        ...
