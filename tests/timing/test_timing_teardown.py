"""From which cycle a torn-down color shows in TEARDOWN_PENDING, and that a read takes it away."""

from __future__ import annotations

import numpy as np
import pytest
from probe import Row, Trace, arch_with

from wafersim.program import control_payload
from wafersim.program.schema import Port

READS = 24


def torn_down(offset: int) -> tuple[Row, Trace]:
    """PE 0 sends a teardown command; PE 1 reads the mask in every cycle, ``offset`` cycles later than at once."""
    row = Row(2, arch_with())
    sender, reader = row.tiles
    word = sender.array("word", "u32", 1, init=control_payload(40, ["teardown"]))
    out, source = sender.dsr("dest", 0), sender.dsr("src0", 0)
    queue = sender.output_queue(3, row.color)
    sender.preload_dsr(out, sender.fabout_dsd(queue, extent=1, type="u32", control=True))
    sender.preload_dsr(source, sender.mem_dsd(word))
    with sender.function("main"):
        sender.mov32(out, source)
        sender.done()
    reader.input_queue(2, row.color)
    with reader.control_task("unused", 40):
        pass
    masks = reader.array("masks", "u32", READS, init=77)
    with reader.function("main"):
        for _ in range(offset):
            reader.let("u16", 1)
        read = [reader.teardown_pending() for _ in range(READS)]
        for k, mask in enumerate(read):
            reader.store(masks, k, mask)
        reader.done()
    return row, Trace(row.lay)


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_the_cycle_from_which_it_shows(offset):
    """Semantics 6: granted in t, so the read issued in t gives 0, the one in t + 1 gives the color, later ones 0 again."""
    row, trace = torn_down(offset)
    (granted,) = trace.grants(row.color, Port.RAMP, 1)
    reads = trace.issues(1)[offset : offset + READS]
    assert reads == list(range(reads[0], reads[0] + READS))
    expected = np.zeros(READS, np.uint32)
    expected[reads.index(granted + 1)] = 1 << row.color.id
    assert reads[0] < granted < reads[-1] - 1
    assert trace.sim.read("masks", (1, 0, 1, 1)).ravel().tolist() == expected.tolist()
