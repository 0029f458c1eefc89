"""The binary header of a GGUF file: metadata and the table of tensors.

Format: docs/gguf.md of ggml. The package `gguf` makes numpy views of every string of the vocabulary: for a model with
152k tokens its GGUFReader took 20 s and 520 MB, where this reader, which steps over long arrays, takes 0.1 s and 10 MB.
"""

import mmap
import struct
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from patchwright.errors import ModelError
from patchwright.models.ggml import TENSOR_TYPES, stored_bytes

Scalar = int | float
Value = Scalar | str | tuple[Scalar, ...]
T = TypeVar("T")


class Tensor(NamedTuple):
    """One row of the table. `dimensions`: the length of a row first; `offset` counts from the start of the data."""

    name: str
    type: str
    dimensions: tuple[int, ...]
    offset: int

    @property
    def values(self) -> int:
        return prod(self.dimensions)

    @property
    def size_bytes(self) -> int:
        return stored_bytes(self.type, self.values)


class GgufHeader(NamedTuple):
    """`metadata` leaves out arrays of strings and long arrays; their lengths are in `array_lengths`."""

    metadata: Mapping[str, Value]
    array_lengths: Mapping[str, int]
    tensors: tuple[Tensor, ...]
    data_start: int
    """Where the data section begins, in bytes."""


def read_header(path: Path) -> GgufHeader:
    """Raises ModelError when the file cannot be read, is not a GGUF of a known version, or is cut short."""
    return _read(path, _parse)


def read_strings(path: Path, key: str) -> list[bytes]:
    """An array of strings that the header leaves out, such as the vocabulary; empty when there is none.

    Raises ModelError as `read_header` does.
    """
    return _read(path, lambda data: _strings(data, key))


def _read(path: Path, parse: Callable[[mmap.mmap], T]) -> T:
    try:
        with path.open("rb") as file:
            _check_magic(file, path)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return parse(data)
    except OSError as error:
        raise ModelError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except _Cut:
        raise ModelError(
            f"{path}: the file is cut short or damaged", hint="remove it, and pull or copy it again"
        ) from None


class _Cut(Exception):
    """The header, or the data that it announces, reaches past the end of the file."""


_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_SCALARS = {kind: struct.Struct(f"<{code}") for kind, code in _CODES.items()}
_U32, _STRING, _ARRAY, _U64 = 4, 8, 9, 10
_SHORT_ARRAY = 1024
"""Shorter arrays say something about each layer; longer ones are parts of the vocabulary."""
_DEFAULT_ALIGNMENT = 32


def _check_magic(file: BinaryIO, path: Path) -> None:
    head = file.read(8)
    if head[:4] != _MAGIC:
        raise ModelError(f"{path}: not a GGUF file", hint="the embedded engine runs GGUF files only")
    if len(head) < 8:
        raise _Cut
    version = int.from_bytes(head[4:], "little")
    if version not in _VERSIONS:
        known = " and ".join(map(str, _VERSIONS))
        raise ModelError(f"{path}: GGUF version {version} is not supported, only {known} in little-endian order")


def _parse(data: mmap.mmap) -> GgufHeader:
    cursor = _Cursor(data, position=8)
    tensor_count, metadata_count = cursor.scalar(_U64), cursor.scalar(_U64)
    metadata: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    for _ in range(int(metadata_count)):
        key, kind = cursor.string(), cursor.scalar(_U32)
        if kind != _ARRAY:
            metadata[key] = cursor.string() if kind == _STRING else cursor.scalar(kind)
            continue
        lengths[key], values = cursor.array()
        if values:
            metadata[key] = values
    tensors = tuple(cursor.tensor() for _ in range(int(tensor_count)))
    start = _data_start(cursor.position, metadata)
    if any(start + tensor.offset + tensor.size_bytes > len(data) for tensor in tensors):
        raise _Cut
    return GgufHeader(metadata, lengths, tensors, start)


def _strings(data: mmap.mmap, wanted: str) -> list[bytes]:
    cursor = _Cursor(data, position=16)
    for _ in range(int(cursor.scalar(_U64))):
        key, kind = cursor.string(), cursor.scalar(_U32)
        if kind == _ARRAY and key == wanted:
            return cursor.strings()
        if kind == _ARRAY:
            cursor.array()
        elif kind == _STRING:
            cursor.string()
        else:
            cursor.scalar(kind)
    return []


def _data_start(header_end: int, metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise _Cut
    return -(-header_end // alignment) * alignment


class _Cursor:
    """A position in the header that moves on with each value read. Raises _Cut at the end of the file."""

    def __init__(self, data: mmap.mmap, position: int) -> None:
        self._data = data
        self.position = position

    def scalar(self, kind: Scalar) -> Scalar:
        codec = _SCALARS.get(int(kind))
        if codec is None or self.position + codec.size > len(self._data):
            raise _Cut
        (value,) = codec.unpack_from(self._data, self.position)
        self.position += codec.size
        return value

    def string(self) -> str:
        return self._bytes().decode("utf-8", errors="replace")

    def strings(self) -> list[bytes]:
        """All of an array of strings."""
        kind, length = int(self.scalar(_U32)), int(self.scalar(_U64))
        if kind != _STRING:
            raise _Cut
        return [self._bytes() for _ in range(length)]

    def array(self) -> tuple[int, tuple[Scalar, ...]]:
        """Its length, and its values if they are few numbers."""
        kind, length = int(self.scalar(_U32)), int(self.scalar(_U64))
        if kind == _STRING:
            self._skip_strings(length)
        elif kind in _SCALARS and length > _SHORT_ARRAY:
            self._skip(length * _SCALARS[kind].size)
        else:
            return length, tuple(self.scalar(kind) for _ in range(length))
        return length, ()

    def tensor(self) -> Tensor:
        name = self.string()
        dimensions = tuple(int(self.scalar(_U64)) for _ in range(int(self.scalar(_U32))))
        kind = TENSOR_TYPES.get(int(self.scalar(_U32)))
        if kind is None:
            raise _Cut
        return Tensor(name, kind.name, dimensions, int(self.scalar(_U64)))

    def _bytes(self) -> bytes:
        length = int(self.scalar(_U64))
        start = self.position
        self._skip(length)
        return self._data[start : self.position]

    def _skip(self, length: int) -> None:
        if length > len(self._data) - self.position:
            raise _Cut
        self.position += length

    def _skip_strings(self, count: int) -> None:
        # The one hot loop: two vocabularies of 150k strings each, so it goes without calls to the methods above.
        data, position, read_length = self._data, self.position, _SCALARS[_U64].unpack_from
        try:
            for _ in range(count):
                position += 8 + read_length(data, position)[0]
        except (struct.error, OverflowError):
            raise _Cut from None
        self.position = position
        self._skip(0)
