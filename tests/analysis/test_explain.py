"""What limited a run, in words: programs whose limit is known by construction."""

from __future__ import annotations

import json
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

import wafersim as ws
from command_line import call
from wafersim.analysis.critical_path import critical_path
from wafersim.analysis.explain import explain
from wafersim.analysis.phases import measure_phases, regions
from wafersim.errors import ConfigError
from wafersim.program.schema import Port
from wafersim.record.limiting import Links, busiest_links, place_words
from wafersim.simulate.runner import prepare
from wafersim.simulate.watching import Watch


def started(program, arch="wse2"):
    """Something with ``start``, as a prepared kernel has it, for a program of our own."""

    def start(seed=0, watch=None):
        sim = ws.Simulator(program, arch, seed)
        if watch is not None:
            sim.timeline(watch.rect, watch.window, watch.most)
        for name in sim.functions:
            sim.launch(name)
        return sim

    return SimpleNamespace(start=start, arch=ws.Arch.load(arch) if isinstance(arch, str) else arch)


def compute_then_send(words=4000, rounds=3):
    """PE (0, 0) multiplies for a long time, then sends a long message to (1, 0)."""
    lay = ws.Layout(2, 1, name="two phases")
    red = lay.color("red", 4)
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    pe = lay.tile("sender")
    lay.place(pe, x=0)
    x, y = pe.array("x", "f32", words, init=1.0), pe.array("y", "f32", words, init=2.0)
    out = pe.output_queue(2, red)
    with pe.function("main"):
        with pe.for_range(rounds):
            pe.fmuls(pe.mem_dsd(y), pe.mem_dsd(y), 1.0)
        pe.mov32(pe.fabout_dsd(out, extent=words), pe.mem_dsd(x))
        pe.done()
    pe = lay.tile("taker")
    lay.place(pe, x=1)
    z = pe.array("z", "f32", words, init=0.0)
    into = pe.input_queue(2, red)
    with pe.function("main"):
        pe.mov32(pe.mem_dsd(z), pe.fabin_dsd(into, extent=words))
        pe.done()
    return lay.build()


def word_by_word(words=200):
    """PE (0, 0) sends words; on PE (1, 0) each one starts a data task."""
    lay = ws.Layout(2, 1, name="word by word")
    red = lay.color("red", 4)
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    pe = lay.tile("sender")
    lay.place(pe, x=0)
    x = pe.array("x", "u32", words, init=np.arange(words))
    with pe.function("main"):
        pe.mov32(pe.fabout_dsd(pe.output_queue(2, red), extent=words), pe.mem_dsd(x))
        pe.done()
    pe = lay.tile("taker")
    lay.place(pe, x=1)
    last = pe.array("last", "u32", 1, init=0)
    with pe.data_task("take", pe.input_queue(2, red)) as word:
        pe.store(last, 0, word)
    with pe.function("main"):
        pe.done()
    return lay.build()


def run(program, arch="wse2", watch=None):
    return started(program, arch).start(0, watch).run()


# --- the limit of a whole run --------------------------------------------------------------------


def test_a_long_message_is_limited_by_its_link():
    detail = ws.run("broadcast", "wse2", "8x1", words=4000).bottleneck_detail
    assert detail["kind"] == "link"
    assert "busiest link row 0, eastward" in detail["text"]
    assert "color data" in detail["text"]


def test_a_star_reduce_is_limited_by_the_column_beside_the_root():
    record = ws.run("reduce", "wse2", "9x3", algorithm="star", words=200)
    links = busiest_links(record)
    assert (links.port, links.xs.tolist(), links.ys.tolist()) == (Port.WEST, [1, 1, 1], [0, 1, 2])
    assert "busiest link column 1, westward" in record.bottleneck_detail["text"]


def test_a_chain_of_one_word_waits_for_the_row():
    detail = ws.run("reduce", "wse2", "64x1", algorithm="chain", words=1).bottleneck_detail
    assert detail["kind"] == "stall_input"
    assert detail["text"].startswith("9")
    assert "waiting for input (color row0)" in detail["text"]


def test_vector_ops_and_bank_conflicts():
    clean, slow = (
        ws.run("microbench", "wse2-sdk", "1x1", case="fma", dtype="f32", phase=phase).bottleneck_detail
        for phase in (8, 0)
    )
    assert clean["kind"] == "busy_vector"
    assert not any(entry["kind"] == "stall_bank" for entry in clean["next"])
    assert {clean["kind"], "stall_bank"} == {slow["kind"], slow["next"][0]["kind"]} | {"busy_vector"}
    assert "bank conflicts" in slow["text"]


def test_a_task_per_word_is_limited_by_tasks():
    slow = ws.Arch.load("wse2").replace(task_start_cycles=9)
    detail = run(word_by_word(), slow).bottleneck_detail
    assert (detail["kind"], detail["pe"]) == ("task_start", [1, 0])
    assert detail["text"].startswith("8")
    assert "of cycles: task start (PE (1, 0)" in detail["text"]
    quick = run(word_by_word()).bottleneck_detail
    assert quick["kind"] == "busy_scalar"


def test_shares_of_the_pe_that_stands_for_the_run_add_up():
    for kernel in ("gemm", "stencil", "allreduce"):
        detail = ws.run(kernel, "wse3").bottleneck_detail
        total = sum(entry["share"] for entry in detail["next"])
        total += 0 if detail["kind"] == "link" else detail["share"]
        assert total == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("pes", "words"),
    [
        ([(3, 4)], "PE (3, 4)"),
        ([(1, 2), (2, 2)], "row 2, columns 1 to 2"),
        ([(1, 2), (1, 3)], "column 1, rows 2 to 3"),
        ([(0, 0), (1, 0), (0, 1), (1, 1)], "PEs (0, 0) to (1, 1)"),
        ([(0, 0), (1, 1)], "2 PEs between (0, 0) and (1, 1)"),
    ],
)
def test_places_in_words(pes, words):
    assert place_words(*np.array(pes).T) == words


def test_links_in_words():
    def place(port, pes):
        return Links(port, *np.array(pes).T, 9, 0.9, ()).place()

    assert place(Port.EAST, [(4, y) for y in range(3)]) == "column 4, eastward"
    assert place(Port.WEST, [(x, 4) for x in range(3)]) == "row 4, westward"
    assert place(Port.RAMP, [(4, 1)]) == "down the ramp of PE (4, 1)"
    assert place(Port.NORTH, [(4, 1)]) == "NORTH of PE (4, 1), northward"


# --- over space and over time --------------------------------------------------------------------


def test_regions_name_the_pes_that_do_alike():
    record = ws.run("reduce", "wse2", "9x3", algorithm="star", words=200)
    found = {where: (kind, share) for kind, share, where in regions(record)}
    assert found["column 0, rows 0 to 2"] == ("busy_receive", pytest.approx(1 / 9))


def test_phases_follow_the_program():
    prepared = started(compute_then_send())
    record = prepared.start().run()
    phases = measure_phases(prepared, 0, record.cycles)
    assert [phase.kind for phase in phases if phase.end - phase.begin > 0.1 * record.cycles] == [
        "busy_vector",
        "link",
    ]
    assert phases[0].begin == 0
    assert phases[-1].end == record.cycles
    for one, other in pairwise(phases):
        assert one.end == other.begin
    sums = sum(phase.record.counters for phase in phases)
    assert (sums == record.counters).all()


# --- the critical path ---------------------------------------------------------------------------


def path_of(kernel, arch, grid, **params):
    prepared = prepare(kernel, arch, grid, params)
    record = prepared.start(0, Watch()).run()
    return critical_path(record.timeline, prepared.arch, record.cycles), record, prepared.arch


@pytest.mark.parametrize("arch", ["wse2", "wse3-sdk"])
def test_the_path_of_a_chain_goes_through_every_pe(arch):
    path, record, constants = path_of("reduce", arch, "13x1", algorithm="chain", words=1)
    assert (path.num_pes, path.hops()) == (13, 12)
    transport = sum(count for kind, count in path.totals().items() if kind.startswith("transport"))
    each = int(constants.ramp_out_cycles) + int(constants.hop_cycles) + int(constants.ramp_in_cycles)
    assert transport == 12 * each
    assert sum(path.totals().values()) == record.cycles


def test_the_path_of_a_broadcast_goes_to_the_farthest_pe_at_once():
    path, record, _ = path_of("broadcast", "wse2", "9x3", words=50)
    assert path.num_pes == 2
    assert path.hops() == 8 + 2
    assert path.steps[-1].pe in {(8, 0), (8, 2)}
    assert sum(path.totals().values()) == record.cycles


def test_the_path_of_two_phases_computes_on_the_sender_and_ends_with_the_message():
    prepared = started(compute_then_send(words=600))
    record = prepared.start(0, Watch()).run()
    path = critical_path(record.timeline, prepared.arch, record.cycles)
    on_sender = sum(step.end - step.begin for step in path.steps if step.pe == (0, 0))
    assert 3 * 600 < on_sender < record.cycles - 600
    assert path.steps[-1].pe == (1, 0)
    assert "through 2 PEs and 1 hops" in path.text({4: "red"})


@pytest.mark.parametrize(
    ("kernel", "grid", "params"),
    [
        ("gemm", "4x4", {"tile": 3}),
        ("stencil", "5x5", {"variant": "tiled", "tile": "3x2", "iterations": 3}),
        ("allreduce", "5x3", {"words": 9}),
        ("gemv", "4x2", {}),
        ("relay", "4x1", {"words": 20}),
    ],
)
def test_every_path_is_without_gaps_and_as_long_as_the_run(kernel, grid, params):
    path, record, _ = path_of(kernel, "wse3-sdk", grid, **params)
    assert path.begins == 0
    assert path.steps[-1].end == record.cycles
    for one, other in pairwise(path.steps):
        assert one.end == other.begin
        assert one.begin < one.end
    assert sum(path.totals().values()) == record.cycles


def test_a_timeline_with_gaps_gives_no_path():
    prepared = prepare("reduce", "wse2", "4x1", {"words": 50})
    record = prepared.start(0, Watch(most=20)).run()
    with pytest.raises(ConfigError, match="every entry"):
        critical_path(record.timeline, prepared.arch, record.cycles)


# --- the command ---------------------------------------------------------------------------------


def test_explain_a_run_directory(tmp_path):
    folder = str(tmp_path / "run")
    assert call("run", "reduce", "--grid", "9x1", "--set", "words=1", "--out", folder).code == 0
    words = call("explain", folder)
    assert words.code == 0
    for part in ("what limited it:", "over space:", "over time:", "critical path: through 9 PEs and 8 hops"):
        assert part in words.out
    assert "of the cycles rest on assumed constants" in words.out
    answer = json.loads(call("explain", folder, "--json").out)
    assert answer["explanation"]["text"] == answer["bottleneck_text"]
    assert sum(answer["explanation"]["critical_path"]["totals"].values()) == answer["cycles"]
    single = [share["share"] for share in answer["explanation"]["shares"]]
    assert single == sorted(single, reverse=True)
    assert single[0] <= answer["explanation"]["assumed_share"] + 1e-9
    quick = call("explain", folder, "--quick")
    assert quick.code == 0
    assert "critical path" not in quick.out


def test_a_program_that_is_not_in_the_record_is_said_to_be_missing():
    found = explain(run(compute_then_send(words=20, rounds=2)))
    assert found.path is None
    assert "only library kernels can be run again" in found.lines()[-1]


def test_large_runs_are_not_done_again(monkeypatch):
    monkeypatch.setattr("wafersim.analysis.explain.MOST_EVENTS", 10)
    monkeypatch.setattr("wafersim.analysis.explain.MOST_PATH_EVENTS", 10)
    found = explain(ws.run("reduce", grid="4x1"))
    assert (found.phases, found.path) == ([], None)
    assert len(found.not_done) == 2
