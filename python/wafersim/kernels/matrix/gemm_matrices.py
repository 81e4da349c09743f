"""Matrices of a distributed product: random inputs, their tiles, and the comparison with NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.base import is_placeholder
from wafersim.kernels.matrix.product import ELEMENT_BYTES

if TYPE_CHECKING:
    from wafersim.kernels.matrix.product import Shape

NUMPY_TYPES: dict[str, Any] = {"f16": np.float16, "f32": np.float32}


def random_values(rng: Any, size: tuple[int, ...], dtype: str) -> Any:
    """Standard normal numbers of a dtype; in a run without values an array of that shape without memory."""
    values = rng.standard_normal(size, dtype=np.float32)
    kind = NUMPY_TYPES[dtype]
    return (
        np.broadcast_to(np.zeros((), kind), size)
        if is_placeholder(values)
        else values.astype(kind, copy=False)
    )


def given_matrices(rng: np.random.Generator, size: int, shape: Shape, dtype: str) -> tuple[Any, Any]:
    """Random A [size Mt, size Kt] and B [size Kt, size Nt] of a dtype."""
    mt, kt, nt = shape
    return (
        random_values(rng, (size * mt, size * kt), dtype),
        random_values(rng, (size * kt, size * nt), dtype),
    )


def tiles_of(matrix: Any, size: int, rows: int, columns: int, *, row_major: bool = False) -> Any:
    """Tiles [block row, block column, words] of a matrix, each column-major unless ``row_major``."""
    if is_placeholder(matrix):
        return matrix.reshape(size, size, rows * columns)
    blocks = matrix.reshape(size, rows, size, columns).transpose(0, 2, 1, 3)
    if not row_major:
        blocks = blocks.transpose(0, 1, 3, 2)
    return np.ascontiguousarray(blocks.reshape(size, size, rows * columns))


def rounding(dtype: str, terms: int, largest: float) -> float:
    """Allowed error of a sum of ``terms`` products that is rounded after each of them."""
    return terms * float(np.finfo(NUMPY_TYPES[dtype]).eps) * max(1.0, largest)


def compare(found: Any, exact: Any, size: int, shape: Shape, dtype: str) -> tuple[float, bool]:
    """Largest error of C tiles (column-major) against the exact matrix, and whether rounding explains it."""
    wanted = tiles_of(exact, size, shape.mt, shape.nt)
    error = float(np.max(np.abs(found.astype(np.float64) - wanted)))
    return error, error <= rounding(dtype, size * shape.kt, float(np.max(np.abs(exact))))


def bytes_of(dtype: str, *elements: int) -> int:
    """Bytes of arrays of so many elements each."""
    return ELEMENT_BYTES[dtype] * sum(elements)
