"""Ten programs that get stuck, each for another reason; the line that waits carries the comment ``# waits``.

Every function returns the machine program.  What the report must say about it is in ``test_stuck.py``.
"""

from __future__ import annotations

import wafersim as ws


def _pair(name: str) -> tuple[ws.Layout, ws.TileProgram, ws.TileProgram]:
    """A row of two PEs, ``left`` and ``right``, with its two tiles."""
    lay = ws.Layout(2, 1, name=name)
    left, right = lay.tile("left"), lay.tile("right")
    lay.place(left, x=0, y=0)
    lay.place(right, x=1, y=0)
    return lay, left, right


def _eastward(lay: ws.Layout, color) -> None:
    lay.route(color, x=0, y=0, rx="RAMP", tx="EAST")
    lay.route(color, x=1, y=0, rx="WEST", tx="RAMP")


def missing_sender():
    """The right PE receives 8 words, the left one could send on that color and never does."""
    lay, left, right = _pair("missing_sender")
    red = lay.color("red", 4)
    _eastward(lay, red)
    out = left.fabout_dsd(left.output_queue(3, red), extent=8)
    x = left.array("x", "f32", 8)
    with left.function("main"), left.if_(left.load(x, 0) > 1.0):
        left.fmovs(out, left.mem_dsd(x))
    with left.function("finish"):
        left.done()
    y = right.array("y", "f32", 8)
    taken = right.fabin_dsd(right.input_queue(2, red), extent=8)
    receive = right.local_task("receive", id=9)
    with right.function("main"):
        right.activate(receive)
    with receive:
        right.fmovs(right.mem_dsd(y), taken)  # waits
        right.done()
    return lay.build()


def count_mismatch():
    """The left PE sends 5 words, the right one wants 8, on a microthread."""
    lay, left, right = _pair("count_mismatch")
    red = lay.color("red", 4)
    _eastward(lay, red)
    x = left.array("x", "f32", 5, init=1.0)
    with left.function("main"):
        left.fmovs(left.fabout_dsd(left.output_queue(3, red), extent=5), left.mem_dsd(x))
        left.done()
    y = right.array("y", "f32", 8)
    finish = right.local_task("finish", id=10)
    with finish:
        right.done()
    with right.function("main"):
        taken = right.fabin_dsd(right.input_queue(2, red), extent=8)
        right.fmovs(right.mem_dsd(y), taken, async_=True, activate=finish)  # waits
    return lay.build()


def cyclic_wait():
    """Each PE first receives from its neighbor and only then sends: two colors, a ring of two waits."""
    lay, left, right = _pair("cyclic_wait")
    east, west = lay.color("eastward", 4), lay.color("westward", 5)
    _eastward(lay, east)
    lay.route(west, x=1, y=0, rx="RAMP", tx="WEST")
    lay.route(west, x=0, y=0, rx="EAST", tx="RAMP")
    for pe, inward, outward in ((left, west, east), (right, east, west)):
        x, y = pe.array("x", "u32", 4), pe.array("y", "u32", 4)
        with pe.function("main"):
            pe.mov32(pe.mem_dsd(y), pe.fabin_dsd(pe.input_queue(2, inward), extent=4))  # waits
            pe.mov32(pe.fabout_dsd(pe.output_queue(3, outward), extent=4), pe.mem_dsd(x))
            pe.done()
    return lay.build()


def unbound_queue():
    """The right PE routes the color to its RAMP, but binds its input queue to another color."""
    lay, left, right = _pair("unbound_queue")
    red, blue = lay.color("red", 4), lay.color("blue", 5)
    _eastward(lay, red)
    _eastward(lay, blue)
    x = left.array("x", "u32", 64)
    with left.function("main"):
        left.mov32(left.fabout_dsd(left.output_queue(3, red), extent=64), left.mem_dsd(x))  # waits
        left.done()
    right.input_queue(2, blue)
    with right.function("main"):
        right.done()
    return lay.build()


def full_fifo():
    """A microthread fills a FIFO of 4 that nobody empties."""
    lay = ws.Layout(1, 1, name="full_fifo")
    pe = lay.tile("only")
    lay.place(pe)
    x = pe.array("x", "f32", 10)
    fifo = pe.fifo("backlog", "f32", 4)
    finish = pe.local_task("finish", id=10)
    with finish:
        pe.done()
    with pe.function("main"):
        pe.fmovs(fifo, pe.mem_dsd(x), async_=True, ut=1, activate=finish)  # waits
    return lay.build()


def blocked_task():
    """The task that would signal completion is activated, but starts blocked and nobody unblocks it."""
    lay = ws.Layout(1, 1, name="blocked_task")
    pe = lay.tile("only")
    lay.place(pe)
    finish = pe.local_task("finish", id=10, blocked=True)
    with finish:
        pe.done()  # waits
    with pe.function("main"):
        pe.activate(finish)
    return lay.build()


def switch_position():
    """The middle router stands in the position that takes from its own RAMP; nothing advances it."""
    lay = ws.Layout(3, 1, name="switch_position")
    red = lay.color("red", 4)
    lay.route(red, x=0, y=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, y=0, rx="RAMP", tx="EAST", switches=[{"rx": "WEST"}])
    lay.route(red, x=2, y=0, rx="WEST", tx="RAMP")
    left, middle, right = (lay.tile(name) for name in ("left", "middle", "right"))
    for x, pe in enumerate((left, middle, right)):
        lay.place(pe, x=x, y=0)
    data = left.array("data", "u32", 64)
    with left.function("main"):
        left.mov32(left.fabout_dsd(left.output_queue(3, red), extent=64), left.mem_dsd(data))  # waits
        left.done()
    with middle.function("main"):
        middle.done()
    y = right.array("y", "u32", 64)
    with right.function("main"):
        right.mov32(right.mem_dsd(y), right.fabin_dsd(right.input_queue(2, red), extent=64))
        right.done()
    return lay.build()


def dead_branch():
    """A multicast to two PEs of which the second takes 2 words only."""
    lay = ws.Layout(3, 1, name="dead_branch")
    red = lay.color("red", 4)
    lay.route(red, x=0, y=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, y=0, rx="WEST", tx=("RAMP", "EAST"))
    lay.route(red, x=2, y=0, rx="WEST", tx="RAMP")
    root, live, dead = (lay.tile(name) for name in ("root", "live", "dead"))
    for x, pe in enumerate((root, live, dead)):
        lay.place(pe, x=x, y=0)
    data = root.array("data", "u32", 64)
    with root.function("main"):
        root.mov32(root.fabout_dsd(root.output_queue(3, red), extent=64), root.mem_dsd(data))  # waits
        root.done()
    for pe, words in ((live, 64), (dead, 2)):
        y = pe.array("y", "u32", words)
        with pe.function("main"):
            pe.mov32(pe.mem_dsd(y), pe.fabin_dsd(pe.input_queue(2, red), extent=words))
            pe.done()
    return lay.build()


def queue_clash():
    """An endless receive holds the input queue that the next op wants."""
    lay, left, right = _pair("queue_clash")
    red = lay.color("red", 4)
    _eastward(lay, red)
    x = left.array("x", "u32", 4)
    with left.function("main"):
        left.mov32(left.fabout_dsd(left.output_queue(3, red), extent=4), left.mem_dsd(x))
        left.done()
    queue = right.input_queue(2, red)
    sink, y = right.array("sink", "u32", 1), right.array("y", "u32", 4)
    with right.function("main"):
        right.mov32(right.mem_dsd(sink, extent=1), right.fabin_dsd(queue, extent=8), async_=True)
        right.mov32(right.mem_dsd(y), right.fabin_dsd(queue, extent=4))  # waits
        right.done()
    return lay.build()


def self_wait():
    """A PE sends itself more words than the buffers hold before it starts to receive them."""
    lay = ws.Layout(1, 1, name="self_wait")
    loop = lay.color("loop", 6)
    lay.route(loop, x=0, y=0, rx="RAMP", tx="RAMP")
    pe = lay.tile("only")
    lay.place(pe)
    x, y = pe.array("x", "u32", 64), pe.array("y", "u32", 64)
    work = pe.local_task("work", id=12)
    with pe.function("main"):
        pe.activate(work)
    with work:
        pe.mov32(pe.fabout_dsd(pe.output_queue(3, loop), extent=64), pe.mem_dsd(x))  # waits
        pe.mov32(pe.mem_dsd(y), pe.fabin_dsd(pe.input_queue(2, loop), extent=64))
        pe.done()
    return lay.build()


PROGRAMS = (
    missing_sender, count_mismatch, cyclic_wait, unbound_queue, full_fifo, blocked_task, switch_position,
    dead_branch, queue_clash, self_wait,
)  # fmt: skip
