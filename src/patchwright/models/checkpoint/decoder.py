"""Mistral's decoder: the numbers that give Devstral its shape, and the tensors that follow from them."""

from math import prod
from typing import Any

from pydantic import Field, ValidationError

from patchwright.errors import ModelError
from patchwright.schema.record import Record

_MOST = 1 << 24
_LENGTH: int = Field(ge=1, le=_MOST)


class Decoder(Record):
    """The architecture of Mistral Small 3 and of what was made of it: no biases, embeddings and output apart."""

    layers: int = Field(ge=1, le=1_000)
    embedding_length: int = _LENGTH
    feed_forward_length: int = _LENGTH
    heads: int = _LENGTH
    kv_heads: int = _LENGTH
    head_length: int = Field(ge=2, le=_MOST, multiple_of=2)
    vocabulary: int = _LENGTH
    context_tokens: int = Field(ge=1, le=1 << 40)
    rope_theta: float = Field(gt=0, allow_inf_nan=False)
    norm_eps: float = Field(gt=0, lt=1)

    @property
    def parameters(self) -> int:
        return sum(map(prod, self.shapes().values()))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """By name, in Mistral's own names and order: (outputs, inputs) of a matrix, (length,) of a norm."""
        width = (self.embedding_length,)
        shapes = {"tok_embeddings.weight": (self.vocabulary, *width)}
        for layer in range(self.layers):
            shapes |= {f"layers.{layer}.{name}": shape for name, shape in self._layer().items()}
        return shapes | {"norm.weight": width, "output.weight": (self.vocabulary, *width)}

    def _layer(self) -> dict[str, tuple[int, ...]]:
        width, inner = self.embedding_length, self.feed_forward_length
        query, key = self.heads * self.head_length, self.kv_heads * self.head_length
        return {
            "attention_norm.weight": (width,),
            "attention.wq.weight": (query, width),
            "attention.wk.weight": (key, width),
            "attention.wv.weight": (key, width),
            "attention.wo.weight": (width, query),
            "ffn_norm.weight": (width,),
            "feed_forward.w1.weight": (inner, width),
            "feed_forward.w2.weight": (width, inner),
            "feed_forward.w3.weight": (inner, width),
        }


def decoder_of(**numbers: Any) -> Decoder:
    """Raises ModelError when the numbers make no sense."""
    try:
        return Decoder(**numbers)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ModelError(f"{problem['loc'][0]}: {problem['msg'].lower()}") from None


DEVSTRAL = Decoder(
    layers=40,
    embedding_length=5120,
    feed_forward_length=32768,
    heads=32,
    kv_heads=8,
    head_length=128,
    vocabulary=131072,
    context_tokens=131072,
    rope_theta=1e9,
    norm_eps=1e-5,
)
"""Devstral Small 1.1, from its params.json."""
