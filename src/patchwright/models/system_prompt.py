"""The system prompt that a model was published with."""

from pathlib import Path

from patchwright.errors import ModelError
from patchwright.models.gguf_header import read_header

FILE = "SYSTEM_PROMPT.txt"
"""Beside the weights in Mistral's repositories."""
KEY = "patchwright.system_prompt"
"""The metadata key of ours for the same in a GGUF file."""
LONGEST_BYTES = 32_000
"""What is longer was not meant to be one, and would take too much of the window."""


def agents_prompt(weights: Path) -> str | None:
    """What is published in a directory of weights, beside a file of them, or else in it; None when nothing is, or not
    for Devstral.

    Those of Mistral's other models are for a chat, with places for a name and a date. Raises ModelError.
    """
    beside = (weights if weights.is_dir() else weights.parent) / FILE
    text = _written(beside) if beside.is_file() else None if weights.is_dir() else _stored(weights)
    is_page = text is not None and text.lstrip().startswith("<")  # of somebody who stands between us and the publisher
    return text if text and not is_page and "devstral" in text.lower() else None


def _written(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path} is not in UTF-8", hint="delete it to work without it") from None
    if len(data) > LONGEST_BYTES:
        raise ModelError(f"{path} is longer than any system prompt", hint="delete it to work without it")
    return text


def _stored(weights: Path) -> str | None:
    text = read_header(weights).metadata.get(KEY)
    return text if isinstance(text, str) and len(text.encode()) <= LONGEST_BYTES else None
