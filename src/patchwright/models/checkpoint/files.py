"""The small files beside the weights: JSON, text, and the tokenizer."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from patchwright.errors import ModelError
from patchwright.models.checkpoint.checkpoint import Checkpoint
from patchwright.models.checkpoint.tekken import FILE as TEKKEN
from patchwright.models.checkpoint.tekken import Tekken
from patchwright.models.system_prompt import FILE as SYSTEM_PROMPT

M = TypeVar("M", bound=BaseModel)

CHAT_TEMPLATE = "chat_template.jinja"
_LARGEST_BYTES = 100_000_000
"""A tekken.json has 20 MB."""


def read_json(path: Path, model: type[M]) -> M:
    """Raises ModelError when the file is missing, or is not what `model` describes."""
    try:
        return model.model_validate_json(_bytes(path))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise ModelError(f"{path}: {where + ': ' if where else ''}{problem['msg'].lower()}") from None


def read_tekken(directory: Path) -> Tekken | None:
    """None when there is none. Raises ModelError when the file is something else."""
    path = directory / TEKKEN
    if not path.exists():
        return None
    data = _bytes(path)
    try:
        return Tekken(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}", hint=error.hint) from None


def read_text(path: Path) -> str | None:
    """None when there is none."""
    return _bytes(path).decode("utf-8", "replace") if path.exists() else None


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_beside(checkpoint: Checkpoint, directory: Path) -> None:
    """What lies beside the weights in Mistral's format as in Hugging Face's. The checkpoint is whole."""
    assert checkpoint.tekken
    (directory / TEKKEN).write_bytes(checkpoint.tekken.data)
    if checkpoint.chat_template is not None and checkpoint.format == "hf":
        (directory / CHAT_TEMPLATE).write_text(checkpoint.chat_template, encoding="utf-8", newline="")
    if checkpoint.system_prompt is not None:
        (directory / SYSTEM_PROMPT).write_text(checkpoint.system_prompt, encoding="utf-8", newline="")


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would be waited for
            raise ModelError(f"{path} is no file")
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if len(data) > _LARGEST_BYTES:
        raise ModelError(f"{path} is larger than any such file is")
    return data
