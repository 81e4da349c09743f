"""MeshGEMM and GEMM-T: values, closed counts against the record, link loads, repeated runs, composition."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.errors import ConfigError
from wafersim.kernels.matrix.gemm_matrices import tiles_of
from wafersim.kernels.matrix.gemm_mesh import kinds_of, skewed
from wafersim.kernels.matrix.mesh import Mesh, MeshCode
from wafersim.kernels.matrix.product import Shape
from wafersim.program import Layout
from wafersim.simulate import Simulator, run

SHAPES = [(3, 3, 5, 7), (4, 8, 2, 3), (5, 1, 4, 6)]
LARGE = [(12, 16, 24, 20), (9, 33, 7, 40), (16, 8, 8, 64)]


def product(arch, size, mt, kt, nt, **params):
    record = run("gemm", arch, f"{size}x{size}", {"mt": mt, "kt": kt, "nt": nt, **params})
    assert record.status == "finished"
    assert record.verified, record.max_abs_error
    return record


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("dtype", ["f16", "f32"])
@pytest.mark.parametrize("algorithm", ["mesh", "mesh_t"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_counts(shape, algorithm, dtype, arch):
    size, mt, kt, nt = shape
    record = product(arch, *shape, algorithm=algorithm, dtype=dtype)
    pe, metrics = record["pe"], record.metrics
    elements = size * mt * kt * nt
    assert metrics["macs_per_pe"] == elements
    assert metrics["ops_per_pe"] == size * kt * nt
    sent = np.asarray(pe["wavelets_sent"])
    if algorithm == "mesh":
        assert (sent == metrics["words_x_per_pe"] + metrics["words_y_per_pe"]).all()
    else:
        sums = (
            metrics["words_per_sum_edge"] * (size - 1) // size
        )  # as root of its row, once, a PE sends nothing
        assert (sent == metrics["words_y_per_pe"] + sums).all()
    assert not np.asarray(pe["queue_clashes"]).any()


@pytest.mark.long
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("dtype", ["f16", "f32"])
@pytest.mark.parametrize("algorithm", ["mesh", "mesh_t"])
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_values_of_large_products(shape, algorithm, dtype, arch):
    product(arch, *shape, algorithm=algorithm, dtype=dtype)


@pytest.mark.parametrize("size", [3, 4, 7])
def test_every_link_of_the_rings_carries_the_same(size):
    """P tiles of A per link in x (beside those of the alignment), P of B per link in y."""
    record = product("wse2", size, 2, 4, 6, algorithm="mesh", dtype="f16")
    for name, forth, back, words in (("x", "EAST", "WEST", 2 * 4 // 2), ("y", "SOUTH", "NORTH", 4 * 6 // 2)):
        for port in (forth, back):
            total = sum(record.link_wavelets(f"{name}{i}", port) for i in range(3))
            inner = {"EAST": total[:, :-1], "WEST": total[:, 1:], "SOUTH": total[:-1], "NORTH": total[1:]}[
                port
            ]
            assert (inner == size * words).all()


@pytest.mark.parametrize("schedule", ["overlap", "serial"])
@pytest.mark.parametrize("size", [3, 4])
def test_repeated_products_start_from_what_was_left(size, schedule):
    """The check follows the tiles through all repetitions; times per product settle."""
    params = {"algorithm": "mesh", "dtype": "f32", "schedule": schedule}
    once = product("wse2", size, 2, 3, 4, **params)
    more = product("wse2", size, 2, 3, 4, repeats=3, warmup=1, products=2, **params)
    assert once.metrics["mean_cycles"] < more.metrics["mean_cycles"] < 2.2 * once.metrics["mean_cycles"]


def test_communication_alone_is_cheaper_and_checked():
    quiet = product("wse3-sdk", 3, 8, 8, 8, algorithm="mesh", dtype="f16", products=0)
    busy = product("wse3-sdk", 3, 8, 8, 8, algorithm="mesh", dtype="f16", products=1)
    assert quiet.metrics["macs_per_pe"] == 0
    assert quiet.metrics["mean_cycles"] < 0.5 * busy.metrics["mean_cycles"]


def test_a_shift_costs_its_words_and_two_hops():
    """Doubling the words of a move adds what they take on a link; the rest of a step stays."""
    cycles = [
        product("wse2", 6, 1, kt, 1, algorithm="mesh", dtype="f32", products=0).metrics["cycles_per_step"]
        for kt in (200, 400)
    ]
    # Two moves in x (1.5 with the alignment) and one in y share the PE: 2 beats for each word and axis.
    assert 200 * 2.5 <= cycles[1] - cycles[0] <= 200 * 5.5


def test_two_products_and_one_alignment_in_a_program():
    """Q = X Wq and K = X Wk with one alignment, as a transformer layer has them."""
    size, shape = 4, Shape(3, 4, 5)
    layout = Layout(size, size, arch="wse2", name="two")
    mesh = Mesh(layout, size, "f32")
    mesh.add_routes()
    rows = np.broadcast_to(np.arange(size)[:, None], (size, size))
    for (x, y), mask in kinds_of(mesh).items():
        pe = layout.tile(f"tile_{x}_{y}")
        sizes = {"A": 12, "A2": 12, "Bq": 20, "Bq2": 20, "Bk": 20, "Bk2": 20, "Q": 15, "K": 15}
        arrays = {name: pe.array(name, "f32", n, align=16, data=True) for name, n in sizes.items()}
        code = MeshCode(pe, mesh, x, y)
        align = code.alignment("align", shape.mt, shape.kt, a=arrays["A"], buffer=arrays["A2"])
        parts = {
            name: code.product(
                name, shape, a=arrays["A"], a_buffer=arrays["A2"], b=arrays[f"B{name}"],
                b_buffer=arrays[f"B{name}2"], c=arrays[name.upper()],
            )
            for name in ("q", "k")
        }  # fmt: skip
        code.emit()
        first, second, end = (pe.local_task(name) for name in ("first", "second", "end"))
        with pe.function("main"):
            align.start(done=first)
        with first:
            parts["q"].start(done=second, swapped=align.swapped())
        with second:
            parts["k"].start(done=end, swapped=align.swapped())
        with end:
            pe.done()
        layout.place(pe, width=size, height=size, mask=mask, params=code.params(rows))
    sim, rng, whole = Simulator(layout.build(), "wse2"), np.random.default_rng(3), (0, 0, size, size)
    x = rng.standard_normal((12, 16), dtype=np.float32)
    sim.write("A", tiles_of(x, size, 3, 4), rect=whole)
    weights = {name: rng.standard_normal((16, 20), dtype=np.float32) for name in ("q", "k")}
    for name, matrix in weights.items():
        sim.write(f"B{name}", skewed(tiles_of(matrix, size, 4, 5, row_major=True)), rect=whole)
    sim.launch("main")
    sim.run()
    for name, matrix in weights.items():
        found = sim.read(name.upper(), rect=whole)
        assert np.allclose(found, tiles_of(x @ matrix, size, 3, 5), atol=1e-4)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"algorithm": "mesh_t", "repeats": 2}, "repeats=2 with algorithm=mesh_t"),
        ({"algorithm": "summa", "products": 2}, "products=2 with algorithm=summa"),
        ({"algorithm": "summa", "dtype": "f16"}, "moves f32 only"),
        ({"algorithm": "mesh", "mt": 2000, "kt": 100}, "at most 32000 travel in one op"),
    ],
)
def test_mistakes(params, message):
    with pytest.raises(ConfigError, match=message):
        run("gemm", "wse2", "4x4", params)


def test_grids_are_square_and_have_rings():
    for grid in ("3x4", "1x1"):
        with pytest.raises(ConfigError, match=f"grid {grid}"):
            run("gemm", "wse2", grid, {"algorithm": "mesh"})


def test_summa_with_tiles_of_three_sizes():
    record = product("wse2", 3, 6, 2, 5, algorithm="summa")
    assert "tile" not in record.metrics
    square = product("wse2", 3, 4, 4, 4, algorithm="summa")
    assert square.cycles == run("gemm", "wse2", "3x3", {"tile": 4}).cycles
