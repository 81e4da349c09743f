"""Where arrays of a PE's program lie."""

from __future__ import annotations

import pytest
from lowering import build

TEXT = """
var own: [{cells}]f32{own}; var buffer: [{cells}]f32{buffer};
const here = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{{cells}}} -> own[i] }});
const there = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{{cells}}} -> buffer[i] }});
fn main() void {{ @fmacs(here, here, there, 2.0); @__launch_done(); }}
comptime {{ @export_symbol(main); }}
"""


def conflicts(cells, value):
    given = {"own": value, "buffer": value, "cells": cells}
    return int(build(TEXT.format(**given)).run().record["pe"]["bank_conflicts"].sum())


@pytest.mark.parametrize(("cells", "expected"), [(56, 56), (54, 0)])
def test_arrays_without_a_value_lie_as_declared(cells, expected):
    """56 and 54 words are 0 and 8 bytes modulo 16: the published stencil pays for the first."""
    assert conflicts(cells, "") == expected


def test_arrays_with_a_value_are_moved_apart():
    assert conflicts(56, " = @zeros([56]f32)") == 0
