"""LoRA adapters of the embedded engine: named by the user, checked, and as the GGUF files that llama.cpp reads."""

import hashlib
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from patchwright.engines.stamp import stamp
from patchwright.errors import EngineError, ModelError
from patchwright.models.adapter_files import CONFIG, GGUF, WEIGHTS, check_gguf_adapter, files_of, is_adapter
from patchwright.schema.record import Record

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"

_NO_PICKLES = "pickles are programs, and never read; save the adapter as safetensors"


class NamedAdapter(Record):
    """An adapter under the name that a request chooses it by. Written NAME=PATH, or PATH: then the file names it."""

    name: str = Field(pattern=NAME)
    path: Path
    """A GGUF file, or a directory as PEFT saves it."""

    @model_validator(mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, equals, path = value.partition("=")
        if equals:
            return {"name": name, "path": path}
        file = Path(value)
        return {"name": file.stem if file.suffix == GGUF else file.name, "path": value}


def gguf_of(adapter: NamedAdapter, model: Path, cache: Path) -> NamedAdapter:
    """The adapter as a GGUF file that fits the model. A directory is converted once, into `cache`.

    Reads whole weights only then. Raises EngineError when it is none, or for another model.
    """
    path = adapter.path.absolute()
    try:
        if not path.exists():
            raise ModelError(f"{path}: no such file or directory", hint=f"name a {GGUF} file, or what PEFT has saved")
        if not path.is_dir() and path.suffix != GGUF:
            raise ModelError(f"{path} is neither a {GGUF} file nor a directory as PEFT saves it", hint=_NO_PICKLES)
        found = _converted(path, model, cache) if path.is_dir() else path
        check_gguf_adapter(found, model)
    except ModelError as error:
        raise EngineError(f"the adapter {adapter.name}: {error}", hint=error.hint) from None
    return adapter.model_copy(update={"path": found})


def _converted(directory: Path, model: Path, cache: Path) -> Path:
    """Named by what it was made of. Raises EngineError and ModelError."""
    if not is_adapter(directory):
        raise ModelError(f"{directory} does not hold {CONFIG} and {WEIGHTS}", hint=_NO_PICKLES)
    made_of = [stamp(file) for file in (*files_of(directory), model)]
    digest = hashlib.sha256(repr((made_of, version("patchwright"))).encode()).hexdigest()
    target = cache / f"{directory.name}-{digest[:16]}{GGUF}"
    try:
        if not target.is_file():
            _convert(directory, model, target)
    except ModelError:
        if not target.is_file():  # else another engine that starts at the same time was quicker
            raise
    return target


def _convert(directory: Path, model: Path, target: Path) -> None:
    try:
        from patchwright.models.checkpoint.adapter import open_adapter, write_gguf_adapter
        from patchwright.models.checkpoint.convert import opened
        from patchwright.models.checkpoint.draft import appearing
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{error.name} is not installed, and adapters are converted with it",
            hint="`pip install 'patchwright[mistral]'`",
        ) from None
    with opened(model) as checkpoint, ExitStack() as files:
        adapter = open_adapter(directory, checkpoint.decoder, files)
        with appearing(target) as draft:
            write_gguf_adapter(adapter, draft)
