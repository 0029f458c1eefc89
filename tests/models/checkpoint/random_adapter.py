"""LoRA adapters as PEFT saves them, with random weights that change every answer."""

import json
from contextlib import ExitStack
from pathlib import Path

import gguf
import numpy
from safetensors.numpy import save_file

from patchwright.models.checkpoint.adapter import open_adapter, write_gguf_adapter
from patchwright.models.checkpoint.convert import opened
from patchwright.models.checkpoint.decoder import Decoder
from patchwright.models.checkpoint.names import hugging_face_name
from patchwright.models.checkpoint.tiny import tiny_decoder

RANK = 4
TINY = tiny_decoder(width=128, layers=2)
"""The shape of the fixture `tiny_devstral`."""


def write_adapter(directory: Path, *, seed: int, decoder: Decoder = TINY) -> Path:
    """For all matrices of all layers; what is added is of the size of what is there."""
    numbers = numpy.random.default_rng(seed)
    tensors: dict[str, numpy.ndarray] = {}
    for name, shape in decoder.shapes().items():
        if name.startswith("layers.") and len(shape) == 2:
            stem = f"base_model.model.{hugging_face_name(name).removesuffix('.weight')}"
            down = numbers.standard_normal((RANK, shape[1]), numpy.float32) / numpy.float32(shape[1] ** 0.5)
            up = numbers.standard_normal((shape[0], RANK), numpy.float32) / numpy.float32(RANK**0.5)
            tensors |= {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": up}
    directory.mkdir(parents=True)
    save_file(tensors, directory / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 8}
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory


def export_adapter(directory: Path, target: Path, model: Path) -> Path:
    """As the GGUF file that llama.cpp reads."""
    with opened(model) as checkpoint, ExitStack() as files:
        write_gguf_adapter(open_adapter(directory, checkpoint.decoder, files), target)
    return target


def broken_adapter(target: Path) -> Path:
    """One that fits TINY by all that can be seen from outside, and that no engine survives."""
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_string(gguf.Keys.Adapter.LORA_ALPHA, "eight")
    writer.add_tensor("blk.0.attn_q.weight.lora_a", numpy.ones((RANK, TINY.embedding_length), numpy.float32))
    writer.add_tensor("blk.0.attn_q.weight.lora_b", numpy.ones((TINY.heads * TINY.head_length, RANK), numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
