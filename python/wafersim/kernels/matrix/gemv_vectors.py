"""What the programs of y = A x share: the part of a PE, the inputs, and the comparison with NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wafersim.kernels.matrix.gemm_matrices import random_values, rounding


@dataclass(frozen=True)
class Part:
    """Rows and columns of a PE's tile of A, element type, and groups of a K-tree (0: near its root)."""

    rows: int
    cols: int
    dtype: str = "f32"
    groups: int = 0

    @property
    def macs(self) -> int:
        """Multiply-adds per PE, which take ``cols`` vector ops."""
        return self.rows * self.cols


class Inputs:
    """Random A and x for ``outputs`` x ``inputs`` tiles, and what y has to be."""

    def __init__(self, part: Part, outputs: int, inputs: int, rng: np.random.Generator) -> None:
        self.part, self.terms = part, inputs * part.cols
        self.matrix = random_values(rng, (outputs * part.rows, self.terms), part.dtype)
        tiles = self.matrix.reshape(outputs, part.rows, inputs, part.cols).transpose(0, 2, 3, 1)
        #: tiles [output block, input block, words], column-major
        self.tiles = tiles.reshape(outputs, inputs, part.macs)
        self.x = random_values(rng, (inputs, part.cols), part.dtype)

    def compare(self, found: Any) -> tuple[float, bool]:
        """Largest error of y [output block, ..., rows] and whether rounding explains it."""
        exact = self.matrix.astype(np.float64) @ self.x.reshape(-1).astype(np.float64)
        shape = (len(self.tiles), *(1,) * (found.ndim - 2), self.part.rows)
        error = float(np.max(np.abs(found.astype(np.float64) - exact.reshape(shape))))
        return error, error <= rounding(self.part.dtype, self.terms, float(np.max(np.abs(exact))))


def window_metrics(stamps: Any, part: Part) -> dict[str, Any]:
    """The window from the first start to the last end, and the local counts."""
    window = int(stamps[..., 1].max() - stamps[..., 0].min())
    return {
        "window_cycles": window, "macs_per_pe": part.macs, "ops_per_pe": part.cols,
        "cycles_per_mac": window / part.macs,
    }  # fmt: skip
