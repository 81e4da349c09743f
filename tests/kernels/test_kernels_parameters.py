"""Parameters and grids: what is parsed, what is refused, and that the refusal says what is allowed."""

from __future__ import annotations

import pytest

from wafersim import kernels
from wafersim.arch import Arch
from wafersim.errors import ConfigError
from wafersim.kernels.base import Parameter, parse_tile


def test_every_kernel_describes_itself():
    for name in kernels.names():
        kernel = kernels.get(name)
        assert kernel.name == name
        assert kernel.description and len(kernel.description) < 100
        for key, parameter in kernel.parameters.items():
            assert key == parameter.name
            assert parameter.doc
            assert parameter.parse(name, parameter.default) == parameter.default


def test_unknown_kernel_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown; there are: broadcast"):
        kernels.get("brodcast")


@pytest.mark.parametrize(("text", "tile"), [("3x5", (3, 5)), ("4", (4, 4)), (7, (7, 7)), ((2, 3), (2, 3))])
def test_tile_forms(text, tile):
    assert parse_tile(text) == tile


@pytest.mark.parametrize("bad", ["", "x", "3x", "3x4x5", "a", "1.5", True, None])
def test_tile_mistakes(bad):
    parameter = Parameter("tile", tuple, (1, 1), "cells", minimum=1, maximum=9)
    with pytest.raises(ConfigError, match="k: parameter tile"):
        parameter.parse("k", bad)


@pytest.mark.parametrize(
    ("kind", "text", "value"), [(int, "12", 12), (bool, "off", False), (bool, True, True), (str, "a", "a")]
)
def test_values_from_the_command_line(kind, text, value):
    assert Parameter("p", kind, value, "doc").parse("k", text) == value


@pytest.mark.parametrize(
    ("kernel", "params", "message"),
    [
        ("reduce", {"algorithm": "bush"}, "allowed: chain, star, tree"),
        ("reduce", {"words": "0"}, "allowed: an integer in 1..11000"),
        ("reduce", {"words": "many"}, "allowed: an integer in 1..11000"),
        ("reduce", {"words": 2.5}, "allowed: an integer"),
        ("gemm", {"tile": 10**30}, "allowed: an integer in 1..64"),
        ("stencil", {"size": 3}, "unknown parameter 'size'; it has: block, depth, halo, iterations, radius"),
        ("stencil", {"radius": 9}, "allowed: an integer in 1..8"),
    ],
)
def test_parameter_mistakes(kernel, params, message):
    with pytest.raises(ConfigError, match=kernel) as found:
        kernels.get(kernel).resolve(params)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("kernel", "grid", "params", "message"),
    [
        ("broadcast", (1, 1), {}, "allowed: at least 2 PEs"),
        ("reduce", (1, 1), {}, "allowed: height 2 or more"),
        ("allreduce", (1, 1), {}, "allowed: height 2 or more"),
        ("relay", (3, 2), {}, "allowed: Nx1"),
        ("relay", (3, 1), {"hops": 3}, "allowed: at least 4x1 for hops=3"),
        ("gemm", (3, 5), {}, "allowed: square grids"),
        ("stencil", (2, 5), {}, "allowed: 3x3 or larger"),
        ("stencil", (5, 5), {"tile": "3x2", "radius": 3}, "radius=3 exceeds the tile 3x2; allowed: 1..2"),
        ("stencil", (5, 5), {"variant": "cell", "tile": "2x2"}, "variant=cell has tile=1x1"),
        ("stencil", (5, 5), {"variant": "cell", "iterations": 257}, "allowed: 1..256"),
        ("microbench", (2, 1), {}, "allowed: 1x1"),
        ("microbench", (1, 1), {"case": "mul", "dtype": "i16"}, "allowed: f16, f32"),
        ("microbench", (1, 1), {"phase": 3}, "phase=3 is odd"),
    ],
)
def test_grid_and_combination_mistakes(kernel, grid, params, message):
    found = kernels.get(kernel)
    with pytest.raises(ConfigError) as error:
        found.build(Arch.load("wse2"), *grid, found.resolve(params))
    assert message in str(error.value)


def test_tile_too_large_for_the_memory_names_the_arrays():
    kernel = kernels.get("gemm")
    with pytest.raises(ValueError, match="A_buffer"):
        kernel.build(Arch.load("wse2"), 2, 2, kernel.resolve({"tile": 50}))


@pytest.mark.parametrize(("kernel", "grid", "params", "words"), [
    ("fft", (3, 3), {"n": 8}, "divides n=8"),
    ("fft", (2, 2), {"n": 6}, "powers of 2"),
    ("fft", (2, 2), {"n": 64}, "use more PEs"),
    ("fft", (4, 4), {"n": 8, "part": "rows"}, "W x 1"),
    ("fft", (4, 4), {"n": 8, "pencils": 2}, "part=rows"),
    ("cg", (1, 5), {}, "2x2 or larger"),
    ("spmm", (2, 2), {"rows": 500, "cols": 500, "wide": 64}, "use more PEs or smaller blocks"),
    ("stencil", (4, 4), {"variant": "column", "radius": 5}, "allowed: 1..4"),
    ("stencil", (4, 4), {"variant": "column", "radius": 3, "depth": 3}, "allowed: 1..2"),
    ("power", (4, 4), {"allreduce": "magic"}, "turns, chain"),
])  # fmt: skip
def test_combination_mistakes_of_fields(kernel, grid, params, words):
    found = kernels.get(kernel)
    with pytest.raises(ConfigError, match=words):
        found.build(Arch.load("wse2"), *grid, found.resolve(params))
