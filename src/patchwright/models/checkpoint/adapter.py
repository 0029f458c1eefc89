"""A LoRA adapter as PEFT writes it: merged into a checkpoint, or as the GGUF file that llama.cpp applies at run time.

Sources: `LoraLayer` of peft, convert_lora_to_gguf.py of llama.cpp.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from patchwright.errors import ModelError
from patchwright.models.adapter_files import CONFIG, DOWN, UP, WEIGHTS
from patchwright.models.checkpoint.checkpoint import Checkpoint
from patchwright.models.checkpoint.decoder import Decoder
from patchwright.models.checkpoint.files import read_json
from patchwright.models.checkpoint.gguf_format import write_tensors
from patchwright.models.checkpoint.hugging_face import as_mistral
from patchwright.models.checkpoint.names import gguf_name, hugging_face_name
from patchwright.models.checkpoint.safetensors_files import open_safetensors
from patchwright.models.checkpoint.tensors import Rows, Tensor

_PREFIX = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"


class _Config(BaseModel):
    """adapter_config.json, as far as it changes what the weights mean."""

    model_config = ConfigDict(frozen=True)

    peft_type: str
    r: int = Field(ge=1)
    lora_alpha: float = Field(allow_inf_nan=False)
    use_rslora: bool = False
    use_dora: bool = False
    bias: str = "none"
    modules_to_save: list[str] | None = None
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}
    fan_in_fan_out: bool = False
    layer_replication: object = None
    init_lora_weights: bool | str = True
    alora_invocation_tokens: list[int] | None = None
    arrow_config: object = None


@dataclass(frozen=True)
class Pair:
    """What is added to one matrix: `up` [outputs, rank] times `down` [rank, inputs]."""

    down: Tensor
    up: Tensor


@dataclass(frozen=True)
class Adapter:
    """By Mistral's names of the matrices, with rows as Mistral has them."""

    pairs: Mapping[str, Pair]
    alpha: float
    rank: int

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


def open_adapter(directory: Path, decoder: Decoder, files: ExitStack) -> Adapter:
    """The adapter for a model of this shape; it can be read as long as `files` is open.

    Raises ModelError when it is of another kind or for another model.
    """
    config = read_json(directory / CONFIG, _Config)
    if unknown := _unknown(config):
        raise ModelError(f"{directory / CONFIG}: {unknown} is not known here", hint="merge it with peft")
    found = open_safetensors([directory / WEIGHTS], files)
    pairs: dict[str, Pair] = {}
    for name, shape in decoder.shapes().items():
        stem = _PREFIX + hugging_face_name(name).removesuffix(".weight")
        if stem + _DOWN in found and stem + _UP in found:
            pair = Pair(found.pop(stem + _DOWN), found.pop(stem + _UP))
            _check(pair, name, shape, config.r)
            pairs[name] = replace(pair, up=as_mistral(pair.up, name, decoder))
    if found or not pairs:
        strange = next(iter(found), "nothing of it")
        raise ModelError(f"{directory / WEIGHTS}: {strange} belongs to no matrix of this model")
    return Adapter(pairs, config.lora_alpha * (config.r**0.5 if config.use_rslora else 1), config.r)


def merged(checkpoint: Checkpoint, adapter: Adapter) -> Checkpoint:
    """The checkpoint with the adapter's products added to its matrices, which are f32 then."""
    tensors = {
        name: _sum(tensor, adapter.pairs[name], adapter.scale) if name in adapter.pairs else tensor
        for name, tensor in checkpoint.tensors.items()
    }
    return replace(checkpoint, tensors=tensors)


def write_gguf_adapter(adapter: Adapter, path: Path) -> None:
    """Raises OSError."""
    writer = gguf.GGUFWriter(path, "llama")
    try:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter.alpha)
        tensors = [
            replace(tensor.to("F32"), name=gguf_name(name) + end)
            for name, pair in adapter.pairs.items()
            for tensor, end in ((pair.down, DOWN), (pair.up, UP))
        ]
        write_tensors(writer, tensors)
    finally:
        writer.close()


def _unknown(config: _Config) -> str | None:
    """What the configuration asks for that goes beyond a product for each matrix."""
    asked: dict[str, Any] = {
        f"peft_type {config.peft_type}": config.peft_type != "LORA",
        "DoRA": config.use_dora,
        "a bias": config.bias != "none",
        "modules_to_save": config.modules_to_save,
        "a rank for each module": config.rank_pattern or config.alpha_pattern,
        "an activation by tokens": config.alora_invocation_tokens,
        "arrow_config": config.arrow_config,
        "fan_in_fan_out": config.fan_in_fan_out,
        "layer_replication": config.layer_replication,
        # Others, as PiSSA, change the weights that they are added to.
        f"init_lora_weights {config.init_lora_weights}": config.init_lora_weights not in (True, False, "gaussian"),
    }
    return next((name for name, wanted in asked.items() if wanted), None)


def _check(pair: Pair, name: str, shape: tuple[int, ...], rank: int) -> None:
    if (pair.up.shape, pair.down.shape) != ((shape[0], rank), (rank, *shape[1:])):
        found = " and ".join(" × ".join(map(str, tensor.shape)) for tensor in (pair.up, pair.down))
        raise ModelError(f"the adapter is for another model or of another rank than it says: {name} is {found}")


def _sum(tensor: Tensor, pair: Pair, scale: float) -> Tensor:
    base = tensor.to("F32")
    down, up = pair.down.to("F32"), pair.up.to("F32")

    def read(start: int, stop: int) -> Rows:
        product = up.read(start, stop) @ down.read(0, down.shape[0])
        return base.read(start, stop) + np.float32(scale) * product

    return replace(base, read=read, together=max(tensor.together, pair.up.together))
