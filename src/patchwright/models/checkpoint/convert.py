"""Conversion: a checkpoint of one format as one of another, block by block, and nothing half-written left behind."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from patchwright.errors import ModelError
from patchwright.models.checkpoint.checkpoint import Checkpoint, Format
from patchwright.models.checkpoint.draft import appearing
from patchwright.models.checkpoint.gguf_format import in_gguf, open_gguf, write_gguf
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
    with appearing(target, _size_bytes(checkpoint, form, number_type)) as draft:
        if form == "gguf":
            write_gguf(checkpoint, draft, number_type, name=target.stem, chat_template=chat_template)
            return
        draft.mkdir()
        write = write_mistral if form == "mistral" else write_hugging_face
        write(checkpoint, draft, number_type.upper())


def _size_bytes(checkpoint: Checkpoint, form: Format, number_type: str) -> int:
    """Of the weights once they are written; what stands beside them is small."""
    if form == "gguf":
        written = [in_gguf(tensor, checkpoint.decoder, number_type) for tensor in checkpoint.in_order()]
    else:
        written = [tensor.to(number_type.upper()) for tensor in checkpoint.in_order()]
    return sum(tensor.size_bytes for tensor in written)


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
