"""Quantised numbers: made by llama.cpp's own quantiser, read by the package `gguf`.

xllamacpp has no Python function for it; its library exports ggml's, `ggml_quantize_chunk` in ggml.h.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, quant_shape_to_byte_shape
from gguf.quants import dequantize

from patchwright.errors import ModelError

Floats = npt.NDArray[np.float32]


def quantised(numbers: Floats, number_type: str) -> npt.NDArray[np.uint8]:
    """Each row [columns] as the bytes of its blocks. Raises ModelError when a row is not whole blocks."""
    if not np.isfinite(numbers).all():
        raise ModelError(f"a number is infinite or none: {number_type} has no way to say so")
    rows, columns = numbers.shape
    kind = GGMLQuantizationType[number_type]
    result = np.empty(_byte_shape(numbers.shape, kind), np.uint8)
    numbers = np.ascontiguousarray(numbers)
    written = _ggml().ggml_quantize_chunk(
        ctypes.c_int(kind.value),
        numbers.ctypes.data_as(ctypes.c_void_p),
        result.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_int64(0),
        ctypes.c_int64(rows),
        ctypes.c_int64(columns),
        None,
    )
    if written != result.nbytes:
        raise ModelError(f"llama.cpp wrote {written} bytes of {number_type} where {result.nbytes} were due")
    return result


def dequantised(rows: npt.NDArray[np.uint8], number_type: str) -> Floats:
    """The numbers that rows of blocks stand for, [rows, columns]."""
    return dequantize(rows, GGMLQuantizationType[number_type])


def _byte_shape(shape: tuple[int, ...], kind: GGMLQuantizationType) -> tuple[int, ...]:
    try:
        return quant_shape_to_byte_shape(shape, kind)
    except ValueError:
        raise ModelError(f"rows of {shape[-1]} numbers are not whole blocks of {kind.name}") from None


@cache
def _ggml() -> Any:
    import xllamacpp

    found = next(Path(xllamacpp.__file__).parent.glob("*.so"), None)
    library = ctypes.CDLL(str(found)) if found else None
    if library is None or not hasattr(library, "ggml_quantize_chunk"):
        raise ModelError("this build of llama.cpp has no quantiser", hint="convert to bf16, f16 or f32")
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    return library
