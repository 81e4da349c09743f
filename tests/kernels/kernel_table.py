"""The table of tests: every program of the library, three small shapes and three large ones, and what refuses.

A shape is a grid and parameters of its own.  Width and height differ where the program admits it; ``square``
and ``line`` say where it does not (and a test that this is so).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: why fidelity stream refuses a program (part of its message)
BRANCH = "depends on array data"

Shape = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Program:
    """A kernel with the parameters that choose the program.

    ``only`` is ``""``, ``square`` (width = height), ``line`` (height 1) or ``pe`` (one PE); ``refuses`` says why
    fidelity stream refuses it, on the profiles ``on``.
    """

    kernel: str
    params: dict[str, Any]
    small: list[Shape]
    large: list[Shape]
    refuses: str = ""
    only: str = ""
    on: tuple[str, ...] = ("wse2", "wse3")

    def __str__(self) -> str:
        return "-".join([self.kernel, *(str(v) for v in self.params.values())])


def grids(small: str, large: str, **params: Any) -> tuple[list[Shape], list[Shape]]:
    """Three small shapes and three large ones; a parameter with six values has one for each, in turn."""

    def shapes(names: str, at: int) -> list[Shape]:
        found = []
        for number, grid in enumerate(names.split()):
            found.append((grid, {k: v[at + number] if isinstance(v, list) else v for k, v in params.items()}))
        return found

    return shapes(small, 0), shapes(large, 3)


LINES = ("5x3 2x7 4x4", "64x3 3x100 40x33")
BOTH = ("5x3 2x7 4x4", "24x17 9x60 33x32")
WORDS = {"words": [9, 1, 4, 200, 33, 64]}

REDUCTIONS = [
    Program(kernel, {"algorithm": algorithm, **extra}, *grids(*BOTH, **WORDS))
    for kernel, extra, algorithms in (
        ("reduce", {"axis": "xy"}, ("chain", "star", "tree", "two_phase", "snake")),
        ("reduce", {"axis": "y", "op": "max"}, ("chain", "star", "tree", "two_phase", "auto")),
        (
            "allreduce",
            {"axis": "xy"},
            ("chain", "star", "tree", "two_phase", "ring", "ktree", "snake", "auto"),
        ),
        ("allreduce", {"axis": "x", "calls": 3}, ("chain", "star", "tree", "two_phase", "ring", "ktree")),
    )
    for algorithm in algorithms
]

HALVES = [
    Program(kernel, {"algorithm": algorithm, "dtype": "f16"}, *grids(*BOTH, **WORDS))
    for kernel, algorithms in (("reduce", ("chain", "two_phase")), ("allreduce", ("tree", "ktree", "ring")))
    for algorithm in algorithms
]

MOVES = [
    Program("broadcast", {}, *grids(*BOTH, **WORDS)),
    Program("gather", {"axis": "xy"}, *grids(*BOTH, words=[5, 1, 4, 3, 7, 2])),
    Program("gather", {"axis": "y"}, *grids(*LINES, words=[5, 1, 4, 30, 7, 20])),
    Program("scatter", {"axis": "xy"}, *grids(*BOTH, words=[5, 1, 4, 3, 7, 2])),
    Program("scatter", {"axis": "x"}, *grids(*LINES, words=[5, 1, 4, 30, 7, 20])),
    Program("alltoall", {"axis": "x"}, *grids(*LINES, words=[3, 1, 4, 6, 9, 5])),
    Program("alltoall", {"axis": "y", "schedule": "overlap"}, *grids("5x3 2x7 4x4", "9x24 30x20 4x33", words=[3, 1, 4, 6, 9, 5])),
    *(Program("barrier", {"algorithm": algorithm}, *grids(*BOTH, calls=[1, 3, 2, 2, 3, 4]))
      for algorithm in ("chain", "star", "tree", "two_phase", "auto")),
    Program("relay", {}, *grids("5x1 2x1 9x1", "60x1 100x1 33x1", words=[20, 1, 64, 500, 40, 8]), only="line"),
    Program("relay", {"probe": "arrival"}, *grids("5x1 2x1 9x1", "60x1 100x1 33x1", words=[20, 1, 64, 500, 40, 8],
            hops=[3, 1, 8, 59, 60, 2]), only="line"),
]  # fmt: skip

TILES = {"mt": [5, 3, 4, 9, 12, 7], "kt": [2, 3, 4, 7, 10, 12], "nt": [3, 5, 4, 11, 8, 9]}
MATRIX = [
    Program("gemm", {"algorithm": "summa"}, *grids("1x1 3x3 5x5", "8x8 12x12 17x17", **TILES), only="square"),
    Program("gemm", {"algorithm": "mesh", "schedule": "serial"}, *grids("3x3 4x4 6x6", "8x8 11x11 16x16", **TILES), only="square"),
    Program("gemm", {"algorithm": "mesh", "schedule": "overlap"}, *grids("3x3 4x4 6x6", "8x8 11x11 16x16", **TILES), only="square"),
    Program("gemm", {"algorithm": "mesh", "dtype": "f16"}, *grids("3x3 4x4 6x6", "8x8 11x11 16x16", **TILES), only="square"),
    Program("gemm", {"algorithm": "mesh_t"}, *grids("3x3 4x4 6x6", "8x8 11x11 16x16", **TILES), only="square"),
    Program("gemm", {"algorithm": "mesh_t", "dtype": "f16"}, *grids("3x3 4x4 6x6", "8x8 11x11 16x16", **TILES), only="square"),
    Program("gemm", {"algorithm": "systolic"}, *grids("3x5 5x2 1x4", "12x9 7x20 16x15", beats=[3, 1, 4, 5, 6, 2], **TILES)),
    Program("gemm", {"algorithm": "systolic", "dtype": "f16"}, *grids("3x5 5x2 1x4", "12x9 7x20 16x15", beats=[3, 1, 4, 5, 6, 2], **TILES)),
    *(Program("gemv", {"algorithm": algorithm}, *grids("3x5 5x4 2x2", "30x21 16x33 40x40", rows=[7, 5, 3, 12, 20, 9], cols=[6, 4, 10, 14, 8, 11]))
      for algorithm in ("checkerboard", "collectives", "mesh")),
    *(Program("gemv", {"algorithm": algorithm, "dtype": "f16"}, *grids("3x5 5x4 2x2", "30x21 16x33 40x40", rows=[7, 5, 3, 12, 20, 9], cols=[6, 4, 10, 14, 8, 11]))
      for algorithm in ("checkerboard", "mesh")),
    *(Program("local_gemm", {"dtype": dtype}, *grids("3x2 1x4 2x2", "20x9 8x30 33x32", rows=[5, 8, 3, 16, 24, 9], inner=[4, 3, 7, 12, 8, 5], columns=[7, 2, 5, 14, 9, 20]))
      for dtype in ("f32", "f16")),
]  # fmt: skip

FIELDS = [
    Program("stencil", {"variant": "cell"}, *grids("3x5 8x7 4x3", "40x31 20x60 33x33", iterations=[3, 5, 2, 6, 4, 5])),
    *(Program("stencil", {"variant": "tiled", "radius": radius},
              *grids("5x4 3x6 4x4", "30x21 12x40 24x24", iterations=[3, 2, 4, 5, 4, 3],
                     tile=["6x7", "8x6", "7x7", "10x9", "7x12", "13x13"]))
      for radius in range(1, 7)),
    Program("stencil", {"variant": "tiled", "halo": "wait"},
            *grids("5x4 3x6 4x4", "30x21 12x40 24x24", iterations=[3, 2, 4, 5, 4, 3], tile=["3x2", "2x3", "5x5", "5x4", "4x6", "5x5"])),
    *(Program("stencil", {"variant": "column", "radius": radius}, *grids("5x4 2x7 6x6", "24x17 9x40 20x20", depth=[7, 9, 6, 40, 60, 33], block=[4, 0, 3, 16, 20, 0], iterations=[2, 3, 2, 3, 2, 3]))
      for radius in range(1, 5)),
    Program("spmv", {}, *grids("4x3 2x5 3x3", "24x17 9x60 33x32", depth=[5, 7, 4, 60, 33, 100], block=[2, 3, 4, 10, 16, 50])),
    *(Program("spmm", {"format": form}, *grids("4x3 1x2 3x3", "16x12 5x30 12x12", rows=[6, 5, 4, 32, 40, 16], cols=[9, 4, 6, 24, 16, 32], wide=[5, 3, 8, 32, 16, 24]), BRANCH)
      for form in ("coo", "csr", "csc", "ell")),
]  # fmt: skip

SOLVED = {"depth": [6, 5, 8, 40, 33, 60], "iterations": [2, 3, 2, 3, 2, 3]}
SOLVERS = [
    *(Program(method, {"allreduce": "turns"}, *grids("4x3 2x5 3x3", "24x17 9x30 20x20", **SOLVED), BRANCH)
      for method in ("cg", "pcg", "bicgstab", "power")),
    *(Program(method, {"allreduce": "turns", "stop": "iterations"}, *grids("4x3 2x5 3x3", "24x17 9x30 20x20", **SOLVED))
      for method in ("cg", "pcg", "bicgstab")),
    *(Program(method, {"allreduce": algorithm, "stop": "iterations"}, *grids("4x3 2x5 3x3", "24x17 9x30 20x20", **SOLVED))
      for method, algorithm in (("cg", "chain"), ("pcg", "tree"), ("bicgstab", "star"), ("power", "two_phase"))),
    Program("cg", {"allreduce": "tree", "dot": "map"}, *grids("4x3 2x5 3x3", "24x17 9x30 20x20", **SOLVED), BRANCH),
    *(Program("fft", {"inverse": inverse}, *grids("4x2 2x8 4x4", "16x8 8x32 16x16", n=[8, 8, 4, 16, 32, 16]))
      for inverse in (False, True)),
    Program("llm_decode_layer", {}, *grids("4x3 3x5 4x4", "9x6 6x10 12x12", context=[7, 4, 9, 20, 33, 16])),
    Program("llm_prefill_layer", {}, *grids("2x2 3x2 2x4", "4x4 4x5 6x4", prompt=[5, 4, 6, 12, 17, 9])),
    Program("kv_shift", {}, *grids("2x3 3x2 1x5", "4x16 16x4 2x40", tokens=[7, 5, 11, 60, 50, 200])),
]  # fmt: skip

CASES = ("copy", "add", "mul", "fma", "reduce", "dot", "branch_taken", "branch_not_taken", "dependent_fp",
         "loop_back", "load_op_store", "dsr_load_use", "vector_completion", "vector_dispatch", "two_ops")  # fmt: skip
MICRO = [
    Program("microbench", {"case": case}, *grids("1x1 1x1 1x1", "1x1 1x1 1x1", length=[16, 40, 64, 1024, 2000, 777], phase=[0, 4, 8, 12, 8, 4]), only="pe")
    for case in CASES
]  # fmt: skip

PROGRAMS = [*REDUCTIONS, *HALVES, *MOVES, *MATRIX, *FIELDS, *SOLVERS, *MICRO]
