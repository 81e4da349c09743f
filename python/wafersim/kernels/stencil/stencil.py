"""Star stencils: in 2-D with one cell per PE or tiles, in 3-D with a column of z per PE.

The first two follow the programs of the public repository Jorineg/cerebras: every iteration replaces a cell
by the weighted mean of itself and the cells at distance 1..radius in the four directions; the outer ring of
PEs never changes.  The third is the exchange of the vendor's public 7-point library, for radius 1 (7
points) to 4 (25 points); outside of the PEs all is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from wafersim.errors import ConfigError
from wafersim.kernels.base import Kernel, KernelRun, Parameter, parameters
from wafersim.kernels.stencil.column_stencil import build_columns
from wafersim.kernels.stencil.stencil_cell import MAX_ITERATIONS, build_cell
from wafersim.kernels.stencil.stencil_tiled import build_tiled

if TYPE_CHECKING:
    from wafersim.arch import Arch

VARIANTS = ("auto", "cell", "tiled", "column")
MAX_COLUMN_RADIUS = 4


class Stencil(Kernel):
    """``iterations`` steps of a star stencil; grid and tile give the cells."""

    name: ClassVar[str] = "stencil"
    description: ClassVar[str] = (
        "star stencil: 2-D, one cell per PE or tiles (static outer ring of PEs), or 3-D, a column per PE"
    )
    default_grid: ClassVar[tuple[int, int]] = (8, 8)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter(
            "variant", str, "auto", "program; auto: cell for a 1x1 tile of radius 1, else tiled", VARIANTS
        ),
        Parameter("tile", tuple, (1, 1), "cells per PE", minimum=1, maximum=96),
        Parameter("radius", int, 1, "cells in each direction", minimum=1, maximum=8),
        Parameter("iterations", int, 4, "steps", minimum=1, maximum=100_000),
        Parameter(
            "halo",
            str,
            "auto",
            "tiled: wait for the halo before computing; auto: as published",
            ("auto", "wait"),
        ),
        Parameter("depth", int, 32, "column: cells of z per PE", minimum=2, maximum=2000),
        Parameter("block", int, 0, "column: cells sent at a time; 0: the whole column", maximum=2000),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        tile, radius, iterations = params["tile"], int(params["radius"]), int(params["iterations"])
        if params["variant"] == "column":
            return self._column(arch, width, height, params)
        if width < 3 or height < 3:
            raise self.refuse_grid(width, height, "3x3 or larger (an outer ring and at least one inner PE)")
        variant = str(params["variant"])
        if variant == "auto":
            variant = "cell" if tuple(tile) == (1, 1) and radius == 1 else "tiled"
        if variant == "cell":
            if tuple(tile) != (1, 1) or radius != 1:
                raise ConfigError(
                    f"stencil: variant=cell has tile=1x1 and radius=1, found {tile[0]}x{tile[1]}, {radius}"
                )
            if iterations > MAX_ITERATIONS:
                raise ConfigError(
                    f"stencil: iterations={iterations} with variant=cell; its loop is unrolled, "
                    f"allowed: 1..{MAX_ITERATIONS}"
                )
            return build_cell(arch, width, height, iterations)
        if radius > min(tile):
            raise ConfigError(
                f"stencil: radius={radius} exceeds the tile {tile[0]}x{tile[1]}; allowed: 1..{min(tile)}"
            )
        return build_tiled(
            arch, width, height, tuple(tile), radius, iterations, str(params["halo"]) == "wait"
        )

    def _column(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        radius, depth = int(params["radius"]), int(params["depth"])
        block = min(int(params["block"]) or depth, depth)
        if radius > MAX_COLUMN_RADIUS or radius >= depth:
            most = min(MAX_COLUMN_RADIUS, depth - 1)
            raise ConfigError(
                f"stencil: radius={radius} with variant=column and depth={depth}; allowed: 1..{most}"
            )
        return build_columns(arch, width, height, radius, depth, block, int(params["iterations"]), "stencil")
