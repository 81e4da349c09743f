"""Every program of the library against NumPy at three shapes, on both generations, at both fidelities."""

from __future__ import annotations

import pytest
from kernel_table import PROGRAMS, Program

from wafersim import kernels
from wafersim.arch import Arch
from wafersim.errors import ConfigError, UnsupportedError
from wafersim.simulate.runner import parse_grid, prepare


def check(program: Program, arch: str, shapes: list) -> None:
    for grid, more in shapes:
        prepared = prepare(program.kernel, arch, grid, {**program.params, **more})
        exact = prepared.execute()
        assert exact.status == "finished", (grid, more)
        assert exact.verified, (grid, more, exact.max_abs_error)
        assert all(value is not None for value in exact.metrics.values())
        if program.refuses and arch in program.on:
            with pytest.raises(UnsupportedError, match=program.refuses):
                prepared.execute(fidelity="stream")
        else:
            quick = prepared.execute(fidelity="stream")
            assert (quick.status, quick.cycles) == ("finished", exact.cycles), (grid, more)
            assert quick.metrics == exact.metrics, (grid, more)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_small_shapes(program, arch):
    check(program, arch, program.small)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_large_shapes(program, arch):
    check(program, arch, program.large)


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_three_shapes_each_unequal_where_the_program_admits_it(program):
    for shapes in (program.small, program.large):
        sides = [parse_grid(grid) for grid, _ in shapes]
        assert len(shapes) == 3
        assert len({(side, str(more)) for side, (_, more) in zip(sides, shapes, strict=True)}) == 3
        if not program.only:
            assert any(width < height for width, height in sides)
            assert any(width > height for width, height in sides)
    if program.only:
        kernel, (_, more) = kernels.get(program.kernel), program.small[1]
        with pytest.raises(ConfigError):
            kernel.build(Arch.load("wse2"), 4, 3, kernel.resolve({**program.params, **more}))


def test_the_table_holds_every_program():
    """Every kernel, and every word of a parameter that chooses the program."""
    assert {program.kernel for program in PROGRAMS} == set(kernels.names())
    for name in kernels.names():
        for key, parameter in kernels.get(name).parameters.items():
            if key in ("algorithm", "variant", "format", "case") and not name.startswith("llm_"):
                found = {program.params.get(key) for program in PROGRAMS if program.kernel == name}
                assert set(parameter.allowed) - {"auto"} <= found, (name, key)
