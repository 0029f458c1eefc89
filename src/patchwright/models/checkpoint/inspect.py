"""What lies in a file or a directory of weights, and what looks wrong with it: read from headers, so at once."""

from collections import Counter
from pathlib import Path

from patchwright.models.checkpoint.checkpoint import Checkpoint, Format
from patchwright.models.checkpoint.convert import opened
from patchwright.models.checkpoint.gguf_format import OtherModel
from patchwright.models.gguf_file import GgufInfo, read_gguf
from patchwright.schema.record import Record


class Inspection(Record):
    """A checkpoint as `patchwright model inspect` shows it."""

    path: Path
    format: str
    architecture: str
    parameters: int
    layers: int
    embedding_length: int
    heads: int
    kv_heads: int
    head_length: int
    feed_forward_length: int
    vocabulary: int
    context_tokens: int
    tokenizer: str
    quantisation: str
    """Of a GGUF file by its own word; of a directory the types of its numbers."""
    chat_template: bool
    system_prompt: bool
    """Whether the publisher's own is there."""
    tensor_bytes: dict[str, int]
    """Bytes of tensor data by number type."""
    problems: tuple[str, ...]


def inspected(path: Path, form: Format | None = None) -> Inspection:
    """Raises ModelError when nothing can be read of it at all."""
    try:
        with opened(path, form) as checkpoint:
            return _inspection(checkpoint)
    except OtherModel:
        return _other(read_gguf(path), path)


def _other(info: GgufInfo, path: Path) -> Inspection:
    """A GGUF file of another architecture, by what its header says."""
    return Inspection(
        path=path,
        format="gguf",
        architecture=info.architecture,
        parameters=info.parameters,
        layers=info.layers,
        embedding_length=info.embedding_length,
        heads=info.heads,
        kv_heads=info.kv_heads,
        head_length=info.key_length,
        feed_forward_length=info.feed_forward_length,
        vocabulary=info.vocabulary,
        context_tokens=info.context_tokens,
        tokenizer=f"{info.vocabulary} tokens",
        quantisation=info.quantisation,
        chat_template=info.has_chat_template,
        system_prompt=False,
        tensor_bytes=info.tensor_bytes,
        problems=() if info.has_chat_template else ("it has no chat template: chat models bring one",),
    )


def _inspection(checkpoint: Checkpoint) -> Inspection:
    decoder = checkpoint.decoder
    sizes: Counter[str] = Counter()
    for tensor in checkpoint.tensors.values():
        sizes[tensor.type] += tensor.size_bytes
    return Inspection(
        path=checkpoint.path,
        format=checkpoint.format,
        architecture="decoder of Mistral Small 3",
        parameters=decoder.parameters,
        layers=decoder.layers,
        embedding_length=decoder.embedding_length,
        heads=decoder.heads,
        kv_heads=decoder.kv_heads,
        head_length=decoder.head_length,
        feed_forward_length=decoder.feed_forward_length,
        vocabulary=decoder.vocabulary,
        context_tokens=decoder.context_tokens,
        tokenizer=_tokenizer(checkpoint),
        quantisation=_quantisation(checkpoint),
        chat_template=checkpoint.chat_template is not None,
        system_prompt=checkpoint.system_prompt is not None,
        tensor_bytes=dict(sizes.most_common()),
        problems=tuple(_problems(checkpoint)),
    )


def _quantisation(checkpoint: Checkpoint) -> str:
    if checkpoint.format == "gguf":
        return read_gguf(checkpoint.path).quantisation
    return " and ".join(sorted({tensor.type for tensor in checkpoint.tensors.values()}))


def _tokenizer(checkpoint: Checkpoint) -> str:
    tekken = checkpoint.tekken
    if tekken is None:
        return checkpoint.own_tokenizer or "none"
    whose = ", Devstral Small 1.1's" if tekken.is_devstral else ""
    return f"Tekken {tekken.version}, {tekken.vocabulary} tokens{whose}"


def _problems(checkpoint: Checkpoint) -> list[str]:
    problems = checkpoint.problems()
    if checkpoint.format == "gguf" and checkpoint.chat_template is None:
        problems.append("it has no chat template: engines will make one up")
    return problems
