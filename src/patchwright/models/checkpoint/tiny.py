"""Checkpoints with Devstral's architecture and tokenizer and random weights: small enough for any machine."""

import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from patchwright.models.checkpoint.checkpoint import Checkpoint
from patchwright.models.checkpoint.decoder import DEVSTRAL, Decoder
from patchwright.models.checkpoint.tekken import devstral_tekken
from patchwright.models.checkpoint.tensors import FLOATS, Rows, Tensor


def tiny_decoder(*, width: int, layers: int) -> Decoder:
    """Devstral with fewer layers and narrower: as many query heads to a key head, as wide inside for its width."""
    heads = max(4, width // 32)
    return DEVSTRAL.model_copy(
        update={
            "layers": layers,
            "embedding_length": width,
            "feed_forward_length": width * DEVSTRAL.feed_forward_length // DEVSTRAL.embedding_length // 256 * 256,
            "heads": heads // 4 * 4,
            "kv_heads": heads // 4,
            "head_length": 32,
        }
    )


def random_checkpoint(decoder: Decoder, *, seed: int) -> Checkpoint:
    """The weights follow from the seed and the tensor's name."""
    tensors = {name: _random(name, shape, seed) for name, shape in decoder.shapes().items()}
    return Checkpoint("mistral", Path("random weights"), decoder, tensors, tekken=devstral_tekken())


def _random(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    return Tensor(name, shape, "BF16", lambda start, stop: _drawn(name, shape, seed)[start:stop])


@lru_cache(maxsize=1)
def _drawn(name: str, shape: tuple[int, ...], seed: int) -> Rows:
    """All of a tensor, kept while its blocks are read."""
    generator = np.random.default_rng((seed, zlib.crc32(name.encode())))
    return _scaled(generator.standard_normal(shape, np.float32), name).astype(FLOATS["BF16"])


def _scaled(numbers: Rows, name: str) -> Rows:
    """So that what a layer adds is of the size of what it gets, and that the likeliest token stands out."""
    if numbers.ndim == 1:
        return 1 + numbers / 10
    if name == "tok_embeddings.weight":
        return numbers
    return numbers * (4 if name == "output.weight" else 1) / np.sqrt(numbers.shape[1], dtype=np.float32)
