"""Stencils on columns, solvers and FFTs: values at three shapes and more, parts that make a whole, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim import kernels
from wafersim.arch import Arch
from wafersim.errors import ConfigError
from wafersim.kernels.column_code import expected
from wafersim.kernels.column_stencil import weights
from wafersim.kernels.fft_code import merged
from wafersim.kernels.spmm import encode
from wafersim.kernels.spmm_code import SpmmShape
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


SOLVERS = [
    ("cg", "5x3", "turns", "map"), ("pcg", "3x3", "turns", "vector"), ("bicgstab", "3x4", "turns", "map"),
    ("power", "2x3", "turns", "map"), ("power", "3x2", "turns", "vector"), ("cg", "4x3", "chain", "vector"),
    ("power", "2x2", "star", "map"), ("pcg", "3x5", "tree", "vector"), ("bicgstab", "4x4", "two_phase", "vector"),
]  # fmt: skip


@pytest.mark.parametrize("arch", SIMULATORS)
@pytest.mark.parametrize(("method", "grid", "allreduce", "dot"), SOLVERS)
def test_solvers(arch, method, grid, allreduce, dot):
    record = verified(method, arch, grid, depth=6, block=4, iterations=3, allreduce=allreduce, dot=dot)
    assert record.metrics["steps"] == 3


def test_the_norm_does_not_overflow():
    """Squares of 1e25 are no float32 numbers; in turns they are divided by a power of two first."""
    from wafersim.simulate import Simulator

    kernel = kernels.get("power")
    built = kernel.build(Arch.load("wse2"), 3, 2, kernel.resolve({"iterations": 1, "dot": "map"}))
    sim = Simulator(built.program, "wse2")
    built.setup(sim, np.random.default_rng(0))
    x = np.asarray(sim.read("x")) * np.float32(1e25)
    sim.write("x", x)
    sim.launch("main")
    sim.run()
    assert built.check(sim)[1]  # the direction is that of the unscaled vector
    assert 1e24 < sim.read("norm").max() < 1e27


@pytest.mark.parametrize("dot", ["vector", "map"])
def test_solvers_stop_at_the_tolerance(dot):
    record = verified("cg", "wse3-sdk", "4x4", depth=4, iterations=200, allreduce="tree", dot=dot)
    assert 5 < record.metrics["steps"] < 60


@pytest.mark.long
@pytest.mark.parametrize("arch", Arch.names())
@pytest.mark.parametrize(
    ("method", "grid"), [("cg", "30x21"), ("pcg", "25x16"), ("bicgstab", "24x32"), ("power", "40x17")]
)
def test_large_solvers(arch, method, grid):
    verified(method, arch, grid, depth=64, block=16, iterations=4, allreduce="turns")


@pytest.mark.parametrize("arch", SIMULATORS)
@pytest.mark.parametrize(("grid", "n"), [("1x1", 8), ("2x1", 4), ("8x4", 8), ("2x4", 8)])
def test_ffts(arch, grid, n):
    verified("fft", arch, grid, n=n)


@pytest.mark.parametrize("arch", SIMULATORS)
def test_an_inverse_fft(arch):
    verified("fft", arch, "4x2", n=8, inverse=True)


@pytest.mark.long
@pytest.mark.parametrize("arch", Arch.names())
@pytest.mark.parametrize(("grid", "n"), [("32x32", 32), ("32x16", 32), ("64x32", 64)])
def test_large_ffts(arch, grid, n):
    verified("fft", arch, grid, n=n)


@pytest.mark.parametrize("arch", ["wse2", "wse3-sdk"])
@pytest.mark.parametrize(("width", "height", "n"), [(4, 2, 4), (4, 8, 8), (4, 1, 4)])
def test_an_fft_takes_as_long_as_a_row_and_a_column(arch, width, height, n):
    """What makes sizes possible that cannot be run as a whole; exact where the ramp has no pace."""
    whole = verified("fft", arch, (width, height), n=n).metrics["window_cycles"]
    row = verified("fft", arch, (width, 1), n=n, part="rows", pencils=n // height)
    column = verified("fft", arch, (1, height), n=n, part="columns", pencils=n // width)
    assert whole == row.metrics["window_cycles"] + column.metrics["window_cycles"]


@pytest.mark.long
@pytest.mark.parametrize("arch", ["wse2", "wse3-sdk"])
@pytest.mark.parametrize(("width", "height", "n"), [(16, 8, 16), (8, 16, 32), (32, 32, 32)])
def test_larger_ffts_take_as_long_as_a_row_and_a_column(arch, width, height, n):
    test_an_fft_takes_as_long_as_a_row_and_a_column(arch, width, height, n)


@pytest.mark.parametrize("arch", SIMULATORS)
@pytest.mark.parametrize("form", ["coo", "csr", "csc", "ell"])
@pytest.mark.parametrize(("grid", "permille"), [("4x3", 200), ("1x2", 500), ("5x1", 30)])
def test_sparse_products(arch, form, grid, permille):
    record = verified("spmm", arch, grid, format=form, rows=6, cols=9, wide=5, permille=permille)
    assert record.metrics["local_cycles_min"] <= record.metrics["local_cycles_mean"]


@pytest.mark.parametrize("form", ["coo", "csr", "csc", "ell"])
def test_an_empty_and_a_full_block(form):
    verified("spmm", "wse2", "2x2", format=form, rows=3, cols=4, wide=2, permille=0)
    verified("spmm", "wse2", "2x2", format=form, rows=3, cols=4, wide=2, permille=1000)


@pytest.mark.long
@pytest.mark.parametrize("arch", Arch.names())
@pytest.mark.parametrize("form", ["coo", "csr", "csc", "ell"])
def test_large_sparse_products(arch, form):
    for grid, rows, cols in (("16x12", 32, 24), ("5x30", 40, 16), ("40x3", 16, 32)):
        verified("spmm", arch, grid, format=form, rows=rows, cols=cols, wide=32, permille=100)


@pytest.mark.parametrize("form", ["coo", "csr", "csc", "ell"])
def test_formats_hold_the_block(form):
    """Each format, decoded, gives the block back."""
    rng = np.random.default_rng(3)
    block = np.where(rng.random((5, 7)) < 0.4, rng.standard_normal((5, 7)), 0).astype(np.float32)
    most = int((block != 0).sum(axis=1).max()) if form == "ell" else int((block != 0).sum()) + 2
    shape = SpmmShape(form, 5, 7, 4, most)
    arrays = encode(block, shape)
    assert {name: (a.dtype.name, a.size) for name, a in arrays.items()} == {
        name: ({"f32": "float32", "i32": "int32"}[t], size) for name, (t, size) in shape.arrays.items()
    }
    found = np.zeros_like(block)
    if form == "ell":
        rows = np.repeat(np.arange(5), most)
    elif form == "csr":
        rows = np.repeat(np.arange(5), np.diff(arrays["start"]))
    else:
        rows = arrays["row"]
    cols = np.repeat(np.arange(7), np.diff(arrays["start"])) if form == "csc" else arrays["col"]
    count = min(rows.size, cols.size)
    np.add.at(found, (rows[:count], cols[:count]), arrays["values"][:count])
    assert np.array_equal(found, block)


def test_blocks_are_described_with_as_few_dimensions_as_possible():
    assert merged((4, 1, 1, 2), (2, 9, 9, 1), (2, 7, 7, 1)) == ((8,), (1,), (1,))
    assert merged((3, 2, 1, 4), (8, 4, 0, 1), (40, 4, 0, 1)) == ((3, 8), (8, 1), (40, 1))
    assert merged((1, 1), (5, 1)) == ((1,), (1,))


@pytest.mark.parametrize(("kernel", "grid", "params", "words"), [
    ("fft", (3, 3), {"n": 8}, "divides n=8"),
    ("fft", (2, 2), {"n": 6}, "powers of 2"),
    ("fft", (2, 2), {"n": 64}, "use more PEs"),
    ("fft", (4, 4), {"n": 8, "part": "rows"}, "W x 1"),
    ("fft", (4, 4), {"n": 8, "pencils": 2}, "part=rows"),
    ("cg", (1, 5), {}, "2x2 or larger"),
    ("spmm", (2, 2), {"rows": 500, "cols": 500, "wide": 64}, "use more PEs or smaller blocks"),
    ("stencil", (4, 4), {"variant": "column", "radius": 5}, "allowed: 1..4"),
    ("stencil", (4, 4), {"variant": "column", "radius": 3, "depth": 3}, "allowed: 1..2"),
    ("power", (4, 4), {"allreduce": "magic"}, "turns, chain"),
])  # fmt: skip
def test_mistakes(kernel, grid, params, words):
    found = kernels.get(kernel)
    with pytest.raises(ConfigError, match=words):
        found.build(Arch.load("wse2"), *grid, found.resolve(params))
