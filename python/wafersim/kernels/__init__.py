"""The kernel library: published programs as machine programs, each checked against NumPy."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from wafersim.errors import ConfigError
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, Validity

#: kernel name -> (module, class); a module with a dot is of another room
_KERNELS = {
    "broadcast": ("broadcast", "Broadcast"),
    "reduce": ("reduce", "Reduce"),
    "allreduce": ("allreduce", "AllReduce"),
    "gather": ("gather", "GatherKernel"),
    "scatter": ("scatter", "ScatterKernel"),
    "alltoall": ("alltoall", "AllToAll"),
    "barrier": ("barrier", "Barrier"),
    "relay": ("relay", "Relay"),
    "gemm": ("gemm", "Gemm"),
    "gemv": ("gemv", "Gemv"),
    "local_gemm": ("local_gemm", "LocalGemm"),
    "stencil": ("stencil", "Stencil"),
    "microbench": ("microbench", "Microbench"),
    "fft": ("fft", "Fft"),
    "spmv": ("column_stencil", "Spmv"),
    "spmm": ("spmm", "Spmm"),
    "cg": ("solver", "Cg"),
    "pcg": ("solver", "Pcg"),
    "bicgstab": ("solver", "BiCgStab"),
    "power": ("solver", "Power"),
    "llm_decode_layer": ("wafersim.models.decode_kernel", "DecodeLayer"),
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
    path = module if "." in module else f"wafersim.kernels.{module}"
    return getattr(import_module(path), kernel)()  # type: ignore[no-any-return]
