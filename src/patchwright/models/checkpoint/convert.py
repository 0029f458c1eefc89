"""Conversion: a checkpoint of one format as one of another, block by block, and nothing half-written left behind."""

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from patchwright.errors import ModelError
from patchwright.models.checkpoint.checkpoint import Checkpoint, Format
from patchwright.models.checkpoint.gguf_format import open_gguf, write_gguf
from patchwright.models.checkpoint.hugging_face import CONFIG, open_hugging_face, write_hugging_face
from patchwright.models.checkpoint.mistral import PARAMS, open_mistral, write_mistral
from patchwright.models.checkpoint.tensors import FLOATS, Rows, Tensor
from patchwright.models.progress import OnBytes
from patchwright.models.recipe import RECIPES

_OPEN: dict[Format, Callable[[Path, ExitStack], Checkpoint]] = {
    "mistral": open_mistral,
    "hf": open_hugging_face,
    "gguf": open_gguf,
}


@contextmanager
def opened(path: Path, source: Format | None = None) -> Generator[Checkpoint]:
    """The checkpoint that lies there; of a directory with both, Mistral's own format, unless `source` says otherwise.

    Raises ModelError.
    """
    with ExitStack() as files:
        try:
            checkpoint = _OPEN[source or _format_of(path)](path, files)
        except OSError as error:
            raise ModelError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
        yield checkpoint


def convert(
    checkpoint: Checkpoint,
    target: Path,
    form: Format,
    number_type: str,
    *,
    chat_template: str | None,
    on_bytes: OnBytes = lambda _: None,
) -> None:
    """Writes `target`, a directory or a .gguf file, which appears when it is whole.

    `number_type`: f32, f16 or bf16; for a GGUF file also a quantisation in `models.recipe.RECIPES`. `chat_template`
    goes into a GGUF file, where it is given. `on_bytes` hears how many bytes of weights have been read so far.

    Raises ModelError, also when `target` is there already or the disk is full.
    """
    checkpoint.check()
    checkpoint = _heard(checkpoint, on_bytes)
    kinds = [kind.lower() for kind in FLOATS] if form != "gguf" else list(RECIPES)
    if number_type not in kinds:
        raise ModelError(f"{form} has no {number_type} here", hint=f"there are {', '.join(kinds)}")
    with appearing(target) as draft:
        if form == "gguf":
            write_gguf(checkpoint, draft, number_type, name=target.stem, chat_template=chat_template)
            return
        draft.mkdir()
        write = write_mistral if form == "mistral" else write_hugging_face
        write(checkpoint, draft, number_type.upper())


@contextmanager
def appearing(target: Path) -> Generator[Path]:
    """A path beside `target`, which takes its name when all went well and is gone when not.

    Raises ModelError when there is something of that name, or when it cannot be written.
    """
    try:
        if os.path.lexists(target):
            raise _taken(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as directory:
            draft = Path(directory) / target.name
            yield draft
            _name(draft, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from None


def _name(draft: Path, target: Path) -> None:
    """Raises FileExistsError when another run was quicker."""
    if draft.is_dir():
        target.mkdir()
        draft.replace(target)
        return
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: what took an hour is not lost for that
        draft.replace(target)


def _taken(target: Path) -> ModelError:
    return ModelError(f"{target} is there already", hint="remove it, or name another place")


def _heard(checkpoint: Checkpoint, on_bytes: OnBytes) -> Checkpoint:
    read_bytes = 0

    def heard(tensor: Tensor) -> Tensor:
        def read(start: int, stop: int) -> Rows:
            nonlocal read_bytes
            rows = tensor.read(start, stop)
            read_bytes += rows.nbytes
            on_bytes(read_bytes)
            return rows

        return replace(tensor, read=read)

    return replace(checkpoint, tensors={name: heard(tensor) for name, tensor in checkpoint.tensors.items()})


def _format_of(path: Path) -> Format:
    if path.is_file():
        return "gguf"
    if (path / PARAMS).is_file():
        return "mistral"
    if (path / CONFIG).is_file():
        return "hf"
    raise ModelError(
        f"{path}: no checkpoint lies there",
        hint=f"name a .gguf file, or a directory with {PARAMS} (Mistral) or {CONFIG} (Hugging Face)",
    )
