"""Which tokenizer a GGUF file was made with, and Devstral's as the file that mistral-common reads."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from patchwright.errors import ModelError
from patchwright.models.gguf_header import read_header, read_strings

DEVSTRAL_TOKENS_SHA256 = "3c1520ded7eab04e87ec42a6466721c029b7787fcc71b9c17cee3ea613941567"
"""Of the vocabulary in a GGUF file of Devstral Small 1.1: each token as llama.cpp writes it, and a zero byte."""

TEKKEN_PRE = "tekken"
"""How llama.cpp calls the way in which Mistral's tokenizer splits text into words."""
VERSION_KEY = "patchwright.tokenizer.version"
"""The metadata key of ours for the version of the tekken.json that a GGUF file was made with."""

_PRE = "tokenizer.ggml.pre"
_TOKENS = "tokenizer.ggml.tokens"
_VERSION = "v13"


def has_tekken(model: Path) -> bool:
    """Whether the model's text is split as Mistral's tokenizer does. Raises ModelError when it cannot be read."""
    return read_header(model).metadata.get(_PRE) == TEKKEN_PRE


def has_devstrals_tokens(model: Path) -> bool:
    """Whether the model reads Devstral's tokens, by number and in Devstral's order.

    A GGUF file does not say in which order its tokens stand for a conversation, and others have the same vocabulary: it
    must be called Devstral, or have been written here. Raises ModelError when it cannot be read.
    """
    metadata = read_header(model).metadata
    called = "devstral" in str(metadata.get("general.name", "")).lower()
    if metadata.get(_PRE) != TEKKEN_PRE or metadata.get(VERSION_KEY, _VERSION if called else None) != _VERSION:
        return False
    digest = hashlib.sha256()
    for token in read_strings(model, _TOKENS):
        digest.update(token + b"\0")
    return digest.hexdigest() == DEVSTRAL_TOKENS_SHA256


def devstrals_tekken_file(directory: Path) -> Path:
    """Devstral's tekken.json, written into `directory` if it is not there whole. Needs mistral-common.

    Raises ModelError when it cannot be written.
    """
    from patchwright.models.checkpoint.tekken import DEVSTRAL_SHA256, devstral_tekken

    path = directory / "devstral-small-2507.tekken.json"
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == DEVSTRAL_SHA256:
        return path
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(devstral_tekken().data)
        draft.replace(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from None
    finally:
        with suppress(OSError):
            draft.unlink()
    return path
