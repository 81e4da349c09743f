"""Threads change nothing: cycles, events, memory, prints, ends and refusals are those of one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.stream.compare import MAX_CYCLES, random_programs, repeated
from wafersim import run
from wafersim.errors import UnsupportedError
from wafersim.program import Layout
from wafersim.program.schema import NUM_PORTS, TileCol
from wafersim.simulate import fidelity, stream
from wafersim.simulate.runner import prepare
from wafersim.simulate.stream import StreamSimulator, write_without_values

#: one, and numbers that divide the rows evenly or not; all strips are narrow on grids this small
THREADS = (1, 2, 3, 5)

FIXED = {"stop": "iterations", "iterations": 1}

KERNELS = [
    ("gemm", "8x8", {"tile": 5}, 1),
    ("gemm", "8x8", {"tile": 5}, 64),
    ("gemm", "6x6", {"tile": 3, "algorithm": "mesh", "dtype": "f16"}, 1),
    ("stencil", "9x11", {}, 1),
    ("stencil", "5x6", {"variant": "column", "iterations": 1, "depth": 8}, 1),
    ("allreduce", "7x9", {"words": 33}, 1),
    ("broadcast", "8x7", {"words": 70}, 1),
    ("reduce", "3x9", {"words": 17, "dtype": "f16", "algorithm": "star"}, 1),
    ("gather", "4x6", {}, 1),
    ("alltoall", "5x5", {}, 1),
    ("fft", "4x4", {"n": 8}, 1),
    ("cg", "3x5", FIXED, 1),
    ("cg", "3x4", {}, 1),  # a residual decides; without values it is refused
    ("spmm", "4x3", {}, 1),
    ("llm_decode_layer", "6x6", {}, 1),
]


def _outcome(prepared: Any, threads: int, values: bool, grain: int) -> dict[str, Any]:
    """All of a run that may not depend on its threads; why it was refused."""
    sim = StreamSimulator(prepared.built.program, prepared.arch, 0, grain, values=values, threads=threads)
    if values:
        prepared.built.setup(sim, np.random.default_rng(7))
    else:
        write_without_values(sim, prepared.built.setup)
    for launch in prepared.built.launches:
        sim.launch(launch.function, **launch.args)
    try:
        info = dict(sim.run().info)
    except UnsupportedError as error:
        return {"refused": str(error)}
    assert info["work"]["threads"] == threads
    for name in ("wall_s", "peak_rss_bytes", "work"):
        del info[name]
    return info | {"memory": _memory(sim, prepared.built.program)}


def _memory(sim: Any, program: Any) -> bytes | list[Any]:
    height, width = program.tables["tile_map"].shape
    num_bytes = int(program.tables["tiles"][:, TileCol.DATA_BYTES].max())
    if sim.values:
        return bytes(np.asarray(sim._machine.read(0, 0, width, height, 0, num_bytes)))
    words = [
        sim._machine.read(x, y, 1, 1, at, 8)
        for y in range(height)
        for x in range(width)
        for at in range(0, num_bytes - 7, 8)
    ]
    return [None if word is None else bytes(np.asarray(word)) for word in words]


@pytest.mark.parametrize("look_up", [True, False])
@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize(("kernel", "grid", "params", "grain"), KERNELS)
def test_kernels(kernel, grid, params, grain, values, look_up, monkeypatch):
    if values and not look_up:
        pytest.skip("with values nothing is looked up")
    monkeypatch.setattr(stream, "LOOK_UP", look_up)
    prepared = prepare(kernel, "wse2", grid, params)
    one = _outcome(prepared, 1, values, grain)
    for threads in THREADS[1:]:
        if threads <= prepared.height:
            assert _outcome(prepared, threads, values, grain) == one


def _end(generated: Any, threads: int, band: int, values: bool, look_up: bool, memo: int) -> Any:
    """How a random program ends: in a refusal, or with cycles, events and memory."""
    from wafersim import _core

    height, width = generated.tables["tile_map"].shape
    num_bytes = int(generated.tables["tiles"][:, TileCol.DATA_BYTES].max())
    try:
        machine = generated.make(
            lambda tables, ints, costs, _seed: _core.StreamMachine(
                tables, ints, costs, look_up=look_up, memo_bytes=memo, values=values, threads=threads,
                band=band,
            )
        )  # fmt: skip
        status = machine.run(MAX_CYCLES)
        if generated.more_feeds:
            generated.feed(machine, generated.more_feeds)
            status = machine.run(MAX_CYCLES)
    except UnsupportedError as error:
        return str(error)
    memory = machine.read(0, 0, width, height, 0, num_bytes) if values else None
    return (
        status, int(machine.cycle), machine.figures(), machine.prints(),
        None if memory is None else bytes(np.asarray(memory)), _to_host(generated, machine, values),
    )  # fmt: skip


def _to_host(generated: Any, machine: Any, values: bool) -> list[Any]:
    """How many words came to the host by each port, and with values which."""
    height, width = generated.tables["tile_map"].shape
    found: list[Any] = []
    for color in generated.tables["colors"].tolist():
        for port in range(NUM_PORTS):
            counts = np.asarray(machine.arrived(0, 0, width, height, color, port))
            found.append(counts.tolist())
            for y, x in np.argwhere(counts) if values else ():
                words = machine.collect(int(x), int(y), 1, 1, color, port, int(counts[y, x]))
                found.append([part.tolist() for part in words])
    return found


def _compare(seeds: range) -> tuple[int, int]:
    accepted = refused = 0
    for seed in seeds:
        for number, generated in enumerate(random_programs(seed)):
            values, look_up = number % 3 == 2, number % 3 == 0
            memo = 1 if seed % 2 else 1 << 30  # 1: it is made anew whenever somebody looks at it
            wide = repeated(generated, 2, 3)
            one = _end(wide, 1, 0, values, look_up, memo)
            for threads, band in ((2, 1), (3, 2), (5, 1)):
                found = _end(wide, threads, band, values, look_up, memo)
                assert found == one, f"seed {seed}, program {number}, {threads} threads"
            accepted += not isinstance(one, str)
            refused += isinstance(one, str)
    return accepted, refused


def test_random_programs():
    accepted, refused = _compare(range(24))
    assert min(accepted, refused) > 20


@pytest.mark.long
@pytest.mark.parametrize("first", range(24, 524, 25))
def test_more_random_programs(first):
    assert min(_compare(range(first, first + 25))) > 10


def test_memos_that_are_made_anew_or_given_up(monkeypatch):
    """What others have said under a number of the old memo is heard all the same."""
    for params, grain, memo_bytes in (({"tile": 4}, 64, 1 << 16), ({"tile": 6}, 1, 1 << 30)):
        prepared = prepare("gemm", "wse2", "14x14", params)
        monkeypatch.setattr(stream, "MEMO_BYTES", memo_bytes)
        one, three = (
            prepared.execute(fidelity="stream", grain=grain, threads=threads).info for threads in (1, 3)
        )
        assert one["stream"] == three["stream"]
        assert one["cycles"] == three["cycles"]
        given_up = three["work"]["looking_up"] < 3
        assert three["work"]["memo_renewals"] > 3 if memo_bytes < 1 << 20 else given_up


def test_many_renewals(monkeypatch):
    """A memo is renewed between two cycles, behind what was heard and before what is said next."""
    prepared = prepare("gemm", "wse2", "20x20", {"tile": 46})
    seen, renewals = set(), 0
    for memo_bytes in (1 << 30, 6 << 20, 3 << 20, 2 << 20):
        monkeypatch.setattr(stream, "MEMO_BYTES", memo_bytes)
        for threads in (1, 2, 4):
            record = prepared.execute(fidelity="stream", grain=4096, threads=threads, raise_on_stuck=False)
            seen.add((record.status, record.cycles, record.info["stream"]["messages"]))
            renewals += record.info["work"]["memo_renewals"]
    assert len(seen) == 1
    assert renewals > 20


@pytest.mark.parametrize("limit", [{"max_events": 700}, {"max_events": 30_000}, {"max_cycles": 9333}])
def test_limits_cut_at_the_same_place(limit):
    """Visits that wait count all the same."""
    prepared = prepare("gemm", "wse2", "14x14", {"tile": 4})
    ends = set()
    for threads in THREADS:
        record = prepared.execute(fidelity="stream", grain=64, threads=threads, raise_on_stuck=False, **limit)
        assert record.status == "limit"
        ends.add((record.cycles, record.info["events"]))
    assert len(ends) == 1


@pytest.mark.parametrize("values", [False, True])
def test_pauses_change_nothing(values):
    prepared = prepare("gemm", "wse2", "8x8", {"tile": 4})
    ends = []
    for threads, step in ((1, 0), (2, 100), (3, 7), (5, 1000)):
        sim = StreamSimulator(prepared.built.program, prepared.arch, values=values, threads=threads)
        write_without_values(sim, prepared.built.setup)
        for launch in prepared.built.launches:
            sim.launch(launch.function, **launch.args)
        record = sim.run(pause_at=1 if step else None)
        while record.status == "paused":
            record = sim.run(pause_at=sim.cycle + step)
        ends.append((record.status, record.cycles, record.info["events"], record.info["stream"]))
    assert ends[0][0] == "finished"
    assert ends.count(ends[0]) == len(ends)


def test_a_launch_at_a_pause_far_from_the_next_event():
    """What comes later must not be looked for in an earlier cycle of the wheel."""
    layout = Layout(1, 6)
    tile = layout.tile("waiter")
    layout.place(tile)
    stamps = tile.array("stamps", "u64", 2)
    for slot, (name, turns) in enumerate({"long": 9000, "short": 3}.items()):
        with tile.function(name):
            with tile.for_range(turns):
                tile.store(stamps, slot, tile.timestamp())
            tile.done()
    program, found = layout.build(), []
    for threads in (1, 3):
        sim = StreamSimulator(program, threads=threads)
        sim.launch("long")
        assert sim.run(pause_at=100).status == "paused"
        sim.launch("short")
        record = sim.run()
        found.append((record.status, record.cycles, sim.read("stamps").tolist()))
    assert found[0][0] == "finished"
    assert found[0] == found[1]


def test_progress_and_interrupts_come_to_the_caller():
    prepared = prepare("gemm", "wse2", "24x24", {"tile": 8})
    seen: list[tuple[int, int]] = []

    def progress(cycle: int, events: int) -> None:
        seen.append((cycle, events))
        if len(seen) == 3:
            raise KeyboardInterrupt

    record = prepared.execute(fidelity="stream", threads=3, progress=progress)
    assert record.status == "interrupted"
    assert len(seen) == 3
    assert seen == sorted(seen)


def test_an_error_of_the_progress_callback_ends_all_threads():
    def progress(_cycle: int, _events: int) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        prepare("gemm", "wse2", "24x24", {"tile": 8}).execute(fidelity="stream", threads=3, progress=progress)


def test_more_threads_than_rows():
    record = run("broadcast", grid="9x2", fidelity="stream", values=False, threads=16)
    assert record.info["work"]["threads"] == 2
    assert record.cycles == run("broadcast", grid="9x2", fidelity="stream", values=False).cycles


def test_a_refusal_names_the_first_pe():
    """All PEs refuse in the same cycle."""
    layout = Layout(3, 8)
    tile = layout.tile("same")
    layout.place(tile)
    data = tile.array("data", "u32", 4)
    with tile.function("main"):
        with tile.if_(tile.load(data, 0) > 3):
            tile.store(data, 0, 1)
        tile.done()
    said = set()
    for threads in THREADS:
        sim = StreamSimulator(layout.build(), threads=threads)
        sim.write_unknown("data")
        sim.launch("main")
        with pytest.raises(UnsupportedError, match=r"at PE \(0, 0\)") as error:
            sim.run()
        said.add(str(error.value))
    assert len(said) == 1


def test_threads_by_size_of_the_grid(monkeypatch):
    monkeypatch.setattr(fidelity, "STREAM_FROM_PES", 40)
    assert run("broadcast", grid="6x8", values=False, threads=2).info["work"]["threads"] == 2
    small = run("broadcast", grid="6x4", values=False, threads=2)
    assert small.info["fidelity"] == "wavelet"


def test_estimates_know_the_threads():
    from wafersim.simulate import stream_memory

    program = prepare("gemm", "wse2", "24x24", {"tile": 4}).built.program
    one, sixteen = (stream_memory.stream_bytes(program, threads=n) for n in (1, 16))
    assert one < sixteen
