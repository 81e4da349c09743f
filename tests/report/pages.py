"""Runs whose pages the tests open: a stuck 12x7 program, a full wafer with made-up counts."""

from __future__ import annotations

import numpy as np

import wafersim as ws
from wafersim.program.schema import Counter, Event, Port
from wafersim.record import Record

#: PEs of the ring of waits, in its order: each first receives from the one behind it and only then sends
RING = [(7, 2), (8, 2), (9, 2), (9, 3), (9, 4), (8, 4), (7, 4), (7, 3)]

#: waits for a PE that never sends
ALONE = (2, 5)

_STEP = {
    (1, 0): ("EAST", "WEST"),
    (-1, 0): ("WEST", "EAST"),
    (0, 1): ("SOUTH", "NORTH"),
    (0, -1): ("NORTH", "SOUTH"),
}


def stuck_program(name: str = "stuck 12x7") -> ws.MachineProgram:
    """12x7 PEs; eight of them wait for each other in a ring, PE (2, 5) waits for PE (1, 5), the others finish."""
    lay = ws.Layout(12, 7, name=name)
    colors = [lay.color(f"ring{k}", 4 + k) for k in range(len(RING))]
    for k, (x, y) in enumerate(RING):
        nx, ny = RING[(k + 1) % len(RING)]
        out, into = _STEP[nx - x, ny - y]
        lay.route(colors[k], x=x, y=y, rx="RAMP", tx=out)
        lay.route(colors[k], x=nx, y=ny, rx=into, tx="RAMP")
    late = lay.color("late", 2)
    lay.route(late, x=1, y=5, rx="RAMP", tx="EAST")
    lay.route(late, x=2, y=5, rx="WEST", tx="RAMP")
    for k, (x, y) in enumerate(RING):
        pe = lay.tile(f"ring{k}")
        lay.place(pe, x=x, y=y)
        a, b = pe.array("a", "u32", 4), pe.array("b", "u32", 4)
        with pe.function("main"):
            pe.mov32(pe.mem_dsd(b), pe.fabin_dsd(pe.input_queue(2, colors[k - 1]), extent=4))
            pe.mov32(pe.fabout_dsd(pe.output_queue(3, colors[k]), extent=4), pe.mem_dsd(a))
            pe.done()
    silent, waiting, worker = lay.tile("silent"), lay.tile("waiting"), lay.tile("worker")
    lay.place(silent, x=1, y=5)
    lay.place(waiting, x=2, y=5)
    with silent.function("main"):
        silent.fabout_dsd(silent.output_queue(3, late), extent=4)
        silent.done()
    got = waiting.array("got", "u32", 4)
    with waiting.function("main"):
        waiting.mov32(waiting.mem_dsd(got), waiting.fabin_dsd(waiting.input_queue(2, late), extent=4))
        waiting.done()
    taken = {*RING, (1, 5), (2, 5)}
    with worker.function("main"):
        with worker.for_range(5):
            pass
        worker.done()
    for y in range(7):
        for x in range(12):
            if (x, y) not in taken:
                lay.place(worker, x=x, y=y)
    return lay.build()


def stuck_record(name: str = "stuck 12x7") -> Record:
    """Its run."""
    sim = ws.Simulator(stuck_program(name), "wse2")
    sim.launch("main")
    return sim.run(raise_on_stuck=False)


def noisy_record(width: int = 750, height: int = 994, cycles: int = 1_000_000) -> Record:
    """A made-up run with incompressible counts in eight layers, the most that a page of a full wafer has to hold."""
    rng = np.random.default_rng(3)
    counters = np.zeros((height, width, len(Counter)), np.int64)
    for counter in (Counter.BUSY_VECTOR, Counter.STALL_INPUT, Counter.STALL_OUTPUT):
        counters[:, :, counter] = rng.integers(0, cycles // 3, (height, width))
    counters[:, :, Counter.IDLE] = cycles - counters.sum(axis=2)
    links = np.zeros((1, height, width, len(Port)), np.int64)
    links[0, :, :, Port.EAST] = rng.integers(0, cycles, (height, width))
    links[0, :, :, Port.SOUTH] = rng.integers(0, cycles, (height, width))
    info = {
        "kernel": "made_up", "program": "made_up", "arch": "wse2", "grid": f"{width}x{height}", "params": {},
        "fidelity": "wavelet", "seed": 0, "status": "finished", "cycles": cycles, "verified": None, "events": 1,
        "metrics": {}, "validity": "unvalidated", "validity_rows": [], "not_modelled": [], "warnings": [],
    }  # fmt: skip
    events = np.broadcast_to(np.int64(0), (height, width, len(Event)))
    return Record(
        counters, events, links, np.ones((height, width), bool), [{"number": 7, "name": "red"}], info
    )
