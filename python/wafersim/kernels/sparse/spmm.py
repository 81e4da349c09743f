"""Sparse times dense, C = A B, on W x H PEs with A in four formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, Validity, parameters
from wafersim.kernels.sparse.spmm_code import FORMATS, SpmmShape, SpmmTile
from wafersim.kernels.timing import read_stamps

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

#: The pattern is drawn when the program is built, since the padded lengths follow from it.
PATTERN_SEED = 1


class Spmm(Kernel):
    """PE (x, y) holds block (y, x) of A; column x shares a block of B, row y sums a block of C eastward."""

    name: ClassVar[str] = "spmm"
    description: ClassVar[str] = (
        "sparse A (COO, CSR, CSC, ELLPACK) times dense B, partial sums along rows of PEs"
    )
    default_grid: ClassVar[tuple[int, int]] = (4, 3)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("format", str, "csr", "format of A", FORMATS),
        Parameter("rows", int, 16, "rows of A and C per PE", minimum=1, maximum=2048),
        Parameter("cols", int, 12, "columns of A, rows of B per PE", minimum=1, maximum=2048),
        Parameter("wide", int, 8, "columns of B and C", minimum=1, maximum=1024),
        Parameter("permille", int, 200, "nonzeros of A, of a thousand numbers", minimum=0, maximum=1000),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        form, rows, cols = str(params["format"]), int(params["rows"]), int(params["cols"])
        pattern = _pattern(width * cols, height * rows, int(params["permille"]))
        shape = SpmmShape(form, rows, cols, int(params["wide"]), _entries(form, pattern, rows, cols))
        sizes = {"f32": 4, "i32": 4}
        needed = sum(sizes[t] * n for t, n in shape.arrays.values()) + 4 * shape.pitch * (rows + cols) + 16
        if needed > arch.sram_bytes:
            raise ConfigError(
                f"spmm: rows={rows}, cols={cols}, wide={shape.wide} as {form} need {needed} bytes per PE, "
                f"{arch.name} has {arch.sram_bytes}; use more PEs or smaller blocks"
            ).because("sram_overflow", needed_bytes=needed, sram_bytes=int(arch.sram_bytes))
        layout = Layout(width, height, arch=arch, name="spmm")
        _place(layout, shape)
        return _run(arch, layout, shape, pattern)


def _pattern(columns: int, rows: int, permille: int) -> Any:
    """Where A is not zero, ``[rows, columns]``: so many places, drawn without replacement."""
    rng = np.random.default_rng(PATTERN_SEED)
    found = np.zeros(rows * columns, bool)
    found[rng.permutation(rows * columns)[: permille * rows * columns // 1000]] = True
    return found.reshape(rows, columns)


def _blocks(matrix: Any, rows: int, cols: int) -> Any:
    """Blocks ``[H, W, rows, cols]``."""
    h, w = matrix.shape[0] // rows, matrix.shape[1] // cols
    return matrix.reshape(h, rows, w, cols).swapaxes(1, 2)


def _entries(form: str, pattern: Any, rows: int, cols: int) -> int:
    """Entries that every PE keeps room for: the most of any PE (row), one more for coo as published."""
    per_row = _blocks(pattern, rows, cols).sum(axis=-1)
    if form == "ell":
        return max(1, int(per_row.max()))
    return max(1, int(per_row.sum(axis=-1).max())) + (form == "coo")


def encode(block: Any, shape: SpmmShape) -> dict[str, Any]:
    """The arrays of one PE's block of A."""
    row, col = np.nonzero(block)
    if shape.form == "csc":
        order = np.lexsort((row, col))
        row, col = row[order], col[order]
    values = block[row, col]
    if shape.form == "ell":
        return _lists(row, col, values, shape)
    full: dict[str, Any] = {"values": (values, np.float32), "row": (row, np.int32), "col": (col, np.int32)}
    out: dict[str, Any] = {}
    for name, (data, dtype) in full.items():
        if name in shape.arrays:
            out[name] = np.zeros(shape.entries, dtype)
            out[name][: data.size] = data
    if "start" in shape.arrays:
        lines, count = (col, shape.cols) if shape.form == "csc" else (row, shape.rows)
        out["start"] = np.searchsorted(lines, np.arange(count + 1)).astype(np.int32)
    return out


def _lists(row: Any, col: Any, values: Any, shape: SpmmShape) -> dict[str, Any]:
    """ELLPACK: as many entries per row, padded with zeros of column 0."""
    kept, places = (
        np.zeros((shape.rows, shape.entries), np.float32),
        np.zeros((shape.rows, shape.entries), np.int32),
    )
    for j in range(shape.rows):
        mine = np.nonzero(row == j)[0]
        kept[j, : mine.size], places[j, : mine.size] = values[mine], col[mine]
    return {"values": kept.reshape(-1), "col": places.reshape(-1)}


def _place(layout: Layout, shape: SpmmShape) -> None:
    """Tiles by parity and edges: B goes south and C east, on two colors each."""
    w, h = layout.width, layout.height
    b, c = ([layout.color(f"{name}_{k}") for k in (0, 1)] for name in "bc")
    x, y = np.arange(w)[None, :], np.arange(h)[:, None]
    for px in sorted({0, 1, 2, w - 2, w - 1} & set(range(w))):
        for py in sorted({0, 1, 2, h - 2, h - 1} & set(range(h))):
            colors = {
                "b_in": b[1 - py % 2] if py > 0 else None, "b_out": b[py % 2] if py < h - 1 else None,
                "c_in": c[1 - px % 2] if px > 0 else None, "c_out": c[px % 2] if px < w - 1 else None,
            }  # fmt: skip
            same_x = (x % 2 == px % 2) & ((x == 0) == (px == 0)) & ((x == w - 1) == (px == w - 1))
            same_y = (y % 2 == py % 2) & ((y == 0) == (py == 0)) & ((y == h - 1) == (py == h - 1))
            mask = same_x & same_y
            if layout.tile_map[py, px] >= 0:
                continue
            pe = layout.tile(f"pe_{px}_{py}")
            SpmmTile(pe, shape, colors).emit()
            layout.place(pe, width=None, height=None, mask=mask)
            place: dict[str, Any] = {"x": 0, "y": 0, "width": None, "height": None, "mask": mask}
            for name, rx, tx in (("b_in", "NORTH", "RAMP"), ("b_out", "RAMP", "SOUTH"),
                                 ("c_in", "WEST", "RAMP"), ("c_out", "RAMP", "EAST")):  # fmt: skip
                if colors[name] is not None:
                    layout.route(colors[name], rx=rx, tx=tx, **place)


def _run(arch: Arch, layout: Layout, shape: SpmmShape, pattern: Any) -> KernelRun:
    w, h = layout.width, layout.height
    whole, pitch, wide = (0, 0, w, h), shape.pitch, shape.wide
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        a = np.where(pattern, rng.standard_normal(pattern.shape, dtype=np.float32), np.float32(0))
        b = rng.standard_normal((w * shape.cols, wide), dtype=np.float32)
        given.update(a=a, b=b)
        blocks = _blocks(a, shape.rows, shape.cols)
        parts = [[encode(blocks[j, i], shape) for i in range(w)] for j in range(h)]
        for name in shape.arrays:
            sim.write(name, np.array([[parts[j][i][name] for i in range(w)] for j in range(h)]), rect=whole)
        padded = np.zeros((1, w, shape.cols, pitch), np.float32)
        padded[0, :, :, :wide] = b.reshape(w, shape.cols, wide)
        sim.write("B", padded.reshape(1, w, -1), rect=(0, 0, w, 1))

    def check(sim: Any) -> tuple[float, bool]:
        exact = given["a"].astype(np.float64) @ given["b"].astype(np.float64)
        found = sim.read("C", rect=(w - 1, 0, 1, h))[:, 0, 1 : 1 + shape.rows * pitch]
        found = found.reshape(h * shape.rows, pitch)[:, :wide]
        error = float(np.max(np.abs(found - exact)))
        bound = given["a"].shape[1] * float(np.finfo(np.float32).eps) * max(1.0, float(np.max(np.abs(exact))))
        return error, error <= bound

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        local = stamps[..., 1] - stamps[..., 0] - int(arch.cost_timestamp) - int(arch.cost_store)
        return {
            "local_cycles_mean": float(local.mean()), "local_cycles_min": int(local.min()),
            "local_cycles_max": int(local.max()), "nonzeros": int(pattern.sum()),
            "entries_per_pe": shape.entries,
        }  # fmt: skip

    run = KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
    run.validity = Validity(
        "extrapolated" if arch.name == "wse2-sdk" else "unvalidated", ("SPMM-001", "SPMM-004")
    )
    return run
