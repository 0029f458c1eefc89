"""The tokenizer that a GGUF file was made with, as the file that mistral-common reads."""

import os
from pathlib import Path

from patchwright.errors import ModelError
from patchwright.models.gguf_header import read_header, read_strings

_PRE = "tokenizer.ggml.pre"
_TOKENS = "tokenizer.ggml.tokens"
_TEKKEN = "tekken"


def tekken_file(model: Path, directory: Path) -> Path | None:
    """Devstral's tekken.json, written into `directory` if it is not there; None for a model with another vocabulary.

    Raises ModelError when the model cannot be read, and for Devstral when mistral-common is not installed.
    """
    if read_header(model).metadata.get(_PRE) != _TEKKEN:
        return None
    try:
        from patchwright.models.checkpoint.tekken import DEVSTRAL_SHA256, tekken_of
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{error.name} is not installed, and Devstral's conversations are written with it",
            hint="`pip install patchwright[mistral]`",
        ) from None
    tekken = tekken_of(read_strings(model, _TOKENS))
    if tekken is None:
        return None
    path = directory / f"tekken-{DEVSTRAL_SHA256[:16]}.json"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_bytes(tekken.data)
        draft.replace(path)
    return path
