"""Tensors that stay on disk: read a block of rows at a time, and turned from one number type into another.

Numbers are numpy's float32 and float16, and `ml_dtypes`' bfloat16; rows of a quantised type are bytes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from patchwright.errors import ModelError
from patchwright.models.checkpoint.quantise import dequantised, quantised
from patchwright.models.ggml import stored_bytes

Rows = npt.NDArray[Any]

FLOATS: dict[str, npt.DTypeLike] = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
BLOCK_BYTES = 8_000_000
"""Of a tensor, what is in memory at a time."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a checkpoint: (outputs, inputs) of a matrix, (length,) of a norm."""

    name: str
    shape: tuple[int, ...]
    type: str
    """ggml's name of its number type."""
    read: Callable[[int, int], Rows]
    """Rows from the first number to before the second: [rows, columns], or [rows, bytes]; [rows] of a norm."""
    together: int = 1
    """So many rows have to be read together."""

    @property
    def columns(self) -> int:
        return prod(self.shape[1:])

    @property
    def size_bytes(self) -> int:
        return stored_bytes(self.type, prod(self.shape))

    def blocks(self) -> Iterator[Rows]:
        step = max(1, BLOCK_BYTES // stored_bytes("F32", self.columns) // self.together) * self.together
        for start in range(0, self.shape[0], step):
            yield self.read(start, min(start + step, self.shape[0]))

    def to(self, number_type: str) -> "Tensor":
        """The same tensor in another number type. Reading it raises ModelError when a number does not fit."""
        if number_type == self.type:
            return self

        def read(start: int, stop: int) -> Rows:
            return self._cast(self.read(start, stop), number_type)

        return replace(self, type=number_type, read=read)

    def split_halves(self, head_length: int) -> "Tensor":
        """Rows of each head as Hugging Face has them for its rotation: first the even ones, then the odd ones."""
        return self._per_head(head_length, (head_length // 2, 2))

    def interleaved(self, head_length: int) -> "Tensor":
        """The way back from `split_halves`."""
        return self._per_head(head_length, (2, head_length // 2))

    def _per_head(self, head_length: int, split: tuple[int, int]) -> "Tensor":
        def read(start: int, stop: int) -> Rows:
            rows = self.read(start, stop)
            return rows.reshape(-1, *split, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)

        return replace(self, read=read, together=head_length)

    def _cast(self, rows: Rows, number_type: str) -> Rows:
        numbers = rows.astype(np.float32) if self.type in FLOATS else dequantised(rows, self.type)
        if number_type not in FLOATS:
            return quantised(numbers, number_type)
        with np.errstate(over="ignore"):
            cast = numbers.astype(FLOATS[number_type])
        if (np.isfinite(numbers) & ~np.isfinite(cast)).any():
            hint = "take bf16 or f32" if number_type == "F16" else "take f32"
            raise ModelError(f"{self.name}: a number is too large for {number_type.lower()}", hint=hint)
        return cast
