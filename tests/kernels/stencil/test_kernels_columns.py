"""Stencils on columns of z: values at several shapes, and the oracle itself."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.arch import Arch
from wafersim.kernels.stencil.column_code import expected
from wafersim.kernels.stencil.column_stencil import weights
from wafersim.simulate import run

SIMULATORS = ["wse2-sdk", "wse3-sdk"]


def verified(kernel, arch, grid, **params):
    record = run(kernel, arch, grid, params)
    assert record.status == "finished"
    assert record.verified, record.max_abs_error
    return record


@pytest.mark.parametrize("arch", SIMULATORS)
@pytest.mark.parametrize(("radius", "grid", "depth", "block"), [
    (1, "4x3", 6, 0), (1, "1x5", 5, 2), (2, "5x4", 9, 4), (3, "3x7", 8, 3), (4, "6x5", 12, 0), (4, "11x2", 7, 2),
])  # fmt: skip
def test_column_stencils(arch, radius, grid, depth, block):
    record = verified(
        "stencil", arch, grid, variant="column", radius=radius, depth=depth, block=block, iterations=3
    )
    assert record.metrics["points"] == 6 * radius + 1


@pytest.mark.long
@pytest.mark.parametrize("arch", Arch.names())
@pytest.mark.parametrize(
    ("radius", "grid", "depth"), [(1, "40x31", 200), (4, "33x40", 120), (2, "64x3", 500)]
)
def test_large_column_stencils(arch, radius, grid, depth):
    verified("stencil", arch, grid, variant="column", radius=radius, depth=depth, block=64, iterations=4)


def test_the_oracle_of_columns_sees_every_neighbor():
    """One cell of 1 spreads to 6 radius + 1 cells with all coefficients, mirrored."""
    factors = weights(2)
    x = np.zeros((5, 6, 7), np.float32)
    x[2, 3, 3] = 1
    y = expected(x, factors, 2)
    assert np.count_nonzero(y) == 13
    assert y[2, 4, 3] == factors[0] and y[2, 2, 3] == factors[1]  # its west is the cell; its east is
    assert y[1, 3, 3] == factors[2] and y[3, 3, 3] == factors[3]
    assert y[2, 3, 4] == factors[4] and y[2, 3, 2] == factors[5]
    assert y[2, 5, 3] == factors[6] and y[2, 3, 1] == factors[11]
    assert y[2, 3, 3] == factors[12]
