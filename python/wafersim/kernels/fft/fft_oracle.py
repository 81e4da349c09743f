"""NumPy's answer for the 3-D FFT, and where its numbers lie on the PEs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from wafersim.kernels.fft.fft_code import FftShape

# Arrays are [y, x, z]; a row has n values of x and z, a column n of x and y and its pencils' of z.


def random_input(shape: FftShape, rng: np.random.Generator) -> Any:
    """The complex numbers that the PEs start with."""
    depth = shape.across if shape.part == "columns" else shape.n
    lines = shape.across if shape.part == "rows" else shape.n
    parts = rng.standard_normal((2, lines, shape.n, depth), dtype=np.float32)
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def scatter(numbers: Any, shape: FftShape) -> Any:
    """``[H, W, words]``: before the first exchange ``[z][y][x]``, before the second ``[x][y][z]``."""
    h, w = shape.height, shape.width
    if shape.part == "columns":
        tiles = numbers.reshape(h, shape.ty, shape.n, shape.tz).transpose(0, 2, 1, 3)[:, None]
    else:
        tiles = numbers.reshape(h, shape.ty, w, shape.tx, shape.n).transpose(0, 2, 4, 1, 3)
    flat = np.ascontiguousarray(tiles).reshape(h, w, -1)
    return flat.view(np.float32)


def gather(words: Any, shape: FftShape) -> Any:
    """The result as ``[y, x, z]`` from ``[H, W, words]``: ``[y][x][z]``, in a row ``[x][y][z]``."""
    h, w, n = shape.height, shape.width, shape.n
    numbers = np.ascontiguousarray(words).view(np.complex64)
    if shape.part == "rows":
        return numbers.reshape(w, n, shape.ty, shape.tz).transpose(2, 1, 0, 3).reshape(shape.ty, n, -1)
    tiles = numbers.reshape(h, w, n, shape.ty, shape.tz)
    return tiles.transpose(2, 0, 3, 1, 4).reshape(n, h * shape.ty, w * shape.tz)


def expected(numbers: Any, shape: FftShape) -> Any:
    """NumPy's transform over the axes that the run transforms, in double precision."""
    axes = {"all": (0, 1, 2), "rows": (1, 2), "columns": (0,)}[shape.part]
    exact = np.fft.ifftn if shape.inverse else np.fft.fftn
    scale = np.prod([numbers.shape[a] for a in axes]) if shape.inverse else 1
    return exact(numbers.astype(np.complex128), axes=axes) * scale


def tolerance(shape: FftShape, exact: Any) -> float:
    """Rounding of log2 n stages per axis, relative to the largest number."""
    stages = 3 * (shape.n.bit_length() - 1)
    return float(np.finfo(np.float32).eps) * stages * float(np.max(np.abs(exact)))
