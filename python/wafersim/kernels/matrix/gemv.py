"""Matrix-vector product y = A x on a rectangle of PEs, by three distributions.

One file each: `gemv_checkerboard` (x down the columns, chains of sums along the rows), `gemv_collectives`
(the same with x and y on one PE) and `gemv_mesh` (MeshGEMV: sums known to all PEs of a column by a K-tree).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from wafersim.errors import ConfigError
from wafersim.kernels.base import Kernel, KernelRun, Parameter, parameters
from wafersim.kernels.matrix.gemv_checkerboard import build_checkerboard
from wafersim.kernels.matrix.gemv_collectives import build_collectives
from wafersim.kernels.matrix.gemv_mesh import build_mesh_gemv
from wafersim.kernels.matrix.gemv_vectors import Part

if TYPE_CHECKING:
    from wafersim.arch import Arch

BUILDERS = {
    "checkerboard": build_checkerboard,
    "collectives": build_collectives,
    "mesh": build_mesh_gemv,
}


class Gemv(Kernel):
    """A tile of ``rows`` x ``cols`` values per PE."""

    name: ClassVar[str] = "gemv"
    description: ClassVar[str] = (
        "matrix-vector product: local multiply-adds, then sums along rows (or columns) by chain or K-tree"
    )
    default_grid: ClassVar[tuple[int, int]] = (4, 4)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("algorithm", str, "checkerboard", "distribution of the work", allowed=tuple(BUILDERS)),
        Parameter("rows", int, 16, "rows of a PE's tile", minimum=1, maximum=1024),
        Parameter("cols", int, 16, "columns of a PE's tile", minimum=1, maximum=1024),
        Parameter("dtype", str, "f32", "element type", allowed=("f16", "f32")),
        Parameter("groups", int, 0, "mesh: groups of a column's K-tree; 0: a divisor near the square root"),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        algorithm, groups = str(params["algorithm"]), int(params["groups"])
        if groups and algorithm != "mesh":
            raise ConfigError(f"gemv: groups={groups} with algorithm={algorithm}; groups belongs to mesh")
        part = Part(int(params["rows"]), int(params["cols"]), str(params["dtype"]), groups)
        return BUILDERS[algorithm](arch, width, height, part)
