"""Micro-benchmarks on one PE: rates and set-up costs of vector ops, and costs of scalar code.

A vector case runs a loop of equal ops at two lengths; the slope between them is the rate, the rest the
set-up.  It names its operands with addresses and strides and its code, because rates depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from wafersim.errors import ConfigError
from wafersim.kernels.base import Kernel, KernelRun, Parameter, parameters
from wafersim.kernels.micro.micro_scalar import SCALAR_CASES, build_scalar
from wafersim.kernels.micro.micro_vector import DTYPES, VECTOR_CASES, build_vector

if TYPE_CHECKING:
    from wafersim.arch import Arch

#: case -> published row by profile: (rows of wse3, rows of wse3-sdk)
_ROWS = {
    ("copy", "f16"): ("FABM-001", "FABM-002"),
    ("copy", "f32"): ("FABM-003", "FABM-004"),
    ("fma", "f16"): ("FABM-005", "FABM-006"),
    ("fma", "f32"): ("FABM-007", "FABM-008"),
    ("add", "f16"): ("", "FABM-047"),
    ("reduce", "f16"): ("", "FABM-038"),
}


class Microbench(Kernel):
    """One case per run."""

    name: ClassVar[str] = "microbench"
    description: ClassVar[str] = "rates and costs of single operations on one PE"
    default_grid: ClassVar[tuple[int, int]] = (1, 1)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("case", str, "copy", "what is measured", allowed=(*VECTOR_CASES, *SCALAR_CASES)),
        Parameter("dtype", str, "f32", "element type of a vector case", allowed=DTYPES),
        Parameter("length", int, 1024, "elements of the longer vector", minimum=8, maximum=4096),
        Parameter("phase", int, 8, "bytes from the second source to the first, modulo 16", maximum=14),
        Parameter("stride", int, 1, "elements from one to the next in every operand", minimum=1, maximum=127),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        if (width, height) != (1, 1):
            raise self.refuse_grid(width, height, "1x1")
        case, dtype, length = str(params["case"]), str(params["dtype"]), int(params["length"])
        if case in SCALAR_CASES:
            return build_scalar(arch, case, length)
        if params["phase"] % 2:
            raise ConfigError(f"microbench: phase={params['phase']} is odd; elements are 2 or 4 bytes wide")
        if dtype not in VECTOR_CASES[case].ops:
            allowed = ", ".join(VECTOR_CASES[case].ops)
            raise ConfigError(
                f"microbench: case={case} with dtype={dtype} is no vector op; allowed: {allowed}"
            )
        return build_vector(arch, case, dtype, length, int(params["phase"]), int(params["stride"]))


def published_rows(arch: str, case: str, dtype: str) -> str:
    """Id of the published row of a vector case on a profile; empty if there is none."""
    silicon, simulator = _ROWS.get((case, dtype), ("", ""))
    return {"wse3": silicon, "wse3-sdk": simulator}.get(arch, "")
