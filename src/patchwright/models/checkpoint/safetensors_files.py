"""Safetensors: read through the library, slice by slice, and written block by block.

The library writes what it is given whole; of 47 GB that would be all of them. The format: 8 bytes with the header's
length, the header as JSON, the data (github.com/huggingface/safetensors).
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError, safe_open

from patchwright.errors import ModelError
from patchwright.models.checkpoint.tensors import FLOATS, Rows, Tensor
from patchwright.models.pickles import missing

_open: Any = safe_open  # its stub leaves types out
_ALIGNMENT = 8


def open_safetensors(paths: Iterable[Path], files: ExitStack) -> dict[str, Tensor]:
    """The tensors of all files by their names there; the files are open as long as `files` is.

    Raises ModelError when one cannot be read, is cut short, or holds numbers of another kind than floats.
    """
    tensors: dict[str, Tensor] = {}
    for path in paths:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ModelError(f"{path} is no file")
        try:
            file = files.enter_context(_open(path, "np"))
        except FileNotFoundError:
            raise missing(path) from None
        except (SafetensorError, OSError, RecursionError) as error:
            raise ModelError(f"{path}: not a whole safetensors file: {error}", hint="fetch it again") from None
        names: list[str] = file.keys()
        tensors |= {name: _tensor(file, name, path) for name in names}
    return tensors


def write_safetensors(path: Path, tensors: Sequence[Tensor]) -> None:
    """Float tensors, each read once. Raises OSError."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        start, end = end, end + tensor.size_bytes
        header[tensor.name] = {"dtype": tensor.type, "shape": tensor.shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            write_blocks(file, tensor)


def write_blocks(file: IO[bytes], tensor: Tensor) -> None:
    """Raises ModelError when the tensor has more or fewer bytes than it says, and OSError."""
    written = sum(file.write(block.tobytes()) for block in tensor.blocks())
    if written != tensor.size_bytes:
        raise ModelError(f"{tensor.name} has {written} bytes where {tensor.size_bytes} are due")


def _tensor(file: Any, name: str, path: Path) -> Tensor:
    part = file.get_slice(name)
    kind = part.get_dtype()
    if kind not in FLOATS:
        raise ModelError(f"{path}: {name} holds {kind}", hint=f"known are {', '.join(FLOATS)}")
    shape = tuple(part.get_shape())
    if not prod(shape):
        raise ModelError(f"{path}: {name} is empty")

    def read(start: int, stop: int) -> Rows:
        return part[start:stop]

    return Tensor(name, shape, kind, read)
