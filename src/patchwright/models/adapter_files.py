"""The files of a LoRA adapter: the two that PEFT saves, or the one that llama.cpp reads.

Source: llama-adapter.cpp of llama.cpp, which says less, and only once the model is loaded.
"""

from pathlib import Path

from patchwright.errors import ModelError
from patchwright.models.gguf_header import GgufHeader, Tensor, read_header

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
GGUF = ".gguf"
DOWN, UP = ".lora_a", ".lora_b"
"""What the names of the two halves end with in a GGUF file."""

_UNFIT = frozenset({"I8", "I16", "I32", "I64", "F64"})
"""Number types that llama.cpp multiplies nothing by: it would end with the first request."""
_ACTIVATED = "adapter.alora.invocation_tokens"
_EMBEDDING = "token_embd.weight"


def files_of(path: Path) -> tuple[Path, ...]:
    """What is read of an adapter: the file, or the two of a directory."""
    return (path / CONFIG, path / WEIGHTS) if path.is_dir() else (path,)


def is_adapter(path: Path) -> bool:
    """Whether it looks like one: its name ends in .gguf, or it is a directory with PEFT's files."""
    return all(file.is_file() for file in files_of(path)) if path.is_dir() else path.suffix == GGUF


def check_gguf_adapter(path: Path, model: Path) -> None:
    """Reads the headers alone. Raises ModelError when it is no LoRA adapter for this model, or one that is activated
    in the middle of a conversation, which llama.cpp's cache does not tell from the rest."""
    header, base = read_header(path), read_header(model)
    kind = (header.metadata.get("general.type"), header.metadata.get("adapter.type"))
    if kind != ("adapter", "lora"):
        raise ModelError(f"{path}: not a LoRA adapter", hint="`patchwright model export-adapter` writes one")
    if _ACTIVATED in header.metadata or _ACTIVATED in header.array_lengths:
        raise ModelError(f"{path}: adapters that are activated by tokens (aLoRA) are not known here")
    architecture = base.metadata.get("general.architecture")
    if header.metadata.get("general.architecture") != architecture:
        raise ModelError(f"{path}: an adapter for a model of another architecture than {architecture}")
    _check_tensors(path, header, base)


def _check_tensors(path: Path, header: GgufHeader, base: GgufHeader) -> None:
    matrices = {tensor.name: tensor for tensor in base.tensors}
    found = {tensor.name: tensor for tensor in header.tensors}
    stems = {name.removesuffix(DOWN).removesuffix(UP) for name in found}
    for stem in sorted(stems):
        down, up, matrix = found.get(stem + DOWN), found.get(stem + UP), matrices.get(stem)
        if down is None or up is None or matrix is None:
            raise ModelError(f"{path}: {stem} is no matrix of this model, or only half of it is there")
        if not _fits(down, up, matrix):
            raise ModelError(f"{path}: it is for a model of another size: {stem} does not fit")
    if not stems:
        raise ModelError(f"{path}: it changes nothing: there is no matrix in it")


def _fits(down: Tensor, up: Tensor, matrix: Tensor) -> bool:
    """Lengths of rows come first: [inputs, rank], [rank, outputs], [inputs, outputs], with as many experts in each."""
    if {down.type, up.type} & _UNFIT or not len(down.dimensions) == len(up.dimensions) == len(matrix.dimensions) >= 2:
        return False
    inputs, rank, *experts = down.dimensions
    same_rank, outputs, *same_experts = up.dimensions
    if matrix.name == _EMBEDDING:  # its rows are looked up, not multiplied by
        inputs, outputs = outputs, inputs
    return (rank, experts) == (same_rank, same_experts) and matrix.dimensions == (inputs, outputs, *experts)
