"""The window in Mistral's params.json, which publishers have called by two names or left out."""

from pydantic import BaseModel

_CONTEXT_TOKENS = 131072
"""Of Mistral Small 3.1 and of what was made from it."""


class Windowed(BaseModel):
    """params.json, as far as it says how long the window is."""

    max_position_embeddings: int | None = None
    max_seq_len: int | None = None

    @property
    def context_tokens(self) -> int:
        return self.max_position_embeddings or self.max_seq_len or _CONTEXT_TOKENS
