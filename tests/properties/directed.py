"""Programs written by hand for corners that random programs seldom meet, ready for oracle and engine alike.

`DIRECTED` holds the ones of this file and of `corners`, the small programs and kernels that other tests use, and the programs of
`tests/robust` that get stuck or must not.  Each has the face of a generated program: ``make(machine)`` gives a machine of that class,
launched.  Those of `corners` are generated ones by class, and so may have words that the host feeds at first or later.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import wafersim as ws
from wafersim.program import control_payload

_TESTS = Path(__file__).resolve().parents[1]
for _folder in (_TESTS, _TESTS / "robust"):
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))

import quiet_programs  # noqa: E402
import stuck_programs  # noqa: E402

import small_programs  # noqa: E402
from tests.oracle.generate import Generated  # noqa: E402
from tests.properties.corners import CORNERS  # noqa: E402


class Directed:
    """A simulator that is about to run, as data for another machine; pickled, it leaves the simulator behind."""

    def __init__(self, name: str, sim: ws.Simulator, calls: list[tuple[int, list[int]]]) -> None:
        self.name = name
        self.sim: ws.Simulator | None = sim
        self.calls = calls
        tables, arch = sim.program.tables, sim.arch
        self.arguments = tables, arch.ints(), arch.vop_costs(), sim.seed
        places = [(int(x), int(y)) for y, x in np.argwhere(tables["tile_map"] >= 0)]
        self.sram = {(x, y): sim._machine.sram(x, y).copy() for x, y in places}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "sim": None}

    def make(self, machine: Any, **options: Any) -> Any:
        """A machine of the class with the same program, memory and launches."""
        made = machine(*self.arguments, **options)
        for (x, y), sram in self.sram.items():
            made.write(x, y, 1, 1, 0, sram.reshape(1, 1, -1))
        for function, arguments in self.calls:
            made.launch(function, arguments)
        return made


def _row(width: int, name: str, arch: str = "wse2") -> tuple[ws.Layout, list[ws.TileProgram], Any]:
    """A row of PEs, each with a tile of its own, and the color red from west to east."""
    lay = ws.Layout(width, 1, arch=arch, name=name)
    tiles = [lay.tile(f"pe{x}") for x in range(width)]
    for x, pe in enumerate(tiles):
        lay.place(pe, x=x)
    return lay, tiles, lay.color("red", 4)


def _send(pe: ws.TileProgram, color: Any, words: int, queue: int = 3, **settings: Any) -> None:
    x = pe.array("x", "u32", words, init=np.arange(words) + 100)
    with pe.function("main"):
        pe.mov32(pe.fabout_dsd(pe.output_queue(queue, color), extent=words), pe.mem_dsd(x), **settings)
        pe.done()


def _receive(pe: ws.TileProgram, color: Any, words: int) -> None:
    y = pe.array("y", "u32", words, init=0)
    with pe.function("main"):
        pe.mov32(pe.mem_dsd(y), pe.fabin_dsd(pe.input_queue(2, color), extent=words))
        pe.done()


def advance_in_mid_stream():
    """The middle PE sends 4 words and lets its switch advance with the last: only then do the left PE's come through."""
    lay, (left, middle, right), red = _row(3, "advance_in_mid_stream")
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="RAMP", tx="EAST", switches=[{"rx": "WEST"}])
    lay.route(red, x=2, rx="WEST", tx="RAMP")
    _send(left, red, 7)
    _send(middle, red, 4, advance_switch=True)
    _receive(right, red, 11)
    return lay.build()


def advance_by_the_descriptor():
    """The same by the descriptor, asynchronously, in a ring: the switch goes back with the second burst's last word."""
    lay, (left, middle, right), red = _row(3, "advance_by_the_descriptor")
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="RAMP", tx="EAST", switches=[{"rx": "WEST"}], ring=True)
    lay.route(red, x=2, rx="WEST", tx="RAMP")
    _send(left, red, 7)
    x = middle.array("x", "u32", 5, init=np.arange(5))
    out = middle.fabout_dsd(middle.output_queue(3, red), extent=5, advance_switch=True)
    with middle.function("main"):
        middle.mov32(out, middle.mem_dsd(x), async_=True)
        middle.done()
    _receive(right, red, 12)
    return lay.build()


def data_task_behind_an_op():
    """An op takes 6 words of the queue that also feeds a data task; the task gets the rest, and none before."""
    lay, (left, right), red = _row(2, "data_task_behind_an_op")
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    _send(left, red, 14)
    queue = right.input_queue(2, red)
    y, log, count = (right.array(n, "u32", k, init=0) for n, k in (("y", 6), ("log", 14), ("count", 1)))
    with right.data_task("rest", queue) as word:
        n = right.load(count)
        right.store(log, n, word)
        right.store(count, 0, n + 1)
    with right.function("main"):
        right.mov32(right.mem_dsd(y), right.fabin_dsd(queue, extent=6), async_=True, priority="low")
        right.done()
    return lay.build()


def odd_room_in_a_fifo():
    """Packed halves, two wavelets a beat, go into a FIFO of 7 that is emptied element by element."""
    lay, (left, right), red = _row(2, "odd_room_in_a_fifo")
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    halves = 44
    x = left.array("x", "u16", halves, init=np.arange(halves))
    with left.function("main"):
        left.mov16(left.fabout_dsd(left.output_queue(3, red), extent=halves), left.mem_dsd(x))
        left.done()
    fifo = right.fifo("f", "u16", 7)
    y = right.array("y", "u16", 8 * halves, init=0)
    with right.function("main"):
        for _ in range(40):
            right.let("u16", 1)  # the queue fills, so that two wavelets wait
        right.mov16(
            fifo,
            right.fabin_dsd(right.input_queue(2, red), extent=halves),
            async_=True,
            ut=2,
            simd="simd_32_or_64",
            priority="high",
        )
        right.mov16(right.mem_dsd(y, extent=halves, stride=8), fifo, async_=True, ut=3, priority="low")
        right.done()
    return lay.build()


def terminated_and_gone_on():
    """A control wavelet ends a receive that saves its address after 5 of 20 words; the next goes on from there."""
    lay, (left, right), red = _row(2, "terminated_and_gone_on")
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    x = left.array("x", "u32", 5, init=np.arange(5) + 1)
    stop = left.array("stop", "u32", 1, init=control_payload(40))
    out = left.output_queue(3, red)
    with left.function("main"):
        for _ in range(2):
            left.mov32(left.fabout_dsd(out, extent=5), left.mem_dsd(x))
            left.mov32(left.fabout_dsd(out, extent=1, control=True), left.mem_dsd(stop))
        left.done()
    y = right.array("y", "u32", 20, init=0)
    to, of = right.dsr("dest", 0), right.dsr("src0", 0)
    right.preload_dsr(to, right.mem_dsd(y))
    right.preload_dsr(of, right.fabin_dsd(right.input_queue(2, red), extent=20, type="u32"))
    with right.control_task("unused", 40):
        pass
    again = right.local_task("again", id=10)
    options = {"async_": True, "on_control": "terminate", "save_address": True}
    with again:
        right.mov32(to, of, **options)
        right.done()
    with right.function("main"):
        right.mov32(to, of, activate=again, **options)
    return lay.build()


def armed_once():
    """A pop waits for an empty FIFO; later pushes meet a FIFO that holds something, for the pop is held up by its output."""
    lay, (left, right), red = _row(2, "armed_once")
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    words = 40
    x = left.array("x", "u32", 1, init=5)
    wakes, pushed = left.array("wakes", "u32", 1, init=0), left.array("pushed", "u32", 1, init=0)
    woken, push = left.local_task("woken", id=10, priority="high"), left.local_task("push", id=11)
    fifo = left.fifo("f", "u32", words, activate_push=woken)
    with woken:
        left.store(wakes, 0, left.load(wakes) + 1)
    with push:
        left.mov32(fifo, left.mem_dsd(x))
        n = left.load(pushed) + 1
        left.store(pushed, 0, n)
        with left.if_(n < words):
            left.activate(push)
    with left.function("main"):
        left.mov32(left.fabout_dsd(left.output_queue(3, red), extent=words), fifo, async_=True)
        left.activate(push)
        left.done()
    count = right.array("count", "u32", 1, init=0)
    with right.data_task("take", right.input_queue(2, red)) as word:
        with right.for_range(10):
            word // 3
        right.store(count, 0, right.load(count) + 1)
    with right.function("main"):
        right.done()
    return lay.build()


def whole_ops():
    """32-bit ops on memory alone, one after the other: each reads what the last wrote, some rewrite their own source shifted."""
    lay, (pe,), _ = _row(1, "whole_ops")
    n = 24
    rng = np.random.default_rng(11)
    a, b, c = (
        pe.array(name, "f32", n, align=16, init=rng.standard_normal(n, dtype=np.float32)) for name in "abc"
    )
    out = pe.array("out", "u64", 8, init=0)
    numbers = {"dest": iter(range(12)), "src0": iter(range(12)), "src1": iter(range(12))}

    def dsr(file, array, extent, stride=1, offset=0):
        made = pe.dsr(file, next(numbers[file]))
        pe.preload_dsr(made, pe.mem_dsd(array, extent=extent, stride=stride, offset=offset))
        return made

    with pe.function("main"):
        scale = pe.let("f32", 0.75)
        pe.store(out, 0, pe.timestamp())
        pe.fmovs(dsr("dest", b, 9), dsr("src0", a, 9))
        pe.fadds(dsr("dest", c, 9), dsr("src0", b, 9), dsr("src1", a, 9))  # needs b, conflicts
        pe.fmovs(dsr("dest", a, 1), dsr("src0", c, 1))  # one beat, and the next needs it
        pe.fmuls(dsr("dest", a, 2), dsr("src0", a, 2), scale)
        pe.store(out, 1, pe.timestamp())
        pe.fmovs(
            dsr("dest", b, 11, offset=1), dsr("src0", b, 11)
        )  # forward over its own source: one value spreads
        pe.fmovs(dsr("dest", c, 11), dsr("src0", c, 11, offset=1))  # backward: a shift
        pe.fsubs(dsr("dest", b, 7, stride=2), dsr("src0", a, 7, stride=2), dsr("src1", c, 7, stride=3))
        pe.fmacs(dsr("dest", a, 12), dsr("src0", a, 12), dsr("src1", b, 12), scale)
        pe.fmacs(dsr("dest", a, 6, stride=-1, offset=20), dsr("src0", c, 6), dsr("src1", b, 6), 2.0)
        pe.store(out, 2, pe.timestamp())
        pe.done()
    return lay.build()


def ranges_and_sums():
    """An op that reads the end of what the one before it just wrote, and sums whose every element waits for the one before."""
    lay, (pe,), _ = _row(1, "ranges_and_sums")
    n = 12
    h = pe.array("h", "u16", 2 * n, align=16, init=np.arange(2 * n))
    x = pe.array("x", "f32", n, align=16, init=np.linspace(0.5, 3.0, n, dtype=np.float32))
    out = pe.array("out", "f32", 2, init=0)
    total = pe.array("total", "f32", 1, init=1.5)
    first = pe.dsr("dest", 0), pe.dsr("src0", 0)
    then = pe.dsr("dest", 1), pe.dsr("src0", 1)
    addends = pe.dsr("src1", 0)
    for dsr, array, extent, offset in (
        (first[0], h, 4, 0), (first[1], h, 4, 8), (then[0], h, 2, 16), (then[1], h, 2, 2), (addends, x, n, 0),
    ):  # fmt: skip
        pe.preload_dsr(dsr, pe.mem_dsd(array, extent=extent, offset=offset))
    with pe.function("main"):
        pe.mov16(*first)
        pe.mov16(*then)
        register = pe.let("f32", 0.25)
        pe.fadds(register, register, addends)
        pe.store(out, 0, register)
        where = pe.ptr(total)
        pe.fadds(where, where, addends)
        pe.done()
    return lay.build()


def eight_commands():
    """A control wavelet with a command for each of 8 routers: those that get RESET deliver the words behind it."""
    width = 8
    lay, tiles, red = _row(width, "eight_commands")
    lay.route(red, x=0, rx="RAMP", tx="EAST", pop="always")
    for x in range(1, width):
        tx = "RAMP" if x == width - 1 else ("EAST", "RAMP")
        ways = {} if x == width - 1 else {"switches": [{"tx": "EAST"}], "initial": 1}
        lay.route(red, x=x, rx="WEST", tx=tx, pop="always", **ways)
    commands = ["nop", "reset", "nop", "reset", ("reset", True), "nop", "reset", "nop"]
    first = tiles[0]
    x = first.array("x", "u32", 3, init=[7, 8, 9])
    switch = first.array("switch", "u32", 1, init=control_payload(45, commands))
    out = first.output_queue(3, red)
    with first.function("main"):
        first.mov32(first.fabout_dsd(out, extent=1, control=True), first.mem_dsd(switch))
        first.mov32(first.fabout_dsd(out, extent=3), first.mem_dsd(x))
        first.done()
    for pe in tiles[1:]:
        total, seen = pe.array("total", "u32", 1, init=0), pe.array("seen", "u16", 1, init=0)
        with pe.data_task("take", pe.input_queue(2, red)) as word:
            pe.store(total, 0, pe.load(total) + word)
        with pe.control_task("turn", 45, args=("data",)) as field:
            pe.store(seen, 0, field)
        with pe.function("main"):
            pe.done()
    return lay.build()


_OWN: tuple[Callable[[], Any], ...] = (
    advance_in_mid_stream, advance_by_the_descriptor, data_task_behind_an_op, odd_room_in_a_fifo, terminated_and_gone_on,
    armed_once, whole_ops, ranges_and_sums, eight_commands,
)  # fmt: skip


def _of_program(name: str, program: Any) -> Directed:
    sim = ws.Simulator(program, "wse3" if program.meta["generation"] == 3 else "wse2", seed=3)
    return Directed(name, sim, [sim._functions.call(function, (), {}) for function in sim.functions])


def _of_case(name: str) -> Directed:
    sim = small_programs.CASES[name]()
    return Directed(name, sim, sim.calls)


#: takes more cycles than the oracle is given
TOO_LONG = {"quiet: long_silence"}

#: name -> function that makes the program
DIRECTED: dict[str, Callable[[], Directed | Generated]] = {
    **CORNERS,
    **{f.__name__: lambda f=f: _of_program(f.__name__, f()) for f in _OWN},
    **{name: lambda name=name: _of_case(name) for name in small_programs.CASES},
    **{f"stuck: {f.__name__}": lambda f=f: _of_program(f.__name__, f()) for f in stuck_programs.PROGRAMS},
    **{f"quiet: {f.__name__}": lambda f=f: _of_program(f.__name__, f()[0]) for f in quiet_programs.PROGRAMS},
}
