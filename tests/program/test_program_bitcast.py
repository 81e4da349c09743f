"""bitcast keeps the bits and changes the type; engine and oracle alike."""

from __future__ import annotations

import numpy as np
import pytest
from program_helpers import execute, one_tile

import wafersim as ws
from wafersim.errors import ProgramError

FLOATS = np.array([0.0, -0.0, 1.5, -2.75, np.inf, 1e-40], np.float32)


def build():
    """x -> its bits (signed and unsigned), and back to floats from the signed bits."""
    lay, pe = one_tile()
    x = pe.array("x", "f32", len(FLOATS), init=FLOATS)
    unsigned, signed = pe.array("unsigned", "u32", len(FLOATS)), pe.array("signed", "i32", len(FLOATS))
    back, less = pe.array("back", "f32", len(FLOATS)), pe.array("less", "u16", len(FLOATS))
    with pe.function("main"):
        with pe.for_range(len(FLOATS)) as i:
            value = pe.load(x, i)
            pe.store(unsigned, i, value.bitcast("u32"))
            bits = value.bitcast("i32")
            pe.store(signed, i, bits)
            pe.store(less, i, bits < 0)
            pe.store(back, i, bits.bitcast("f32") * 1.0)
        pe.done()
    lay.place(pe)
    return lay


def expect(read):
    bits = FLOATS.view(np.uint32)
    assert (read("unsigned") == bits).all()
    assert (read("signed") == FLOATS.view(np.int32)).all()
    assert (read("less") == (FLOATS.view(np.int32) < 0)).all()
    assert (read("back").view(np.uint32) == bits).all()


def test_the_oracle_keeps_the_bits():
    run = execute(build(), "main")
    expect(lambda name: run.read(name))


def test_the_engine_keeps_the_bits():
    sim = ws.Simulator(build().build(), arch="wse2")
    sim.launch("main")
    sim.run()
    expect(lambda name: sim.read(name)[0, 0])


def test_sizes_must_agree():
    _, pe = one_tile()
    with pe.function("main"), pytest.raises(ProgramError, match="bitcast from f32 to u16: 4 and 2 bytes"):
        pe.let("f32", 1.0).bitcast("u16")
