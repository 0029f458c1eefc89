"""The system prompt that a model was published with."""

from pathlib import Path

from patchwright.errors import ModelError

FILE = "SYSTEM_PROMPT.txt"
"""Beside the weights in Mistral's repositories."""
LONGEST_BYTES = 32_000
"""What is longer was not meant to be one, and would take too much of the window."""


def agents_prompt(weights: Path) -> str | None:
    """What is published beside a file or in a directory of weights; None when nothing is, or not for Devstral.

    Those of Mistral's other models are for a chat, with places for a name and a date. Raises ModelError.
    """
    path = (weights if weights.is_dir() else weights.parent) / FILE
    if not path.is_file():
        return None
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
    return text if "devstral" in text.lower() else None
