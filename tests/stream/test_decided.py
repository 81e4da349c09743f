"""With values array data may decide what code does: branches, loops, descriptors, addresses, control wavelets."""

from __future__ import annotations

import numpy as np
import pytest

from tests.stream.compare import difference, random_programs
from wafersim.errors import UnsupportedError
from wafersim.program import Layout
from wafersim.program.control import control_payload
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

WORDS = 12


def _program(decides: str):
    """PE 0 sends words to PE 1, which does something that they decide, while its own microthread sends others back."""
    layout = Layout(2, 1, arch="wse2")
    left, right = layout.tile("left"), layout.tile("right")
    layout.place(left, x=0), layout.place(right, x=1)
    there, back = layout.color("there", 5), layout.color("back", 6)
    for color, x, rx, tx in ((there, 0, "WEST", "EAST"), (back, 1, "EAST", "WEST")):
        layout.route(color, x=x, rx="RAMP", tx=tx)
        layout.route(color, x=1 - x, rx=rx, tx="RAMP")
    source, heard = (left.array(name, "i32", WORDS, export=True, data=True) for name in ("source", "heard"))
    out, into = left.output_queue(2, there), left.input_queue(2, back)
    with left.function("main"):
        left.mov32(left.fabout_dsd(out, WORDS), left.mem_dsd(source))
        if decides != "control":
            left.mov32(left.mem_dsd(heard), left.fabin_dsd(into, WORDS))
        left.done()
    got, seen = (right.array(name, "i32", WORDS, export=True, data=True) for name in ("got", "seen"))
    with left.control_task("told", 20):
        left.store(heard, 3, left.load(heard, 3) + 1)
    receive, reply = right.input_queue(2, there), right.output_queue(3, back)
    with right.function("main"):
        right.mov32(right.mem_dsd(got), right.fabin_dsd(receive, WORDS))
        if decides != "control":
            right.mov32(right.fabout_dsd(reply, WORDS), right.mem_dsd(got), async_=True)
        with right.for_range(WORDS) as i:
            word = right.load(got, i)
            if decides == "branch":
                with right.if_(word > 3):
                    right.store(seen, i, word + 1)
            elif decides == "loop":
                with right.for_range(word):
                    right.store(seen, i, right.load(seen, i) + word)
            elif decides == "address":
                right.store(seen, word, right.load(seen, word) + 1)
            elif decides == "control":
                with right.if_(word == 5):
                    right.mov32(right.fabout_dsd(reply, 1, control=True), right.mem_dsd(got, 1))
        right.done()
    return layout.build()


@pytest.mark.parametrize("decides", ["branch", "loop", "address", "control"])
def test_array_data_decides(decides):
    program = _program(decides)
    words = np.array([3, 5, 0, 11, 5, 1, 2, 7, 7, 4, 0, 5], np.int32)
    if decides == "control":
        words[0] = control_payload(20)
    found = []
    for sim in (StreamSimulator(program, values=True), Simulator(program)):
        sim.write("source", words, rect=(0, 0, 1, 1))
        sim.launch("main")
        record = sim.run()
        arrays = [
            sim.read(name, rect=(x, 0, 1, 1)).ravel().tolist() for name, x in (("heard", 0), ("seen", 1))
        ]
        found.append((record.status, record.cycles, *arrays))
    assert found[0] == found[1]
    assert any(found[1][2]) or any(found[1][3])
    off = StreamSimulator(program)
    off.launch("main")
    with pytest.raises(UnsupportedError, match="depends on array data"):
        off.run()


def test_a_word_that_went_elsewhere_holds_nobody_up():
    """A control wavelet to the PE itself, then words east: found where array data made the control wavelet."""
    program = list(random_programs(1481))[3]
    assert difference(program, 0, values=True) == ""
