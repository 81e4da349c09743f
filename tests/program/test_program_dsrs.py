"""Explicit DSRs as operands: an op of one source takes it from either source file."""

from __future__ import annotations

import numpy as np
import pytest
from program_helpers import execute, one_tile

from wafersim.errors import ProgramError

VALUES = np.array([3, 5, 8, 13], np.uint32)


@pytest.mark.parametrize("file", ["src0", "src1"])
def test_a_single_source_may_be_a_dsr_of_either_file(file):
    lay, pe = one_tile()
    x = pe.array("x", "u32", 4, init=VALUES)
    y = pe.array("y", "u32", 4)
    dest, source = pe.dsr("dest", 1), pe.dsr(file, 1)
    with pe.function("main"):
        pe.load_to_dsr(dest, pe.mem_dsd(y))
        pe.load_to_dsr(source, pe.mem_dsd(x))
        pe.mov32(dest, source)
        pe.done()
    lay.place(pe)
    run = execute(lay, "main")
    assert (run.read("y") == VALUES).all()


def test_a_destination_dsr_is_no_source():
    _, pe = one_tile()
    x = pe.array("x", "u32", 4)
    dest, other = pe.dsr("dest", 1), pe.dsr("dest", 2)
    with pe.function("main"), pytest.raises(ProgramError, match="DSR dest 2 cannot be the source a"):
        pe.load_to_dsr(dest, pe.mem_dsd(x))
        pe.load_to_dsr(other, pe.mem_dsd(x))
        pe.mov32(dest, other)
