"""Small programs and kernels that together use most of the machine, ready to run, and complete snapshots of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import wafersim as ws
from wafersim.simulate.runner import prepare


def _launched(sim: ws.Simulator, launches: list[tuple[str, dict[str, Any]]]) -> ws.Simulator:
    """The simulator with these functions launched; the calls, as the core gets them, are its ``calls``."""
    sim.calls = [sim._functions.call(function, (), args) for function, args in launches]  # type: ignore[attr-defined]
    for function, args in launches:
        sim.launch(function, **args)
    return sim


def _kernel(name: str, arch: str, grid: str, **params: Any) -> Callable[[], ws.Simulator]:
    @cache
    def prepared_once() -> Any:
        return prepare(name, arch, grid, params)

    def make() -> ws.Simulator:
        prepared = prepared_once()
        sim = ws.Simulator(prepared.built.program, prepared.arch, 1)
        prepared.built.setup(sim, np.random.default_rng(1))
        return _launched(sim, [(launch.function, launch.args) for launch in prepared.built.launches])

    return make


def _program(build: Callable[[], Any], arch: str = "wse2", seed: int = 1) -> Callable[[], ws.Simulator]:
    built = cache(build)

    def make() -> ws.Simulator:
        sim = ws.Simulator(built(), arch, seed)
        return _launched(sim, [(name, {}) for name in sim.functions])

    return make


def contention():
    """Three PEs of a column send 40 words each on two colors over one link; the last takes them slowly."""
    lay = ws.Layout(1, 4, name="contention")
    red, blue = lay.color("red", 2), lay.color("blue", 3)
    for color, top in ((red, 0), (blue, 1)):
        lay.route(color, y=top, rx="RAMP", tx="SOUTH")
        lay.route(color, y=top + 1, height=2 - top, rx=("NORTH", "RAMP"), tx="SOUTH")
        lay.route(color, y=3, rx="NORTH", tx="RAMP")
    for y in range(3):
        pe = lay.tile(f"sender{y}")
        lay.place(pe, y=y)
        x = pe.array("x", "u32", 40, init=np.arange(40) + 1000 * y)
        with pe.function("main"):
            for queue, color in ((2, red), (3, blue)):
                if y >= (color is blue):
                    pe.mov32(
                        pe.fabout_dsd(pe.output_queue(queue, color), extent=40), pe.mem_dsd(x), async_=True
                    )
            pe.done()
    pe = lay.tile("taker")
    lay.place(pe, y=3)
    count = pe.array("count", "u32", 2, init=0)
    log = pe.array("log", "u32", 200, init=0)
    for k, color in enumerate((red, blue)):
        with pe.data_task(f"take{k}", pe.input_queue(2 + k, color), priority=("low", "high")[k]) as word:
            n = pe.load(count, k)
            pe.store(log, n if k == 0 else n + 120, word)
            pe.store(count, k, n + 1)
            with pe.if_(n == (119, 79)[k]):
                pe.store(count, k, 0)
    with pe.function("main"):
        pe.done()
    return lay.build()


def switches():
    """A ring of switch positions: two senders take turns by control wavelets, a multicast delivers to two PEs."""
    from wafersim.program import control_payload

    lay = ws.Layout(4, 1, name="switches")
    red = lay.color("red", 5)
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="EAST", switches=[{"rx": "RAMP"}], ring=True, pop="always")
    lay.route(red, x=2, rx="WEST", tx=("RAMP", "EAST"))
    lay.route(red, x=3, rx="WEST", tx="RAMP")
    for x in range(2):
        pe = lay.tile(f"sender{x}")
        lay.place(pe, x=x)
        data = pe.array("data", "u32", 6, init=np.arange(6) + 100 * x)
        switch = pe.array("switch", "u32", 1, init=control_payload(33, ["advance"]))
        out = pe.output_queue(4, red)
        with pe.function("main"):
            with pe.for_range(3):
                pe.mov32(pe.fabout_dsd(out, extent=6), pe.mem_dsd(data))
                pe.mov32(pe.fabout_dsd(out, extent=1, control=True), pe.mem_dsd(switch))
            pe.done()
    for x in (2, 3):
        pe = lay.tile(f"taker{x}")
        lay.place(pe, x=x)
        total, turns = pe.array("total", "u32", 1, init=0), pe.array("turns", "u32", 1, init=0)
        with pe.data_task("take", pe.input_queue(1, red)) as word:
            pe.store(total, 0, pe.load(total) + word)
        with pe.control_task("turn", 33):
            pe.store(turns, 0, pe.load(turns) + 1)
        with pe.function("main"):
            pe.done()
    return lay.build()


def fifos():
    """Words go through a FIFO between a receiving and a sending microthread, with both activations."""
    lay = ws.Layout(3, 1, name="fifos")
    red, blue = lay.color("red", 5), lay.color("blue", 6)
    for color, first in ((red, 0), (blue, 1)):
        lay.route(color, x=first, rx="RAMP", tx="EAST")
        lay.route(color, x=first + 1, rx="WEST", tx="RAMP")
    left, middle, right = (lay.tile(name) for name in ("left", "middle", "right"))
    for x, pe in enumerate((left, middle, right)):
        lay.place(pe, x=x)
    x = left.array("x", "f32", 30, init=np.arange(30))
    with left.function("main"):
        left.fmovs(left.fabout_dsd(left.output_queue(3, red), extent=30), left.mem_dsd(x))
        left.done()
    wakes = middle.array("wakes", "u32", 2, init=0)
    tasks = [middle.local_task(f"woken{k}", id=10 + k) for k in range(2)]
    fifo = middle.fifo("between", "f32", 5, activate_push=tasks[0], activate_pop=tasks[1])
    for k, task in enumerate(tasks):
        with task:
            middle.store(wakes, k, middle.load(wakes, k) + 1)
    with middle.function("main"):
        middle.fmovs(fifo, middle.fabin_dsd(middle.input_queue(2, red), extent=30), async_=True)
        middle.fmovs(middle.fabout_dsd(middle.output_queue(3, blue), extent=30), fifo, async_=True)
        middle.done()
    y = right.array("y", "f32", 30, init=0.0)
    finish = right.local_task("finish", id=9)
    with finish:
        right.done()
    with right.function("main"):
        right.fadds(right.mem_dsd(y), right.mem_dsd(y), right.fabin_dsd(right.input_queue(2, blue), extent=30),
                    async_=True, activate=finish)  # fmt: skip
    return lay.build()


def mixed():
    """One PE: scalar loops, f16 and f32 vector ops with conflicts and pace, a map, random numbers, prints."""
    lay = ws.Layout(1, 1, name="mixed")
    pe = lay.tile("only")
    lay.place(pe)
    rng = np.random.default_rng(5)
    a = pe.array("a", "f32", 37, init=rng.standard_normal(37, dtype=np.float32))
    b = pe.array("b", "f32", 37, init=rng.standard_normal(37, dtype=np.float32))
    h = pe.array("h", "f16", 41, init=rng.standard_normal(41).astype(np.float16))
    g = pe.array("g", "f16", 41, init=rng.standard_normal(41).astype(np.float16))
    out = pe.array("out", "u64", 8, init=0)
    square = pe.function("square", args=[("v", "f32")], returns="f32", export=False)
    with square as (v,):
        pe.return_(v * v + 0.5)
    later = pe.local_task("later", id=12, priority="high")
    with later:
        pe.store(out, 3, pe.timestamp())
        pe.done()
    with pe.function("main"):
        start = pe.timestamp()
        pe.fmacs(pe.mem_dsd(a), pe.mem_dsd(a), pe.mem_dsd(b), 1.5)
        pe.faddh(pe.mem_dsd(h), pe.mem_dsd(h), pe.mem_dsd(g))
        pe.fmach(
            pe.mem_dsd(h, extent=20, stride=2),
            pe.mem_dsd(h, extent=20, stride=2),
            pe.mem_dsd(g, extent=20),
            0.25,
        )
        pe.map(square, pe.mem_dsd(b, extent=7), pe.mem_dsd(a, extent=7))
        n = pe.let("u64", 1)
        with pe.for_range(13) as i:
            n += n * 3 + i.to("u64")
            with pe.if_((n & 4) == 0):
                n += pe.random().to("u64")
        pe.print_("n = {}", n)
        pe.store(out, 0, n)
        pe.store(out, 1, start)
        pe.fmacs(pe.mem_dsd(a), pe.mem_dsd(b), pe.mem_dsd(a), 0.5, async_=True, ut=3, activate=later)
        with pe.for_range(5) as i:
            n /= 7
            n += 11
        pe.store(out, 2, n)
    return lay.build()


def teardown():
    """A stream is torn down by its last word, its route replaced, and a second stream goes the other way."""
    from wafersim.program import control_payload

    lay = ws.Layout(3, 1, name="teardown")
    red = lay.color("red", 7)
    lay.route(red, x=0, rx="RAMP", tx="EAST", pop="always")
    lay.route(red, x=1, rx="WEST", tx="RAMP", pop="always")
    back = lay.route_class(rx="WEST", tx="EAST")
    lay.route(red, x=2, rx="WEST", tx="RAMP")
    left, middle, right = (lay.tile(name) for name in ("left", "middle", "right"))
    for x, pe in enumerate((left, middle, right)):
        lay.place(pe, x=x)
    x = left.array("x", "u32", 5, init=np.arange(5))
    end = left.array("end", "u32", 1, init=control_payload(0, ["nop", ("teardown", True)]))
    out = left.output_queue(3, red)
    with left.function("main"):
        left.mov32(left.fabout_dsd(out, extent=5), left.mem_dsd(x))
        left.mov32(left.fabout_dsd(out, extent=1, control=True), left.mem_dsd(end))
        left.mov32(left.fabout_dsd(out, extent=5), left.mem_dsd(x))
        left.done()
    y = middle.array("y", "u32", 5, init=0)
    with middle.teardown_task():
        middle.route_set(red, back)
        middle.teardown_exit(red)
        middle.done()
    with middle.function("main"):
        middle.mov32(middle.mem_dsd(y), middle.fabin_dsd(middle.input_queue(2, red), extent=5))
    y = right.array("y", "u32", 5, init=0)
    with right.function("main"):
        right.mov32(right.mem_dsd(y), right.fabin_dsd(right.input_queue(2, red), extent=5))
        right.done()
    return lay.build()


#: name -> function that returns a simulator with inputs written and functions launched
CASES: dict[str, Callable[[], ws.Simulator]] = {
    "broadcast": _kernel("broadcast", "wse2", "9x1", words=12),
    "reduce_chain": _kernel("reduce", "wse2", "7x2", words=9, algorithm="chain"),
    "reduce_star": _kernel("reduce", "wse2", "6x1", words=5, algorithm="star"),
    "allreduce": _kernel("allreduce", "wse2", "4x3", words=6),
    "relay": _kernel("relay", "wse3", "5x1"),
    "gemm": _kernel("gemm", "wse2", "4x4", tile=3),
    "stencil_cell": _kernel("stencil", "wse2-sdk", "4x3", tile="1x1", iterations=5),
    "stencil_tiled": _kernel("stencil", "wse3-sdk", "3x3", tile="6x5", iterations=3),
    "contention": _program(contention),
    "switches": _program(switches),
    "fifos": _program(fifos),
    "mixed": _program(mixed),
    "teardown": _program(teardown),
}


def snapshot(sim: ws.Simulator) -> dict[str, Any]:
    """Everything that a run leaves: cycle, all counts, the SRAM of every PE, prints, leftovers."""
    machine = sim._machine
    height, width = sim.program.tables["tile_map"].shape
    return {
        "cycle": machine.cycle,
        "counters": machine.counters(),
        "events": machine.events(),
        "links": machine.link_wavelets(),
        "sram": machine.read(0, 0, width, height, 0, int(sim.arch.sram_bytes)),
        "prints": list(machine.prints()),
        "leftovers": list(machine.leftovers()),
    }


def same(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Names of the parts in which two snapshots differ."""
    return [
        k for k in a if not (np.array_equal(a[k], b[k]) if isinstance(a[k], np.ndarray) else a[k] == b[k])
    ]


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits that stand for one part of a snapshot."""
    raw = np.ascontiguousarray(value).tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
    return hashlib.sha256(raw).hexdigest()[:16]
