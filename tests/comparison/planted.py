"""Pairs of runs with one planted difference each, and the words in which `compare` has to name it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import wafersim as ws
from wafersim.simulate.runner import prepare

Pair = tuple[ws.Record, ws.Record]

SLOW = (5, 1)


def relay(
    detour: bool = False, rounds: int = 3, slow: int = 0, color: int = 5, first: str = "low", work: int = 40
) -> ws.MachineProgram:
    """A 7x3 wafer whose PE (0, 0) sends 20 words to PE (6, 0); the others count, each ``rounds`` x its own ``work``.

    ``detour`` leads the words over row 1 between columns 2 and 3. ``slow`` is added to the work of PE (5, 1).
    """
    lay = ws.Layout(7, 3, name="relay")
    red = lay.color("red", color)
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    for x in range(1, 6):
        lay.route(red, x=x, rx="WEST", tx="EAST")
    lay.route(red, x=6, rx="WEST", tx="RAMP")
    if detour:
        for x, y, rx, tx in (
            (2, 0, "WEST", "SOUTH"),
            (2, 1, "NORTH", "EAST"),
            (3, 1, "WEST", "NORTH"),
            (3, 0, "SOUTH", "EAST"),
        ):
            lay.route(red, x=x, y=y, rx=rx, tx=tx, replace=True)
    sender, taker, counter = lay.tile("sender"), lay.tile("taker"), lay.tile("counter")
    lay.place(sender, x=0, y=0)
    lay.place(taker, x=6, y=0)
    x = sender.array("x", "f32", 20, init=1.0)
    with sender.function("main"):
        sender.fmovs(sender.fabout_dsd(sender.output_queue(3, red), extent=20), sender.mem_dsd(x))
        sender.done()
    y = taker.array("y", "f32", 20, init=0.0)
    with taker.function("main"):
        taker.fmovs(taker.mem_dsd(y), taker.fabin_dsd(taker.input_queue(2, red), extent=20))
        taker.done()
    amount = counter.param("work", "u32")
    places = [(x, y) for y in range(3) for x in range(7) if (x, y) not in ((0, 0), (6, 0))]
    for x, y in places:
        lay.place(counter, x=x, y=y, params={"work": work + slow * ((x, y) == SLOW)})
    extra = counter.array("extra", "u32", 1, init=0)
    total = counter.array("total", "u32", 1, init=0)
    later = counter.local_task("later", id=9, priority=first)
    with later:
        counter.done()
    with counter.function("main"):
        with counter.for_range(rounds), counter.for_range(counter.load(amount) + counter.load(extra, 0)) as i:
            counter.store(total, 0, counter.load(total, 0) + i.to("u32"))
        counter.activate(later)
    return lay.build()


def run(program: ws.MachineProgram, arch: str | ws.Arch = "wse2", extra: int = 0) -> ws.Record:
    """The record of the relay; ``extra`` is written by the host to PE (5, 1), where no record shows it."""
    sim = ws.Simulator(program, arch)
    if extra:
        sim.write("extra", extra, (*SLOW, 1, 1))
    sim.launch("main")
    return sim.run()


def kernel(name: str, grid: str, arch: str | ws.Arch = "wse2", **params) -> ws.Record:
    return prepare(name, arch, grid, params).execute()


def other_constant(**values) -> Pair:
    program = relay(rounds=1, work=0)  # the words are what takes longest
    return run(program), run(program, ws.Arch.load("wse2").replace(**values))


#: name -> (the pair, words that the first cause has to hold)
PAIRS: dict[str, tuple[Callable[[], Pair], tuple[str, ...]]] = {
    "hop": (partial(other_constant, hop_cycles=3), ("constant hop_cycles: 1 -> 3",)),
    "ramp": (partial(other_constant, ramp_in_cycles=9), ("constant ramp_in_cycles:", "-> 9")),
    "route": (
        lambda: (run(relay()), run(relay(detour=True))),
        ("route of color 'red' (5)", "PE (2, 0)", "from WEST to EAST -> from WEST to SOUTH"),
    ),
    "color": (lambda: (run(relay()), run(relay(color=8))), ("color 'red' (5) is routed only in A",)),
    "slow PE by parameter": (
        lambda: (run(relay()), run(relay(slow=500))),
        ("per-PE parameter 'work' at PE (5, 1): 40 -> 540",),
    ),
    "slow PE by input": (
        lambda: (run(relay()), run(relay(), extra=500)),
        ("PE (5, 1) did other work", "the other PEs did not"),
    ),
    "code": (lambda: (run(relay()), run(relay(rounds=4))), ("code of tile 'counter' (1 of", "planted.py:", "rounds")),
    "task priority": (
        lambda: (run(relay()), run(relay(first="high"))),
        ("tasks (priority, blocked, active)", "PRIORITY 0 -> 1"),
    ),
    "tile size": (
        lambda: (kernel("gemm", "3x3", tile=4), kernel("gemm", "3x3", tile=6)),
        ("parameter tile: 4 -> 6",),
    ),
    "algorithm": (
        lambda: (kernel("reduce", "8x1", algorithm="chain"), kernel("reduce", "8x1", algorithm="star")),
        ("parameter algorithm: chain -> star",),
    ),
    "grid": (lambda: (kernel("reduce", "8x1"), kernel("reduce", "9x1")), ("grid: 8x1 -> 9x1",)),
    "generation": (
        lambda: (kernel("broadcast", "6x1"), kernel("broadcast", "6x1", arch="wse3")),
        ("arch: wse2 -> wse3",),
    ),
}  # fmt: skip
