"""Which tokenizer a GGUF file was made with, and Devstral's as the file that mistral-common reads."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from patchwright.errors import ModelError
from patchwright.models.gguf_header import read_header, read_strings

DEVSTRAL_TOKENS_SHA256 = "3c1520ded7eab04e87ec42a6466721c029b7787fcc71b9c17cee3ea613941567"
"""Of the vocabulary in a GGUF file of Devstral Small 1.1: each token as llama.cpp writes it, and a zero byte."""

_PRE = "tokenizer.ggml.pre"
_TOKENS = "tokenizer.ggml.tokens"
_TEKKEN = "tekken"


def has_devstrals_tokens(model: Path) -> bool:
    """Whether the model reads Devstral's tokens, by number. Raises ModelError when it cannot be read."""
    if read_header(model).metadata.get(_PRE) != _TEKKEN:
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
