"""Grain above 1: deeper buffers, marked as approximate, with a measured error; at grain 1 nothing of it."""

from __future__ import annotations

import numpy as np
import pytest

import wafersim as ws
from tests.stream.compare import coarse_error, random_programs

SEEDS = 40


def _cycles(kernel, grid, grain, **params):
    record = ws.run(
        kernel, arch="wse2", grid=grid, params=params, fidelity="stream", values=False, grain=grain
    )
    assert record.status == "finished"
    return record


def test_the_record_says_approximate():
    exact, coarse = (_cycles("gemm", "12x12", grain, tile=6) for grain in (1, 64))
    assert not exact.info["approximate"]
    assert exact.info["validity"] != "approximate"
    assert "beyond_buffers" not in exact.info["stream"]
    assert coarse.info["approximate"]
    assert coarse.info["validity"] == "approximate"
    assert coarse.info["stream"]["beyond_buffers"] > 0
    assert coarse.info["stream"]["most_waiting"] > 4
    assert any("grain 64" in line for line in coarse.info["not_modelled"])


def test_grain_of_1_is_the_default():
    assert _cycles("gemm", "6x6", None, tile=5).cycles == _cycles("gemm", "6x6", 1, tile=5).cycles


@pytest.mark.parametrize(
    ("kernel", "grid", "params", "most"),
    [
        ("gemm", "12x12", {"tile": 4}, 0.005),
        ("gemm", "12x12", {"tile": 8}, 0.005),
        ("gemm", "8x8", {"tile": 16}, 0.005),
        ("reduce", "16x1", {"words": 64, "algorithm": "star"}, 0.01),
        ("allreduce", "6x6", {"words": 64}, 0.01),
        ("broadcast", "9x7", {"words": 300}, 0.01),
        ("stencil", "7x6", {}, 0.01),
        ("gemv", "6x6", {}, 0.01),
    ],
)
def test_kernels_are_near(kernel, grid, params, most):
    exact, coarse = (_cycles(kernel, grid, grain, **params).cycles for grain in (1, 64))
    assert abs(coarse / exact - 1) <= most


def test_random_programs_are_near():
    errors = [coarse_error(program, 64) for seed in range(SEEDS) for program in random_programs(seed)]
    known = np.abs([e for e in errors if e is not None])
    assert len(known) > SEEDS
    assert np.median(known) <= 0.02
    assert np.quantile(known, 0.95) <= 0.10


def test_buffers_matter_less_the_smaller_the_grain():
    exact = _cycles("gemm", "12x12", 1, tile=8).cycles
    assert _cycles("gemm", "12x12", 2, tile=8).cycles == exact  # the buffers are that deep anyway
    assert _cycles("gemm", "12x12", 1000, tile=8).events < _cycles("gemm", "12x12", 1, tile=8).events / 2
