"""Checkpoints with Devstral's architecture and tokenizer, small enough for any machine: random, or saying one thing."""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
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


def scripted_checkpoint(decoder: Decoder, script: Sequence[int], *, seed: int) -> Checkpoint:
    """A model that says `script`, token after token, once a prompt ends with the first of it, whatever came before.

    What the layers add is nothing, and the output looks up who follows whom: no token but the last may come twice. With
    it an engine can be seen to parse what a trained model would have said.
    """
    tensors = dict(random_checkpoint(decoder, seed=seed).tensors)
    for name, shape in decoder.shapes().items():
        if name.endswith((".wo.weight", ".w2.weight")):
            tensors[name] = _constant(name, np.zeros(shape, FLOATS["BF16"]))
        elif name.endswith("norm.weight"):
            tensors[name] = _constant(name, np.ones(shape, FLOATS["BF16"]))
    embeddings = tensors["tok_embeddings.weight"]
    output = np.zeros(embeddings.shape, FLOATS["BF16"])  # [V, D]
    for token, following in pairwise(script):
        output[following] = embeddings.read(token, token + 1)[0]
    tensors["output.weight"] = _constant("output.weight", output)
    return Checkpoint("mistral", Path("scripted weights"), decoder, tensors, tekken=devstral_tekken())


def _constant(name: str, numbers: Rows) -> Tensor:
    return Tensor(name, numbers.shape, "BF16", lambda start, stop: numbers[start:stop])


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
