"""Programs that the host streams into and out of: one row of PEs, color red in by the west edge, blue out by the east."""

from __future__ import annotations

import wafersim as ws


def adder(width: int = 3, words: int = 8, arch: str = "wse2-sdk", port: str = "WEST"):
    """Each PE adds 1 to ``words`` words on their way; the first gets them from the host, the last gives them to it."""
    lay = ws.Layout(width, 1, arch=arch, name="adder")
    colors = [lay.color(f"c{k}", k) for k in range(width + 1)]
    for x in range(width):
        pe = lay.tile(f"pe{x}")
        lay.place(pe, x=x)
        first, last = x == 0, x == width - 1
        lay.route(colors[x], x=x, rx=port if first else "WEST", tx="RAMP")
        lay.route(colors[x + 1], x=x, rx="RAMP", tx="EAST", sink="EAST" if last else ())
        one = pe.array("one", "u16", 2 * words, init=1)
        source = pe.fabin_dsd(pe.input_queue(2, colors[x]), extent=words, type="u16")
        out = pe.fabout_dsd(pe.output_queue(3, colors[x + 1]), extent=words, type="u16")
        with pe.function("main"):
            pe.add16(out, source, pe.mem_dsd(one, extent=words), simd="off")
            pe.done()
    if port != "RAMP":
        lay.stream("in", colors[0], port, to_host=False)
    lay.stream("out", colors[width], "EAST", x=width - 1, to_host=True)
    return lay


def echo(arch: str = "wse2-sdk"):
    """One PE without code: what the host feeds to the RAMP goes to the host again by the RAMP, WEST and SOUTH."""
    lay = ws.Layout(1, 1, arch=arch, name="echo")
    pe = lay.tile("pe")
    lay.place(pe)
    red = lay.color("red", 5)
    lay.route(red, rx="RAMP", tx=("RAMP", "WEST", "SOUTH"), sink=("RAMP", "WEST", "SOUTH"), pop="always")
    with pe.function("main"):
        pe.done()
    return lay


def counter(words: int = 10, arch: str = "wse2-sdk"):
    """A data task counts words from the host and signals completion after ``words`` of them."""
    lay = ws.Layout(2, 1, arch=arch, name="counter")
    red = lay.color("red", 5)
    lay.route(red, x=0, rx="WEST", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    pe = lay.tile("pe")
    lay.place(pe, x=1)
    count = pe.array("count", "u32", 1, init=0)
    with pe.data_task("take", pe.input_queue(2, red)):
        n = pe.load(count) + 1
        pe.store(count, 0, n)
        with pe.if_(n == words):
            pe.done()
    with pe.function("main"):
        pass
    return lay
