"""Sparse products: values in every format, and the formats themselves."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.arch import Arch
from wafersim.kernels.sparse.spmm import encode
from wafersim.kernels.sparse.spmm_code import SpmmShape
from wafersim.simulate import run

SIMULATORS = ["wse2-sdk", "wse3-sdk"]


def verified(kernel, arch, grid, **params):
    record = run(kernel, arch, grid, params)
    assert record.status == "finished"
    assert record.verified, record.max_abs_error
    return record


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
