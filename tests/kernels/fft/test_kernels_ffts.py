"""The 3-D FFT: values at several shapes, the parts that make a whole, descriptors."""

from __future__ import annotations

from collections import Counter

import pytest

from wafersim.arch import Arch
from wafersim.kernels.fft.fft_code import merged
from wafersim.kernels.fft.fft_local import LocalFft
from wafersim.program import Layout
from wafersim.simulate import run

SIMULATORS = ["wse2-sdk", "wse3-sdk"]


def verified(kernel, arch, grid, **params):
    record = run(kernel, arch, grid, params)
    assert record.status == "finished"
    assert record.verified, record.max_abs_error
    return record


@pytest.mark.parametrize("arch", SIMULATORS)
@pytest.mark.parametrize(("grid", "n"), [("1x1", 8), ("2x1", 4), ("8x4", 8), ("2x4", 8)])
def test_ffts(arch, grid, n):
    verified("fft", arch, grid, n=n)


@pytest.mark.parametrize("arch", SIMULATORS)
def test_an_inverse_fft(arch):
    verified("fft", arch, "4x2", n=8, inverse=True)


@pytest.mark.long
@pytest.mark.parametrize("arch", Arch.names())
@pytest.mark.parametrize(("grid", "n"), [("32x32", 32), ("32x16", 32), ("64x32", 64)])
def test_large_ffts(arch, grid, n):
    verified("fft", arch, grid, n=n)


@pytest.mark.parametrize("arch", ["wse2", "wse3-sdk"])
@pytest.mark.parametrize(("width", "height", "n"), [(4, 2, 4), (4, 8, 8), (4, 1, 4)])
def test_an_fft_takes_as_long_as_a_row_and_a_column(arch, width, height, n):
    """What makes sizes possible that cannot be run as a whole; exact where the ramp has no pace."""
    whole = verified("fft", arch, (width, height), n=n).metrics["window_cycles"]
    row = verified("fft", arch, (width, 1), n=n, part="rows", pencils=n // height)
    column = verified("fft", arch, (1, height), n=n, part="columns", pencils=n // width)
    assert whole == row.metrics["window_cycles"] + column.metrics["window_cycles"]


@pytest.mark.long
@pytest.mark.parametrize("arch", ["wse2", "wse3-sdk"])
@pytest.mark.parametrize(("width", "height", "n"), [(16, 8, 16), (8, 16, 32), (32, 32, 32)])
def test_larger_ffts_take_as_long_as_a_row_and_a_column(arch, width, height, n):
    test_an_fft_takes_as_long_as_a_row_and_a_column(arch, width, height, n)


def test_blocks_are_described_with_as_few_dimensions_as_possible():
    assert merged((4, 1, 1, 2), (2, 9, 9, 1), (2, 7, 7, 1)) == ((8,), (1,), (1,))
    assert merged((3, 2, 1, 4), (8, 4, 0, 1), (40, 4, 0, 1)) == ((3, 8), (8, 1), (40, 1))
    assert merged((1, 1), (5, 1)) == ((1,), (1,))


@pytest.mark.parametrize("stages", [1, 2, 4])
def test_a_local_transform_makes_the_copies_of_the_public_program(stages):
    """Per stage one product and two multiply-adds per factor and two sums; four copies but in the last one."""
    layout = Layout(1, 1, arch="wse2")
    pe = layout.tile("pe")
    buffers = tuple(pe.array(name, "f32", 4 << stages) for name in ("data", "other"))
    factors, work = pe.array("factors", "f32", 1 << stages), pe.array("work", "f32", 2 << stages)
    fft = LocalFft(pe, 1 << stages, 1, buffers, factors, work)
    calls = Counter()
    for name in ("fmuls", "fmacs", "fsubs", "fadds", "fmovs"):
        monkey = getattr(pe, name)
        setattr(pe, name, lambda *a, _name=name, _op=monkey, **k: (calls.update([_name]), _op(*a, **k))[1])
    fft.function(0)
    fft.emit()
    assert calls == Counter(
        fmuls=stages, fmacs=2 * stages, fsubs=stages, fadds=stages, fmovs=4 * (stages - 1)
    )
