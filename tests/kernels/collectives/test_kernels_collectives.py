"""Collectives: values of every algorithm, trees on a line, several calls in one program, both fidelities."""

from __future__ import annotations

import numpy as np
import pytest

import wafersim as ws
from wafersim.errors import ConfigError
from wafersim.kernels import formulas
from wafersim.kernels.exchange import trees
from wafersim.kernels.exchange.exchange import line_allreduce
from wafersim.kernels.exchange.grid_exchange import grid_allreduce, grid_reduce
from wafersim.program import Layout
from wafersim.simulate import run

ALGORITHMS = ["chain", "star", "tree", "two_phase", "ring", "ktree"]
TREES = ALGORITHMS[:4]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("grid", ["7x1", "1x6", "4x3"])
def test_allreduce_values(grid, algorithm, arch):
    """Two calls: switches are back behind the first one.  Fewer words than a star has lanes, and more."""
    for words, dtype, op in ((2, "f32", "add"), (9, "f16", "max")):
        record = run(
            "allreduce",
            arch,
            grid,
            {"words": words, "algorithm": algorithm, "dtype": dtype, "op": op, "calls": 2},
        )
        assert record.verified, (words, dtype, record.max_abs_error)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("algorithm", TREES)
@pytest.mark.parametrize("grid", ["6x2", "2x5", "3x4"])
def test_reduce_values(grid, algorithm, arch):
    for axis, words, dtype in (("x", 5, "f32"), ("y", 4, "f16"), ("xy", 1, "f32")):
        record = run(
            "reduce", arch, grid, {"words": words, "algorithm": algorithm, "axis": axis, "dtype": dtype}
        )
        assert record.verified, (axis, record.max_abs_error)


@pytest.mark.long
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("grid", ["64x1", "1x48", "24x18"])
def test_large_allreduce_values(grid, algorithm, arch):
    for words, dtype in ((200, "f32"), (101, "f16")):
        assert run("allreduce", arch, grid, {"words": words, "algorithm": algorithm, "dtype": dtype}).verified


@pytest.mark.long
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize(
    ("kernel", "grid", "params"),
    [
        ("gather", "60x1", {"words": 50}),
        ("gather", "1x33", {"words": 70}),
        ("gather", "12x9", {"words": 40, "axis": "xy"}),
        ("scatter", "60x1", {"words": 50}),
        ("scatter", "1x33", {"words": 70}),
        ("scatter", "12x9", {"words": 40, "axis": "xy"}),
        ("alltoall", "40x3", {"words": 20}),
        ("alltoall", "5x31", {"words": 9, "axis": "y"}),
        ("alltoall", "64x1", {"words": 2, "schedule": "overlap"}),
        ("barrier", "40x31", {"calls": 4}),
        ("barrier", "200x1", {"calls": 3, "algorithm": "tree"}),
        ("barrier", "1x90", {"calls": 3, "algorithm": "two_phase"}),
    ],
)
def test_large_exchanges(kernel, grid, params, arch):
    assert run(kernel, arch, grid, params).verified


# --- trees --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", TREES)
@pytest.mark.parametrize("pes", [2, 3, 8, 13, 64, 100])
def test_trees_are_in_pre_order(algorithm, pes):
    """The PEs between a child and its parent descend from the parent: their messages came before."""
    parent = trees.parents(algorithm, pes)
    for child in range(1, pes):
        assert 0 <= parent[child] < child
        for between in range(parent[child] + 1, child):
            above = between
            while above > parent[child]:
                above = parent[above]
            assert above == parent[child]


@pytest.mark.parametrize("algorithm", TREES)
def test_depth_of_trees(algorithm):
    """D of the cost model at P = 64: chain P - 1, star 1, tree log P, two phases 2 sqrt P - 2."""
    parent = trees.parents(algorithm, 64)
    depth = [0]
    for child in range(1, 64):
        depth.append(depth[parent[child]] + 1)
    assert max(depth) == {"chain": 63, "star": 1, "tree": 6, "two_phase": 14}[algorithm]


@pytest.mark.parametrize("algorithm", TREES)
@pytest.mark.parametrize("pes", [2, 9, 16, 37])
def test_members_of_trees(algorithm, pes):
    found = trees.members(trees.parents(algorithm, pes))
    assert sum(member.children for member in found) == pes - 1
    assert [member.is_root for member in found] == [True] + [False] * (pes - 1)
    if algorithm == "chain":
        assert not any(member.passes_in or member.passes_out or member.resets for member in found)
    if algorithm == "star":
        assert [member.resets for member in found] == [False] * (pes - 1) + [pes > 2]


def test_ktree_counts():
    """Stages and hops of the published configurations: 16 stages + hops."""
    known = {
        (240, 15): 472, (256, 16): 512, (300, 15): 562, (360, 18): 664, (420, 20): 740, (480, 20): 832,
        (512, 32): 896, (540, 20): 908, (600, 24): 984, (660, 22): 1076, (720, 24): 1152,
    }  # fmt: skip
    for (pes, groups), cycles in known.items():
        counts = formulas.ktree_counts(pes, groups)
        assert 16 * counts["stages"] + counts["hops"] == cycles


def test_words_of_a_ktree():
    """A PE sends its sums once, packed in pairs, and the root the result; everybody gets it."""
    record = run("allreduce", "wse2", "12x1", {"words": 7, "algorithm": "ktree", "groups": 3, "dtype": "f16"})
    assert (record.metrics["stages"], record.metrics["hops"]) == (3, 10)
    sent = np.asarray(record["pe"]["wavelets_sent"])
    received = np.asarray(record["pe"]["wavelets_received"])
    assert (sent == 4).all()
    assert received.sum() == 4 * (11 + 11)


# --- several exchanges in one program ----------------------------------------------------------------------


def program(algorithm, pes, calls, *, starts, arch="wse2"):
    """Two exchanges of different lengths in turn over one array, synchronous or on microthreads."""
    layout = ws.Layout(pes, 2, arch=arch, name="solver")
    long, short = 2 * pes, pes
    line = line_allreduce(layout, "dot", "x", pes, 2, algorithm, words=long, groups=1)
    line.add_routes()
    tiles = {}
    for index in range(pes):
        kind = line.kind(index)
        if kind not in tiles:
            pe = tiles[kind] = layout.tile(kind)
            data = pe.array("data", "f32", long, align=16, export=True)
            codes = [
                line.code(pe, index, data, words, offset, dsr=1, preload=False)
                for words, offset in ((long, 0), (short, short))
            ]
            (write_async if starts else write_sync)(pe, codes, calls)
        layout.place(tiles[kind], params=line.params(index, 1), **line.line.place(index))
    return layout.build(), long, short


def write_sync(pe, codes, calls):
    both = pe.function("both", export=False)
    with both:
        for code in codes:
            code.emit()
    with pe.function("main"):
        with pe.for_range(calls):
            pe.call(both)
        pe.done()


def write_async(pe, codes, calls):
    left = pe.array("left", "u16", 1, init=calls, export=False)
    first, second = pe.local_task("first_done"), pe.local_task("second_done")
    codes[0].start(first, "long")
    codes[1].start(second, "short")
    with first:
        codes[1].launch()
    with second:
        rest = pe.load(left) - 1
        pe.store(left, 0, rest)
        with pe.if_(rest > 0):
            codes[0].launch()
            pe.return_()
        pe.done()
    with pe.function("main"):
        codes[0].launch()


@pytest.mark.parametrize("starts", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_exchanges_in_a_loop(arch, algorithm, starts):
    pes, calls = 5, 3
    built, long, short = program(algorithm, pes, calls, starts=starts, arch=arch)
    sim = ws.Simulator(built, arch)
    values = np.random.default_rng(3).integers(-2, 3, (2, pes, long)).astype(np.float32)
    sim.write("data", values)
    sim.launch("main")
    sim.run()
    for _ in range(calls):
        values = np.repeat(values.sum(axis=1, keepdims=True), pes, axis=1)
        values[..., short:] *= pes
    np.testing.assert_array_equal(sim.read("data"), values)


def test_mistakes_of_exchanges():
    layout = ws.Layout(6, 1, name="mistakes")
    with pytest.raises(ConfigError, match="along 'z' is unknown; allowed: x, y"):
        line_allreduce(layout, "a", "z", 6)
    with pytest.raises(ConfigError, match="allowed: 2 or more"):
        line_allreduce(layout, "b", "x", 1)
    with pytest.raises(ConfigError, match="algorithm 'heap' is unknown; allowed: chain, star"):
        line_allreduce(layout, "c", "x", 6, algorithm="heap")
    with pytest.raises(ConfigError, match="4 different queue numbers needed"):
        line_allreduce(layout, "d", "x", 6, algorithm="ktree", groups=2, in_queues=(2, 3))
    with pytest.raises(ConfigError, match="3 different queue numbers needed"):
        line_allreduce(layout, "e", "x", 6, algorithm="ring", words=6, in_queues=(2, 3, 2))
    ring = line_allreduce(layout, "f", "x", 6, algorithm="ring", words=12)
    pe = layout.tile("tile")
    data = pe.array("data", "f32", 12)
    with pytest.raises(ConfigError, match="allowed: multiples of 6"):
        ring.code(pe, 0, data, 9)
    with pytest.raises(ConfigError, match=r"exchange of 13 elements; allowed: 1\.\.12"):
        ring.code(pe, 0, data, 13)


# --- formulas, fidelities --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "pes"), [(1, 16), (1, 512), (40, 16), (300, 64), (4000, 512), (10_000, 16)]
)
def test_auto_takes_the_least_formula(words, pes):
    costs = formulas.costs(words, pes, 2)
    record = run(
        "reduce", "wse2", (pes, 1), {"words": words, "algorithm": "auto"}, fidelity="stream", values=False
    )
    assert costs[record.metrics["algorithm"]] == min(costs.values())
    assert record.info["formula"]["cycles"] == min(costs.values())


SAME = [
    *[("reduce", "9x2", {"words": 11, "algorithm": a, "axis": "xy"}) for a in TREES],
    *[("allreduce", "10x1", {"words": 11, "algorithm": a, "calls": 2}) for a in ALGORITHMS],
    ("allreduce", "5x3", {"words": 3, "algorithm": "tree", "calls": 2}),
    ("gather", "6x3", {"words": 5, "axis": "xy"}),
    ("scatter", "3x5", {"words": 5, "axis": "xy"}),
    ("alltoall", "6x2", {"words": 4}),
    ("alltoall", "6x2", {"words": 4, "schedule": "overlap"}),
    ("barrier", "5x4", {"calls": 2}),
]


@pytest.mark.parametrize("arch", ["wse2", "wse3-sdk"])
@pytest.mark.parametrize(("kernel", "grid", "params"), SAME, ids=str)
def test_fidelity_stream_takes_the_same_cycles(kernel, grid, params, arch):
    exact = run(kernel, arch, grid, params)
    quick = run(kernel, arch, grid, params, fidelity="stream", values=False)
    assert (quick.cycles, quick.metrics) == (exact.cycles, exact.metrics)


@pytest.mark.parametrize(("pes", "words"), [(16, 8), (24, 16)])
def test_alltoall_takes_the_time_of_gathers(pes, words):
    spent = {
        schedule: run("alltoall", "wse2", (pes, 1), {"words": words, "schedule": schedule}).metrics
        for schedule in ("serial", "overlap")
    }
    expected = formulas.relayed_alltoall(words, pes, 2)
    assert spent["serial"]["window_cycles"] == pytest.approx(expected, rel=0.15)
    if words > 8:
        assert spent["overlap"]["window_cycles"] < 0.9 * spent["serial"]["window_cycles"]


@pytest.mark.parametrize("kernel", ["gather", "scatter"])
def test_gather_and_scatter_take_the_time_of_their_words(kernel):
    """The root's own piece is copied as well; a scatter's loop adds a cycle or two per piece."""
    record = run(kernel, "wse2", (40, 1), {"words": 60})
    assert record.metrics["window_cycles"] == pytest.approx(record.info["formula"]["cycles"], rel=0.05)


def test_a_pe_that_leaves_a_barrier_early_is_found():
    from wafersim import kernels
    from wafersim.arch import Arch

    kernel = kernels.get("barrier")
    built = kernel.build(Arch.load("wse2"), 3, 2, kernel.resolve({}))
    sim = ws.Simulator(built.program, "wse2")
    sim.launch("main")
    sim.run()
    assert built.check(sim) == (0.0, True)
    sim.view("stamps", 1, 1)[1] = 5
    error, good = built.check(sim)
    assert error > 0 and not good


@pytest.mark.parametrize("make", [grid_reduce, grid_allreduce])
@pytest.mark.parametrize("algorithm", ["star", "tree", "two_phase"])
def test_one_call_over_a_rectangle_puts_no_switches_back(make, algorithm):
    def ops(rearm):
        layout = Layout(6, 5, arch="wse2")
        grid = make(layout, "sum", 6, 5, algorithm, words=2, rearm=rearm)
        count = 0
        for number, (_, place, _) in enumerate(grid.areas()):
            pe = layout.tile(f"pe{number}")
            count += len(grid.code(pe, *place, pe.array("x", "f32", 2)).steps())
        return count

    assert ops(rearm=False) < ops(rearm=True)
