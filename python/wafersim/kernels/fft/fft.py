"""3-D FFT by pencils: local transforms along z, x and y with transpositions along rows and columns between.

A complex n x n x n array lies on W x H PEs; PE (px, py) holds the pencils of its n/W values of x and n/H
values of y, element-major: ``[z][y][x]``.  After the transforms along z the PEs of a row exchange z for x,
after those along x the PEs of a column exchange x for y (`line_exchange`).  The result stays as it is then:
``[ky][kx][kz]`` with the kz of the PE's column and the kx of its row; the source of the published time speaks
of redistributions between the three steps.

Rows never meet before the second exchange and columns never after the first, so the time of the whole is that
of one row plus that of one column, to the cycle.  ``part=rows`` and ``part=columns`` run those two alone on
W x 1 and 1 x H PEs: a measured composition for sizes that are too large to run as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.fft import fft_oracle as oracle
from wafersim.kernels.fft.fft_code import FftShape, FftTile
from wafersim.kernels.fft.line_exchange import COLUMN, ROW, add_routes
from wafersim.kernels.timing import read_stamps

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

PARTS = ("all", "rows", "columns")


class Fft(Kernel):
    """Forward or inverse complex float32 transform of n x n x n numbers."""

    name: ClassVar[str] = "fft"
    description: ClassVar[str] = "3-D complex FFT by pencils with row and column all-to-all exchanges"
    default_grid: ClassVar[tuple[int, int]] = (8, 4)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("n", int, 8, "points along each axis, a power of 2", minimum=2, maximum=1024),
        Parameter(
            "part", str, "all", "all, or one row (W x 1) up to x, or one column (1 x H) from there on", PARTS
        ),
        Parameter("pencils", int, 1, "part=rows, columns: pencils per PE across the line", minimum=1),
        Parameter("inverse", bool, False, "inverse transform, without the division by n^3"),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        shape = self._shape(width, height, params)
        needed = 4 * (2 * shape.words + shape.words // 2 + shape.n)
        if needed > arch.sram_bytes:
            raise ConfigError(
                f"fft: n={shape.n} on {width}x{height} PEs needs {needed} bytes of SRAM per PE for its "
                f"buffers, {arch.name} has {arch.sram_bytes}; use more PEs "
                f"({shape.pencils} pencils per PE now)"
            ).because("sram_overflow", needed_bytes=needed, sram_bytes=int(arch.sram_bytes))
        layout = Layout(width, height, arch=arch, name="fft")
        _place(layout, shape)
        return _run(arch, layout, shape)

    def _shape(self, width: int, height: int, params: Mapping[str, Any]) -> FftShape:
        n, part, across = int(params["n"]), str(params["part"]), int(params["pencils"])
        if n & (n - 1):
            raise ConfigError(f"fft: n={n} is not allowed; allowed: powers of 2 in 2..1024")
        if part == "all" and across != 1:
            raise ConfigError(f"fft: pencils={across} belongs to part=rows or part=columns")
        if part != "all" and (height if part == "rows" else width) != 1:
            raise self.refuse_grid(
                width, height, f"W x 1 for part=rows, 1 x H for part=columns (part={part})"
            )
        for name, pes in (("width", width), ("height", height)):
            if n % pes:
                raise self.refuse_grid(width, height, f"a {name} that divides n={n}")
        return FftShape(n, width, height, part, across, bool(params["inverse"]))


def _place(layout: Layout, shape: FftShape) -> None:
    """One tile per kind of place on both axes, and the routes of the lines that exchange."""
    colors: dict[str, Any] = {}
    axes = ((ROW, shape.width, shape.part != "columns"), (COLUMN, shape.height, shape.part != "rows"))
    for directions, pes, present in axes:
        for direction in directions if present and pes > 1 else ():
            color = colors[direction.name] = layout.color(direction.name)
            add_routes(layout, direction, color, pes, shape.brick(pes), along_x=directions is ROW)
    for x, columns in spans(shape.width):
        for y, rows in spans(shape.height):
            pe = layout.tile(f"pe_{x}_{y}")
            FftTile(pe, shape, x, y, colors).emit()
            places = {
                "px": np.broadcast_to(np.arange(x, x + columns), (rows, columns)),
                "py": np.broadcast_to(np.arange(y, y + rows)[:, None], (rows, columns)),
            }
            layout.place(pe, x=x, y=y, width=columns, height=rows, params=places)


def spans(size: int) -> list[tuple[int, int]]:
    """First, middle and last part of an axis as (start, length)."""
    parts = [(0, 1), (1, size - 2), (size - 1, 1)] if size > 1 else [(0, 1)]
    return [(start, length) for start, length in parts if length > 0]


def _run(arch: Arch, layout: Layout, shape: FftShape) -> KernelRun:
    whole = (0, 0, shape.width, shape.height)
    result = shape.result_buffer
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        given["x"] = oracle.random_input(shape, rng)
        sim.write("data", oracle.scatter(given["x"], shape), rect=whole)

    def check(sim: Any) -> tuple[float, bool]:
        exact = oracle.expected(given["x"], shape)
        found = oracle.gather(sim.read(("data", "other")[result], rect=whole), shape)
        error = float(np.max(np.abs(found - exact)))
        return error, error <= oracle.tolerance(shape, exact)

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        return _figures(read_stamps(sim, whole), shape)

    run = KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
    run.not_modelled.append(
        "fft: the source of the published program is not public; the exchange follows the vendor's public "
        "row transposition (only bricks for the PEs ahead are sent), the transforms its public 1-D program"
    )
    return run


def _figures(stamps: Any, shape: FftShape) -> dict[str, Any]:
    """Cycles from the first start to the last end over the PEs."""
    first, last = (1 if shape.part == "columns" else 0), (1 if shape.part == "rows" else 2)
    return {"n": shape.n, "window_cycles": int(stamps[..., last].max() - stamps[..., first].min())}
