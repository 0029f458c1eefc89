"""GGUF: one file, with the vocabulary in llama.cpp's terms and the weights in any of its number types.

Source: `MODEL_ARCH.LLAMA` in the package `gguf`, and how convert_hf_to_gguf.py of llama.cpp uses it for Mistral's
format. llama.cpp rotates neighbouring rows, as Mistral does.
"""

import os
from contextlib import ExitStack
from dataclasses import replace
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np
from mistral_common.exceptions import MistralCommonException

from patchwright.errors import ModelError
from patchwright.models.checkpoint.checkpoint import Checkpoint
from patchwright.models.checkpoint.decoder import Decoder, decoder_of
from patchwright.models.checkpoint.names import gguf_name
from patchwright.models.checkpoint.safetensors_files import write_blocks
from patchwright.models.checkpoint.tekken import FILE as TEKKEN
from patchwright.models.checkpoint.tekken import Tekken, devstral_tekken
from patchwright.models.checkpoint.tensors import FLOATS, Rows, Tensor
from patchwright.models.ggml import FILE_TYPES, stored_bytes
from patchwright.models.gguf_file import read_gguf
from patchwright.models.gguf_header import GgufHeader, read_header
from patchwright.models.gguf_header import Tensor as Entry
from patchwright.models.recipe import number_type
from patchwright.models.system_prompt import KEY as SYSTEM_PROMPT_KEY
from patchwright.models.system_prompt import agents_prompt
from patchwright.models.tokenizer import TEKKEN_PRE, VERSION_KEY, has_devstrals_tokens

_QUANTISED = frozenset(kind.name for kind in gguf.quants._type_traits)  # pyright: ignore[reportPrivateUsage]
_ARCHITECTURE = "llama"
_OF_OTHERS = ("rope.scaling.type", "expert_count", "rope.dimension_count")


class OtherModel(ModelError):
    """A GGUF file that is whole, of a model of another kind."""


def open_gguf(path: Path, files: ExitStack) -> Checkpoint:
    """Raises ModelError."""
    header = read_header(path)
    decoder = _decoder(path, header)
    descriptor = os.open(path, os.O_RDONLY)
    files.callback(os.close, descriptor)
    ours = {gguf_name(name): name for name in decoder.shapes()}
    found = {
        ours[entry.name]: _tensor(entry, ours[entry.name], header.data_start, descriptor, path)
        for entry in header.tensors
        if entry.name in ours
    }
    tekken = devstral_tekken() if has_devstrals_tokens(path) else None
    template, prompt = (header.metadata.get(key) for key in ("tokenizer.chat_template", SYSTEM_PROMPT_KEY))
    return Checkpoint(
        format="gguf",
        path=path,
        decoder=decoder,
        tensors=found,
        others=[entry.name for entry in header.tensors if entry.name not in ours],
        tekken=tekken,
        own_tokenizer=None if tekken else _own_tokenizer(header),
        system_prompt=agents_prompt(path) or (prompt if isinstance(prompt, str) else None),
        chat_template=template if isinstance(template, str) else None,
    )


def _own_tokenizer(header: GgufHeader) -> str | None:
    count = header.array_lengths.get("tokenizer.ggml.tokens")
    if count is None:
        return None
    if (version := header.metadata.get(VERSION_KEY)) is not None:
        return f"Tekken {version}, {count} tokens"
    return f"{count} tokens, text split as by {header.metadata.get('tokenizer.ggml.pre', 'the default')}"


def write_gguf(checkpoint: Checkpoint, path: Path, quantisation: str, *, name: str, chat_template: str | None) -> None:
    """Raises ModelError and OSError. `quantisation`: a name in `models.recipe.RECIPES`."""
    assert checkpoint.tekken
    writer = gguf.GGUFWriter(path, _ARCHITECTURE)
    try:
        writer.add_name(name)
        writer.add_type("model")
        writer.add_file_type(next(number for number, kind in FILE_TYPES.items() if kind == quantisation.upper()))
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _add_decoder(writer, checkpoint.decoder)
        _add_vocabulary(writer, checkpoint.tekken)
        if chat_template is not None:
            writer.add_chat_template(chat_template)
        if checkpoint.system_prompt is not None:
            writer.add_string(SYSTEM_PROMPT_KEY, checkpoint.system_prompt)
        write_tensors(writer, [in_gguf(tensor, checkpoint.decoder, quantisation) for tensor in checkpoint.in_order()])
    finally:
        writer.close()


def write_tensors(writer: gguf.GGUFWriter, tensors: list[Tensor]) -> None:
    """Ends the file: its header, its metadata, the table of tensors and their data. Raises OSError."""
    for tensor in tensors:
        kind = gguf.GGMLQuantizationType[tensor.type]
        shape = gguf.quant_shape_to_byte_shape(tensor.shape, kind)
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.uint8), tensor.size_bytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    assert writer.fout
    (file,) = writer.fout
    for tensor in tensors:
        writer.write_padding(file, file.tell())
        write_blocks(file, tensor)
    writer.write_padding(file, file.tell())


def _decoder(path: Path, header: GgufHeader) -> Decoder:
    info = read_gguf(path)
    if info.architecture != _ARCHITECTURE or info.tied_embeddings or info.key_length != info.value_length:
        raise OtherModel(f"{path}: a model of the architecture {info.architecture} is not a decoder of Mistral Small 3")
    theta = header.metadata.get(f"{_ARCHITECTURE}.rope.freq_base")
    epsilon = header.metadata.get(f"{_ARCHITECTURE}.attention.layer_norm_rms_epsilon")
    if not isinstance(theta, float) or not isinstance(epsilon, float):
        raise OtherModel(f"{path}: it does not say how positions are rotated, or how norms are taken")
    _check_kind(path, header, info.key_length)
    return decoder_of(
        layers=info.layers,
        embedding_length=info.embedding_length,
        feed_forward_length=info.feed_forward_length,
        heads=info.heads,
        kv_heads=info.kv_heads,
        head_length=info.key_length,
        vocabulary=info.vocabulary,
        context_tokens=info.context_tokens,
        rope_theta=_as_written(theta),
        norm_eps=_as_written(epsilon),
    )


def _check_kind(path: Path, header: GgufHeader, head_length: int) -> None:
    found = {name: header.metadata.get(f"{_ARCHITECTURE}.{name}") for name in _OF_OTHERS}
    scaling, experts, rotated = (found[name] for name in _OF_OTHERS)
    if scaling not in (None, "none") or experts or rotated not in (None, head_length):
        kind = ", ".join(f"{name} {value}" for name, value in found.items() if value is not None)
        raise OtherModel(f"{path}: a model with {kind} is not a decoder of Mistral Small 3")


def _as_written(number: float) -> float:
    """The shortest decimal that is this 32-bit float: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(number)))


def _row_bytes(entry: Entry, shape: tuple[int, ...], path: Path) -> int:
    """Of a matrix' row, or of a norm's one number."""
    row_bytes = stored_bytes(entry.type, prod(shape[1:]))
    known = entry.type in FLOATS or (entry.type in _QUANTISED and len(shape) == 2)
    if len(shape) not in (1, 2) or not known or row_bytes * shape[0] != entry.size_bytes:
        raise ModelError(f"{path}: {entry.name} holds {entry.type} in a shape that is not known here")
    return row_bytes


def _tensor(entry: Entry, name: str, data_start: int, descriptor: int, path: Path) -> Tensor:
    shape = entry.dimensions[::-1]
    row_bytes = _row_bytes(entry, shape, path)

    def read(start: int, stop: int) -> Rows:
        data = os.pread(descriptor, (stop - start) * row_bytes, data_start + entry.offset + start * row_bytes)
        numbers = np.frombuffer(data, FLOATS.get(entry.type, np.uint8))
        return numbers.reshape(stop - start, -1) if len(shape) > 1 else numbers

    return Tensor(name, shape, entry.type, read)


def _add_decoder(writer: gguf.GGUFWriter, decoder: Decoder) -> None:
    writer.add_context_length(decoder.context_tokens)
    writer.add_embedding_length(decoder.embedding_length)
    writer.add_block_count(decoder.layers)
    writer.add_feed_forward_length(decoder.feed_forward_length)
    writer.add_head_count(decoder.heads)
    writer.add_head_count_kv(decoder.kv_heads)
    writer.add_key_length(decoder.head_length)
    writer.add_value_length(decoder.head_length)
    writer.add_layer_norm_rms_eps(decoder.norm_eps)
    writer.add_rope_dimension_count(decoder.head_length)
    writer.add_rope_freq_base(decoder.rope_theta)
    writer.add_vocab_size(decoder.vocabulary)


def _add_vocabulary(writer: gguf.GGUFWriter, tekken: Tekken) -> None:
    try:
        with TemporaryDirectory(prefix="patchwright-") as directory:
            Path(directory, TEKKEN).write_bytes(tekken.data)
            vocabulary: Any = gguf.MistralVocab(Path(directory))
        merges = vocabulary.extract_vocab_merges_from_model()
        tokens, _, kinds = zip(*vocabulary.all_tokens(), strict=True)
    except (ValueError, AssertionError, KeyError, MistralCommonException) as error:
        raise ModelError(f"mistral-common cannot read this tekken.json: {error}") from None
    writer.add_tokenizer_model(vocabulary.gguf_tokenizer_model)
    writer.add_tokenizer_pre(TEKKEN_PRE)
    writer.add_string(VERSION_KEY, tekken.version)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(vocabulary.bos_id)
    writer.add_eos_token_id(vocabulary.eos_id)
    writer.add_unk_token_id(vocabulary.unk_id)
    writer.add_pad_token_id(vocabulary.pad_id)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def in_gguf(tensor: Tensor, decoder: Decoder, quantisation: str) -> Tensor:
    """As it stands in a file of that quantisation. llama.cpp computes norms in 32 bits."""
    is_matrix = len(tensor.shape) > 1
    kind = number_type(quantisation, tensor.name, tensor.columns, decoder.layers) if is_matrix else "F32"
    return replace(tensor.to(kind), name=gguf_name(tensor.name))
