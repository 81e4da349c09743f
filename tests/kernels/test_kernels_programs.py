"""The structure of the programs: operand placement, colors, tiles shared by many PEs."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim import kernels
from wafersim.arch import Arch
from wafersim.kernels.stencil.stencil_cell import color_of
from wafersim.simulate import run


def build(name, grid, **params):
    kernel = kernels.get(name)
    return kernel.build(Arch.load("wse2"), *grid, kernel.resolve(params)).program


def distances(program, first, second):
    """Bytes from one symbol to another, one entry per tile."""
    symbols = program.meta["symbols"]
    return {place["address"] - symbols[first][tile]["address"] for tile, place in symbols[second].items()}


@pytest.mark.parametrize("tile", [3, 4, 45, 46])
def test_gemm_operands_lie_eight_bytes_apart(tile):
    program = build("gemm", (3, 3), tile=tile)
    for name in ("A", "A_buffer"):
        assert {distance % 16 for distance in distances(program, "C", name)} == {8}


def test_gemm_conflicts_follow_from_the_tile():
    """No conflict for tiles of a multiple of 4, half the ops for 2 mod 4, a quarter for odd tiles."""
    expected = {8: 0, 12: 0, 6: 1 / 2, 10: 1 / 2, 5: 1 / 4, 7: 1 / 4}
    for tile, share in expected.items():
        record = run("gemm", "wse2", (1, 1), {"tile": tile})
        conflicts = int(record["pe"]["bank_conflicts"].sum())
        assert conflicts / tile**3 == pytest.approx(share, abs=1 / tile)


def test_step_from_45_to_46_is_a_bank_conflict():
    """+13 % per step: 6.8 % more multiply-adds, and conflicts in half of the ops instead of a quarter."""
    steps = {
        tile: run("gemm", "wse2", (2, 2), {"tile": tile}).metrics["cycles_per_step"] for tile in (45, 46)
    }
    assert steps[46] / steps[45] == pytest.approx(1.13, abs=0.01)


def test_large_grids_share_few_tiles():
    for name, params in (("gemm", {"tile": 4}), ("stencil", {"tile": "2x2"}), ("broadcast", {})):
        program = build(name, (40, 40), **params)
        assert len(program.tables["tiles"]) <= 20
    cells = build("stencil", (40, 40))
    assert len(cells.tables["tiles"]) <= 80


def test_neighbours_of_a_cell_send_on_different_colors():
    for x in range(1, 9):
        for y in range(1, 9):
            heard = [color_of(x + 1, y), color_of(x - 1, y), color_of(x, y - 1), color_of(x, y + 1)]
            assert len({color_of(x, y), *heard}) == 5


def test_stencil_arrays_are_adjacent():
    program = build("stencil", (4, 4), tile="5x3", radius=2)
    rows, pitch = 3 + 2 * 2, 5 + 2 * 2 + 1
    assert distances(program, "own_values", "buffer") == {4 * rows * pitch}


def test_unused_pes_do_nothing():
    """Corner PEs of the one-cell stencil only report that they are done."""
    record = run("stencil", "wse2-sdk", (5, 4), {"iterations": 4})
    sent = np.asarray(record["pe"]["wavelets_sent"])
    assert [sent[0, 0], sent[0, -1], sent[-1, 0], sent[-1, -1]] == [0, 0, 0, 0]
    assert (sent[1:-1, 1:-1] == 4).all()


def test_microbench_names_operands_and_code():
    record = run("microbench", "wse3-sdk", (1, 1), {"case": "fma", "dtype": "f16", "phase": 6, "length": 64})
    operands = {entry["name"]: entry for entry in record.metrics["operands"]}
    assert (operands["y"]["address"] - operands["x"]["address"]) % 16 == 6
    assert operands["x"]["stride_bytes"] == 2
    assert "fmach" in record.metrics["code"]
