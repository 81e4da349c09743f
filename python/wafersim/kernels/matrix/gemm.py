"""Matrix multiplication C = A B on P x P PEs, each of which holds a tile of A, B and C, by four algorithms.

One file each: `gemm_summa` (broadcasts), `gemm_mesh` (MeshGEMM on interleaved rings), `gemm_mesh_t` (A B',
nothing transposed) and `gemm_systolic` (A and B streamed from the host).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from wafersim.errors import ConfigError
from wafersim.kernels.base import Kernel, KernelRun, Parameter, parameters
from wafersim.kernels.matrix.gemm_mesh import Repeats, build_mesh
from wafersim.kernels.matrix.gemm_mesh_t import build_mesh_t
from wafersim.kernels.matrix.gemm_summa import build_summa
from wafersim.kernels.matrix.gemm_systolic import build_systolic
from wafersim.kernels.matrix.product import Shape

if TYPE_CHECKING:
    from wafersim.arch import Arch

ALGORITHMS = ("summa", "mesh", "mesh_t", "systolic")
#: Parameters that only some algorithms have, with the value that means "not used".
_ONLY: dict[str, tuple[tuple[str, ...], Any]] = {
    "products": (("mesh", "mesh_t"), 1),
    "repeats": (("mesh",), 1),
    "warmup": (("mesh",), 0),
    "beats": (("systolic",), 4),
    "schedule": (("mesh",), "overlap"),
}


class Gemm(Kernel):
    """Tiles of Mt x Kt, Kt x Nt and Mt x Nt values per PE."""

    name: ClassVar[str] = "gemm"
    description: ClassVar[str] = (
        "matrix multiplication: SUMMA, MeshGEMM, dist-GEMM-T (A B') on P x P PEs; systolic on W x H"
    )
    default_grid: ClassVar[tuple[int, int]] = (8, 8)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("algorithm", str, "summa", "distribution of the work", allowed=ALGORITHMS),
        Parameter("tile", int, 8, "rows and columns of a PE's tiles", minimum=1, maximum=64),
        Parameter("mt", int, 0, "rows of a tile of A and C; 0: tile", maximum=2048),
        Parameter("kt", int, 0, "columns of A's and rows of B's tile; 0: tile", maximum=2048),
        Parameter("nt", int, 0, "columns of a tile of B and C; 0: tile", maximum=2048),
        Parameter("dtype", str, "f32", "element type", allowed=("f16", "f32")),
        Parameter(
            "products", int, 1, "mesh: times each local product is computed; 0: only moves", maximum=64
        ),
        Parameter(
            "schedule",
            str,
            "overlap",
            "mesh: product during (overlap) or after (serial) the moves of a step",
            allowed=("overlap", "serial"),
        ),
        Parameter(
            "beats", int, 4, "systolic: tiles of kt that pass one after the other", minimum=1, maximum=4096
        ),
        Parameter("repeats", int, 1, "mesh: timed repetitions of the whole product", minimum=1, maximum=100),
        Parameter("warmup", int, 0, "mesh: repetitions before these", maximum=100),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        algorithm, dtype = str(params["algorithm"]), str(params["dtype"])
        shape = Shape(*(int(params[name]) or int(params["tile"]) for name in ("mt", "kt", "nt")))
        if algorithm != "systolic" and width != height:
            raise self.refuse_grid(width, height, "square grids PxP (algorithm=systolic: any)")
        for name, (algorithms, unused) in _ONLY.items():
            if algorithm not in algorithms and params[name] != unused:
                raise ConfigError(
                    f"gemm: {name}={params[name]} with algorithm={algorithm}; {name} belongs to "
                    f"{', '.join(algorithms)}"
                )
        if algorithm == "systolic":
            return build_systolic(arch, width, height, shape, dtype, int(params["beats"]))
        if algorithm == "summa":
            return build_summa(arch, width, shape, dtype)
        if width < 2:
            raise self.refuse_grid(width, height, f"2x2 or larger with algorithm={algorithm}")
        if algorithm == "mesh_t":
            return build_mesh_t(arch, width, shape, dtype, int(params["products"]))
        repeats = Repeats(
            int(params["products"]), int(params["repeats"]), int(params["warmup"]), str(params["schedule"])
        )
        return build_mesh(arch, width, shape, dtype, repeats)
