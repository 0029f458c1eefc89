"""Mistral's own format: params.json, consolidated.safetensors, tekken.json.

Source: the repository mistral-inference, and the files of mistralai/Devstral-Small-2507 and
mistralai/Mistral-Small-3.1-24B-Instruct-2503.
"""

from contextlib import ExitStack
from pathlib import Path

from pydantic import ConfigDict

from patchwright.errors import ModelError
from patchwright.models.checkpoint.checkpoint import Checkpoint
from patchwright.models.checkpoint.decoder import Decoder, decoder_of
from patchwright.models.checkpoint.files import (
    SYSTEM_PROMPT,
    read_json,
    read_tekken,
    read_text,
    write_beside,
    write_json,
)
from patchwright.models.checkpoint.safetensors_files import open_safetensors, write_safetensors
from patchwright.models.params import Windowed

PARAMS = "params.json"
_WEIGHTS = "consolidated"
_OTHER_KINDS = ("moe", "quantization", "yarn", "rope_scaling", "sliding_window", "use_biases", "tied_embeddings")


class Params(Windowed):
    """params.json, as far as it describes the decoder."""

    model_config = ConfigDict(frozen=True)

    dim: int
    n_layers: int
    head_dim: int
    hidden_dim: int
    n_heads: int
    n_kv_heads: int
    norm_eps: float
    vocab_size: int
    rope_theta: float
    moe: object = None
    quantization: object = None
    yarn: object = None
    rope_scaling: object = None
    sliding_window: object = None
    use_biases: object = None
    tied_embeddings: object = None

    def decoder(self) -> Decoder:
        """Raises ModelError for a model of another kind."""
        if other := next((name for name in _OTHER_KINDS if getattr(self, name)), None):
            raise ModelError(f"a model with {other} is not a decoder of Mistral Small 3")
        return decoder_of(
            layers=self.n_layers,
            embedding_length=self.dim,
            feed_forward_length=self.hidden_dim,
            heads=self.n_heads,
            kv_heads=self.n_kv_heads,
            head_length=self.head_dim,
            vocabulary=self.vocab_size,
            context_tokens=self.context_tokens,
            rope_theta=self.rope_theta,
            norm_eps=self.norm_eps,
        )


def open_mistral(directory: Path, files: ExitStack) -> Checkpoint:
    """Raises ModelError."""
    decoder = read_json(directory / PARAMS, Params).decoder()
    weights = sorted(directory.glob(f"{_WEIGHTS}*.safetensors"))
    tensors = open_safetensors(weights or [directory / f"{_WEIGHTS}.safetensors"], files)
    names = decoder.shapes()
    return Checkpoint(
        format="mistral",
        path=directory,
        decoder=decoder,
        tensors={name: tensor for name, tensor in tensors.items() if name in names},
        others=[name for name in tensors if name not in names],
        tekken=read_tekken(directory),
        system_prompt=read_text(directory / SYSTEM_PROMPT),
    )


def write_mistral(checkpoint: Checkpoint, directory: Path, number_type: str) -> None:
    """Raises ModelError and OSError."""
    decoder = checkpoint.decoder
    params = Params(
        dim=decoder.embedding_length,
        n_layers=decoder.layers,
        head_dim=decoder.head_length,
        hidden_dim=decoder.feed_forward_length,
        n_heads=decoder.heads,
        n_kv_heads=decoder.kv_heads,
        norm_eps=decoder.norm_eps,
        vocab_size=decoder.vocabulary,
        rope_theta=decoder.rope_theta,
        max_position_embeddings=decoder.context_tokens,
    )
    write_json(directory / PARAMS, params.model_dump(exclude_none=True))
    write_beside(checkpoint, directory)
    tensors = [tensor.to(number_type) for tensor in checkpoint.in_order()]
    write_safetensors(directory / f"{_WEIGHTS}.safetensors", tensors)
