"""The kernel library: published programs as machine programs, each checked against NumPy."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from wafersim.errors import ConfigError
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, Validity

#: kernel name -> (module of this room, class); a whole path is of another room
_KERNELS = {
    "broadcast": ("collectives.broadcast", "Broadcast"),
    "reduce": ("collectives.reduce", "Reduce"),
    "allreduce": ("collectives.allreduce", "AllReduce"),
    "gather": ("collectives.gather", "GatherKernel"),
    "scatter": ("collectives.scatter", "ScatterKernel"),
    "alltoall": ("collectives.alltoall", "AllToAll"),
    "barrier": ("collectives.barrier", "Barrier"),
    "relay": ("collectives.relay", "Relay"),
    "gemm": ("matrix.gemm", "Gemm"),
    "gemv": ("matrix.gemv", "Gemv"),
    "local_gemm": ("matrix.local_gemm", "LocalGemm"),
    "stencil": ("stencil.stencil", "Stencil"),
    "microbench": ("micro.microbench", "Microbench"),
    "fft": ("fft.fft", "Fft"),
    "spmv": ("stencil.column_stencil", "Spmv"),
    "spmm": ("sparse.spmm", "Spmm"),
    "cg": ("solver.solver", "Cg"),
    "pcg": ("solver.solver", "Pcg"),
    "bicgstab": ("solver.solver", "BiCgStab"),
    "power": ("solver.solver", "Power"),
    "kv_shift": ("llm.kv_shift", "KvShift"),
    "llm_decode_layer": ("wafersim.models.decode.kernel", "DecodeLayer"),
    "llm_prefill_layer": ("wafersim.models.prefill.kernel", "PrefillLayer"),
}

__all__ = ["Formula", "Kernel", "KernelRun", "Launch", "Parameter", "Validity", "get", "names"]


def names() -> list[str]:
    """Names of the kernels."""
    return list(_KERNELS)


@cache
def get(name: str) -> Kernel:
    """The kernel of a name; raises ConfigError with the names there are."""
    if name not in _KERNELS:
        raise ConfigError(f"kernel {name!r} is unknown; there are: {', '.join(_KERNELS)}")
    module, kernel = _KERNELS[name]
    path = module if module.startswith("wafersim.") else f"wafersim.kernels.{module}"
    return getattr(import_module(path), kernel)()  # type: ignore[no-any-return]
