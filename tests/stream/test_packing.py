"""16-bit elements: how many words a beat takes depends on what has come; both fidelities see the same."""

from __future__ import annotations

import pytest

from wafersim.program import Layout
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

ELEMENTS = 41  # an odd last one


def _program(arch: str, send: str, receive: str, late: int, op: str, index_offset: bool = False):
    """PE 0 sends; PE 1 begins to receive `late` turns of a loop later and stamps the end."""
    layout = Layout(2, 1, arch=arch)
    left, right = layout.tile("left"), layout.tile("right")
    layout.place(left), layout.place(right, x=1)
    color = layout.color("red", 5)
    layout.route(color, x=0, rx="RAMP", tx="EAST")
    layout.route(color, x=1, rx="WEST", tx="RAMP")
    source, out = left.array("source", "f16", ELEMENTS), left.output_queue(2, color)
    with left.function("main"):
        words = left.fabout_dsd(out, ELEMENTS, type="f16")
        left.mov16(words, left.mem_dsd(source, type="i16"), simd=send)
        left.done()
    stamps, into = right.array("stamps", "u64", 2), right.input_queue(2, color)
    got, other = right.array("got", "f16", ELEMENTS), right.array("other", "f16", ELEMENTS)
    with right.function("main"):
        with right.for_range(late):
            right.store(stamps, 0, right.timestamp())
        target = right.mem_dsd(got, index_offset=index_offset)
        words = right.fabin_dsd(into, ELEMENTS, type="f16")
        if op == "mov16":
            right.mov16(target, words, simd=receive)
        else:
            right.faddh(target, right.mem_dsd(other), words, simd=receive)
        right.store(stamps, 1, right.timestamp())
        right.done()
    return layout.build()


def _both(program, arch: str) -> list[tuple]:
    found = []
    for sim in (StreamSimulator(program, arch), Simulator(program, arch)):
        sim.launch("main")
        record = sim.run()
        assert record.status == "finished"
        found.append((record.cycles, sim.read("stamps", rect=(1, 0, 1, 1)).ravel().tolist()))
    return found


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("op", ["mov16", "faddh"])
@pytest.mark.parametrize("late", [1, 3, 60])
@pytest.mark.parametrize("receive", ["simd_32", "simd_64", "simd_32_or_64"])
def test_receiver_takes_one_word_or_two(arch, op, late, receive):
    stream, wavelet = _both(_program(arch, "simd_32", receive, late, op), arch)
    assert stream == wavelet


def test_a_late_receiver_catches_up_two_words_a_beat():
    pairs, singles = (
        _both(_program("wse2", "simd_32", receive, 60, "mov16"), "wse2")[0][1][1]
        for receive in ("simd_32_or_64", "simd_32")
    )
    assert pairs < singles


@pytest.mark.parametrize("late", [1, 60])
def test_elements_that_go_where_their_index_says(late):
    program = _program("wse2", "off", "off", late, "mov16", index_offset=True)
    stream, wavelet = _both(program, "wse2")
    assert stream == wavelet
