"""Hugging Face's format: config.json, model.safetensors or its shards, and Mistral's tekken.json beside them.

Source: `MistralForCausalLM` and `Mistral3ForConditionalGeneration` of transformers. It rotates the first half of a
head's rows against the second where Mistral rotates neighbours: the rows of queries and keys stand in another order.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from patchwright.errors import ModelError
from patchwright.models.checkpoint.checkpoint import Checkpoint
from patchwright.models.checkpoint.decoder import Decoder, decoder_of
from patchwright.models.checkpoint.files import (
    CHAT_TEMPLATE,
    SYSTEM_PROMPT,
    read_json,
    read_tekken,
    read_text,
    write_beside,
    write_json,
)
from patchwright.models.checkpoint.names import hugging_face_name
from patchwright.models.checkpoint.safetensors_files import open_safetensors, write_safetensors
from patchwright.models.checkpoint.tensors import Tensor

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 5_000_000_000

_TEMPLATE_HOLDERS = ("chat_template.json", "tokenizer_config.json")

_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_NOT_WRITTEN = {"rope_parameters", "rope_scaling", "attention_bias", "quantization_config"}
_ROTATED = ("attention.wq.weight", "attention.wk.weight")
_TEXT_PREFIXES = (
    ("language_model.model.", "model."),
    ("language_model.lm_head.", "lm_head."),
    ("model.language_model.", "model."),
)
"""Of the decoder in a model that sees, as Mistral-Small-3.1's files and as transformers 5 name it, and alone."""


class _RopeParameters(BaseModel):
    rope_theta: float | None = None
    rope_type: str = "default"


class TextConfig(BaseModel):
    """config.json of a decoder, as far as it describes it."""

    model_config = ConfigDict(frozen=True)

    model_type: str
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float | None = None
    rope_parameters: _RopeParameters | None = None
    """Where transformers 5 writes `rope_theta`."""
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    sliding_window: int | None = None
    rope_scaling: object = None
    attention_bias: object = None
    quantization_config: object = None

    def decoder(self) -> Decoder:
        """Raises ModelError for a model of another kind."""
        rope = self.rope_parameters or _RopeParameters()
        other = {
            f"of the type {self.model_type}": self.model_type != "mistral",
            f"with the activation {self.hidden_act}": self.hidden_act != "silu",
            f"with positions of the type {rope.rope_type}": rope.rope_type != "default",
            "with tied embeddings": self.tie_word_embeddings,
            "with a sliding window": self.sliding_window,
            "with rope_scaling": self.rope_scaling,
            "with biases": self.attention_bias,
            "with quantised weights": self.quantization_config,
        }
        if kind := next((kind for kind, found in other.items() if found), None):
            raise ModelError(f"a model {kind} is not a decoder of Mistral Small 3")
        return decoder_of(
            layers=self.num_hidden_layers,
            embedding_length=self.hidden_size,
            feed_forward_length=self.intermediate_size,
            heads=self.num_attention_heads,
            kv_heads=self.num_key_value_heads,
            head_length=self.head_dim,
            vocabulary=self.vocab_size,
            context_tokens=self.max_position_embeddings,
            rope_theta=self.rope_theta or rope.rope_theta,
            norm_eps=self.rms_norm_eps,
        )


class _Config(BaseModel):
    """config.json of any model: of one that sees, the decoder's part is in `text_config`."""

    text_config: TextConfig | None = None


class _Templates(BaseModel):
    """tokenizer_config.json or chat_template.json, which held the chat template before it had a file of its own."""

    chat_template: str | list[dict[str, str]] | None = None

    @property
    def default(self) -> str | None:
        if isinstance(self.chat_template, list):
            return {each.get("name"): each.get("template") for each in self.chat_template}.get("default")
        return self.chat_template


class _Index(BaseModel):
    weight_map: dict[str, str]


def open_hugging_face(directory: Path, files: ExitStack) -> Checkpoint:
    """Raises ModelError."""
    config = read_json(directory / CONFIG, _Config).text_config or read_json(directory / CONFIG, TextConfig)
    decoder = config.decoder()
    found = {_alone(name): tensor for name, tensor in open_safetensors(_weights(directory), files).items()}
    ours = {hugging_face_name(name): name for name in decoder.shapes()}
    return Checkpoint(
        format="hf",
        path=directory,
        decoder=decoder,
        tensors={name: as_mistral(found[theirs], name, decoder) for theirs, name in ours.items() if theirs in found},
        others=[name for name in found if name not in ours],
        tekken=read_tekken(directory),
        system_prompt=read_text(directory / SYSTEM_PROMPT),
        chat_template=_chat_template(directory),
    )


def write_hugging_face(
    checkpoint: Checkpoint, directory: Path, number_type: str, *, shard_bytes: int = SHARD_BYTES
) -> None:
    """Raises ModelError and OSError."""
    write_json(directory / CONFIG, _config(checkpoint.decoder, number_type))
    write_json(directory / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2})
    write_beside(checkpoint, directory)
    tensors = [_as_theirs(tensor.to(number_type), checkpoint.decoder) for tensor in checkpoint.in_order()]
    shards = list(_shards(tensors, shard_bytes))
    if len(shards) == 1:
        write_safetensors(directory / WEIGHTS, tensors)
        return
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_safetensors(directory / name, shard)
        weight_map |= {tensor.name: name for tensor in shard}
    total = sum(tensor.size_bytes for tensor in tensors)
    write_json(directory / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})


def as_mistral(tensor: Tensor, name: str, decoder: Decoder) -> Tensor:
    """What Hugging Face calls otherwise and, if it is rotated, orders otherwise."""
    named = replace(tensor, name=name)
    return named.interleaved(decoder.head_length) if name.endswith(_ROTATED) else named


def _chat_template(directory: Path) -> str | None:
    if (template := read_text(directory / CHAT_TEMPLATE)) is not None:
        return template
    holders = (directory / name for name in _TEMPLATE_HOLDERS)
    found = (read_json(holder, _Templates).default for holder in holders if holder.exists())
    return next((template for template in found if template is not None), None)


def _weights(directory: Path) -> list[Path]:
    if not (directory / INDEX).exists():
        return [directory / WEIGHTS]
    names = sorted(set(read_json(directory / INDEX, _Index).weight_map.values()))
    if strange := [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]:
        raise ModelError(f"{directory / INDEX} names a file that is not beside it: {strange[0]}")
    return [directory / name for name in names]


def _alone(name: str) -> str:
    for prefix, alone in _TEXT_PREFIXES:
        if name.startswith(prefix):
            return alone + name.removeprefix(prefix)
    return name


def _as_theirs(tensor: Tensor, decoder: Decoder) -> Tensor:
    named = replace(tensor, name=hugging_face_name(tensor.name))
    return named.split_halves(decoder.head_length) if tensor.name.endswith(_ROTATED) else named


def _config(decoder: Decoder, number_type: str) -> dict[str, Any]:
    config = TextConfig(
        model_type="mistral",
        hidden_size=decoder.embedding_length,
        intermediate_size=decoder.feed_forward_length,
        num_hidden_layers=decoder.layers,
        num_attention_heads=decoder.heads,
        num_key_value_heads=decoder.kv_heads,
        head_dim=decoder.head_length,
        vocab_size=decoder.vocabulary,
        max_position_embeddings=decoder.context_tokens,
        rms_norm_eps=decoder.norm_eps,
        rope_theta=decoder.rope_theta,
    )
    return {
        "architectures": ["MistralForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": _TYPES[number_type],
        **config.model_dump(exclude=_NOT_WRITTEN),
    }


def _shards(tensors: Iterable[Tensor], shard_bytes: int) -> Iterator[Sequence[Tensor]]:
    shard: list[Tensor] = []
    for tensor in tensors:
        if shard and sum(each.size_bytes for each in shard) + tensor.size_bytes > shard_bytes:
            yield shard
            shard = []
        shard.append(tensor)
    yield shard
