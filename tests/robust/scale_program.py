"""A 10x10 program on a fabric of any size: streams, a multicast and a reduction; what the scale tests measure.

Run as a script it loads the program on the large fabric and prints CPU seconds (one thread) and bytes as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

WHOLE = (750, 994)
SIDE = 10
WORDS = 100


def layout(width, height, turns):
    """The program in the middle of the fabric: every PE sends to its row's end, which adds up; ``turns`` times."""
    import wafersim as ws

    lay = ws.Layout(width, height, name="scale")
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    row, column = lay.color("row", 2), lay.color("column", 3)
    lay.route(row, x=left, y=top, height=SIDE, rx="RAMP", tx="EAST")
    lay.route(row, x=left + 1, y=top, width=SIDE - 2, height=SIDE, rx="WEST", tx=("EAST", "RAMP"))
    lay.route(row, x=left + SIDE - 1, y=top, height=SIDE, rx="WEST", tx="RAMP")
    lay.route(column, x=left + 1, y=top, width=SIDE - 1, rx="RAMP", tx="SOUTH")
    lay.route(column, x=left + 1, y=top + 1, width=SIDE - 1, height=SIDE - 2, rx="NORTH", tx="SOUTH")
    lay.route(column, x=left + 1, y=top + SIDE - 1, width=SIDE - 1, rx="NORTH", tx="RAMP")
    tiles = [lay.tile(name) for name in ("source", "north", "middle", "south")]
    source, north, middle, south = tiles
    lay.place(source, x=left, y=top, height=SIDE)
    lay.place(north, x=left + 1, y=top, width=SIDE - 1)
    lay.place(middle, x=left + 1, y=top + 1, width=SIDE - 1, height=SIDE - 2)
    lay.place(south, x=left + 1, y=top + SIDE - 1, width=SIDE - 1)
    for pe in tiles:
        x = pe.array("x", "f32", WORDS, init=1.0)
        data = pe.mem_dsd(x)
        out = (
            pe.fabout_dsd(pe.output_queue(3, row if pe is source else column), extent=WORDS)
            if pe in (source, north)
            else None
        )
        if pe is not source:
            heard = pe.fabin_dsd(pe.input_queue(2, row), extent=WORDS)
        if pe is south:
            above = pe.fabin_dsd(pe.input_queue(3, column), extent=WORDS)
        with pe.function("main"):
            with pe.for_range(turns):
                if pe is not source:
                    pe.fadds(data, data, heard)
                if out is not None:
                    pe.fmovs(out, data)
                if pe is south:
                    pe.fadds(data, data, above)
            pe.done()
    return lay


def simulator(width, height, turns=1):
    import wafersim as ws

    sim = ws.Simulator(layout(width, height, turns).build())
    sim.launch("main")
    return sim


def main(path: str) -> None:
    import wafersim as ws

    began = time.process_time()
    sim = simulator(*WHOLE)
    built_s = time.process_time() - began
    record = sim.run()
    sim.program.save(path)
    del sim
    began = time.process_time()
    ws.Simulator(ws.program.MachineProgram.load(path))
    loaded_s = time.process_time() - began
    # not ru_maxrss: that of a child starts with what its parent held
    (peak,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")
    ]
    rss = int(peak.split()[1]) * 1024
    print(json.dumps({"status": record.status, "built_s": built_s, "loaded_s": loaded_s, "rss_bytes": rss}))


if __name__ == "__main__":
    main(sys.argv[1])
