"""Sum (or maximum) of all PEs' vectors: along rows, along columns, or over the whole rectangle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels import formulas
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.exchange.axis import ALGORITHMS, Axis, num_colors
from wafersim.kernels.exchange.exchange import line_reduce
from wafersim.kernels.exchange.grid_exchange import GridExchange, grid_reduce
from wafersim.kernels.exchange.lines import DTYPES, OPERATIONS
from wafersim.kernels.exchange.snake import snake_exchange
from wafersim.kernels.timing import read_stamps, stamp_array, wavelet_window

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

WORDS = Parameter("words", int, 64, "elements per PE (32-bit words if f32)", minimum=1, maximum=11_000)
ALGORITHM = Parameter(
    "algorithm", str, "chain", "how the sums travel; snake: over a rectangle; auto: the best by formula",
    allowed=(*ALGORITHMS, "snake", "auto"),
)  # fmt: skip
AXIS = Parameter(
    "axis", str, "auto", "rows, columns, or rows and then the first column; auto: x, or y for one column",
    allowed=("auto", "x", "y", "xy"),
)  # fmt: skip
DTYPE = Parameter("dtype", str, "f32", "type of the elements", allowed=DTYPES)
OP = Parameter("op", str, "add", "what is done with two elements", allowed=OPERATIONS)


class Reduce(Kernel):
    """Every line reduces its PEs' vectors into its first PE, or the rectangle into its corner."""

    name: ClassVar[str] = "reduce"
    description: ClassVar[str] = "sum of all PEs' vectors along rows, columns or both, into the first PE"
    default_grid: ClassVar[tuple[int, int]] = (16, 1)
    parameters: ClassVar[dict[str, Parameter]] = parameters(WORDS, ALGORITHM, AXIS, DTYPE, OP)

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        axis = chosen_axis(self, str(params["axis"]), width, height)
        layout = Layout(width, height, arch=arch, name="reduce")
        lengths = {"x": (width, 1), "y": (1, height), "xy": (width, height)}[axis]
        exchange = lines_exchange(layout, axis, width, height, params)
        exchange.add_routes()
        for kind, place, mask in exchange.areas():
            exchange.place(_tile(layout, exchange, kind, place, str(params["dtype"])), mask)
        return self._run(arch, lengths, exchange, layout, params)

    def _run(
        self, arch: Arch, lengths: tuple[int, int], exchange: GridExchange, layout: Layout,
        params: Mapping[str, Any],
    ) -> KernelRun:  # fmt: skip
        data = Vectors(exchange, lengths, str(params["dtype"]), str(params["op"]), exchange.words)
        roots = data.roots()

        def check(sim: Any) -> tuple[float, bool]:
            return data.compare(sim.read("x", rect=roots), data.exact())

        def metrics(sim: Any, record: Any) -> dict[str, Any]:
            stamps = read_stamps(sim, data.whole)
            first, last = data.blocks(stamps[..., 0]), data.blocks(stamps[..., 1])[:, :, 0, 0].ravel()
            sends = first.reshape(last.size, -1)[:, 1:].min(axis=1)
            windows = [wavelet_window(arch, int(a), int(b)) for a, b in zip(sends, last, strict=True)]
            return {
                "window_cycles": max(windows),
                "words": exchange.words,
                "algorithm": exchange.algorithm,
            }

        return KernelRun(
            layout.build(), data.setup, [Launch("main")], check, metrics,
            reduce_formula(arch, lengths, exchange, data.wavelets),
        )  # fmt: skip


def chosen_axis(kernel: Kernel, axis: str, width: int, height: int, both: bool = False) -> str:
    """The axis meant by ``auto``; raises ConfigError for a grid without two PEs along it."""
    if axis == "auto":
        axis = "xy" if both and width > 1 and height > 1 else "x" if width > 1 else "y"
    enough = {"x": width > 1, "y": height > 1, "xy": width > 1 and height > 1}[axis]
    if not enough:
        allowed = {"x": "width 2 or more", "y": "height 2 or more", "xy": "2x2 or larger"}[axis]
        raise kernel.refuse_grid(width, height, f"{allowed} for axis={axis}")
    return axis


def lines_exchange(
    layout: Layout, axis: str, width: int, height: int, params: Mapping[str, Any]
) -> GridExchange:
    """The reduction of the kernel: of parallel lines, or of the rectangle."""
    words, dtype, op = int(params["words"]), str(params["dtype"]), str(params["op"])
    algorithm = str(params["algorithm"])
    if algorithm == "snake":
        check_snake("reduce", axis)
        return snake_exchange(layout, "sum", (0, 0, width, height), words, dtype, op, (2, 2))
    common: dict[str, Any] = {"algorithm": algorithm, "words": words, "dtype": dtype, "op": op}
    common["rearm"] = False
    if axis == "xy":
        return grid_reduce(layout, "sum", width, height, **common)
    rect = (0, 0, width, height)
    if axis == "x":
        line = line_reduce(layout, "row", "x", width, height, **common)
        return GridExchange(layout, rect, line, None)
    line = line_reduce(layout, "column", "y", height, width, **common)
    return GridExchange(layout, rect, None, line)


class Vectors:
    """The input of a reduction, its exact result, and which PEs belong together.

    Attributes
    ----------
    lengths : tuple of int
        PEs along x and y that are reduced together; the rectangle is made of such blocks.
    whole : tuple of int
        The rectangle.
    """

    def __init__(
        self, exchange: GridExchange, lengths: tuple[int, int], dtype: str, op: str, words: int
    ) -> None:
        self.lengths, self.dtype, self.op, self.words = lengths, dtype, op, words
        self.width, self.height = exchange.width, exchange.height
        self.whole = (0, 0, self.width, self.height)
        self.kind = np.float32 if dtype == "f32" else np.float16
        self.given: Any = None

    @property
    def wavelets(self) -> int:
        """32-bit words that a PE's vector fills."""
        return self.words if self.dtype == "f32" else -(-self.words // 2)

    def setup(self, sim: Any, rng: np.random.Generator, padded: int = 0) -> None:
        """Random vectors (padded with zeros) into ``x``."""
        values = rng.standard_normal((self.height, self.width, self.words), dtype=np.float32)
        self.given = full = values.astype(self.kind, copy=False)  # stand-ins take no memory
        if padded > self.words:
            full = np.zeros((self.height, self.width, padded), self.kind)
            full[..., : self.words] = self.given
        sim.write("x", full, rect=self.whole)

    def roots(self) -> tuple[int, int, int, int]:
        """The rectangle of the first PEs of all blocks."""
        return 0, 0, self.width // self.lengths[0], self.height // self.lengths[1]

    def blocks(self, values: Any) -> Any:
        """[H, W, ...] as [blocks in y, blocks in x, y in the block, x in the block, ...]."""
        long, high = self.lengths
        shape = (self.height // high, high, self.width // long, long, *values.shape[2:])
        return values.reshape(shape).swapaxes(1, 2)

    def exact(self, calls: int = 1) -> Any:
        """The result of each block in binary64, [blocks in y, blocks in x, words]."""
        blocks = self.blocks(self.given.astype(np.float64))
        if self.op == "max":
            return blocks.max(axis=(2, 3))
        return blocks.sum(axis=(2, 3)) * float(self.lengths[0] * self.lengths[1]) ** (calls - 1)

    def compare(self, found: Any, exact: Any, calls: int = 1) -> tuple[float, bool]:
        """Largest error, and whether rounding explains it (a maximum is exact)."""
        error = float(np.max(np.abs(found[..., : self.words].astype(np.float64) - exact)))
        if self.op == "max":
            return error, error == 0.0
        terms = self.lengths[0] * self.lengths[1]
        scale = float(np.max(np.abs(exact))) + terms ** (calls - 0.5)
        return error, error <= calls * terms * scale * float(np.finfo(self.kind).eps)


def check_snake(kernel: str, axis: str) -> None:
    """Raises ConfigError unless a snake has a rectangle."""
    if axis != "xy":
        raise ConfigError(f"{kernel}: algorithm=snake with axis={axis}; allowed: axis=xy (2x2 or larger)")


def compare_sum(found: Any, exact: Any, terms: int) -> tuple[float, bool]:
    """Largest error of float32 sums of ``terms`` values, and whether rounding explains it."""
    error = float(np.max(np.abs(found.astype(np.float64) - exact)))
    scale = float(np.max(np.abs(exact))) + terms**0.5
    return error, error <= terms * scale * float(np.finfo(np.float32).eps)


def reduce_formula(
    arch: Arch, lengths: tuple[int, int], exchange: GridExchange, wavelets: int
) -> Formula | None:
    """The published form for generation 2; along both axes the sum of the two."""
    if arch.generation != 2:
        return None
    ramp = int(arch.ramp_out_cycles)
    if exchange.algorithm == "snake":
        cycles = formulas.reduce_chain(wavelets, lengths[0] * lengths[1], ramp)
        return Formula("B + (2 T_R + 2)(M N - 1)", formulas.HPDC, cycles)
    parts = [
        (part.algorithm, formulas.reduce_line(part.algorithm, wavelets, pes, ramp))
        for part, pes in ((exchange.rows, lengths[0]), (exchange.columns, lengths[1]))
        if part is not None
    ]
    text = " + ".join(dict.fromkeys(formulas.TEXT[name] for name, _ in parts))
    along = f"{text}, along x and y" if len(parts) > 1 else text
    return Formula(along, formulas.HPDC, sum(cycles for _, cycles in parts))


def row_axis(layout: Layout, width: int, words: int, algorithm: str) -> Axis:
    """The axis along x: reduces westward with queues 2 (in) and 2 (out)."""
    colors = tuple(layout.color(f"row{i}") for i in range(num_colors(algorithm)))
    return Axis("row", width, words, algorithm, "WEST", "EAST", colors, in_queue=2, out_queue=2)


def _tile(layout: Layout, exchange: GridExchange, kind: str, place: tuple[int, int], dtype: str) -> Any:
    pe = layout.tile(kind)
    data = pe.array("x", dtype, exchange.words, align=16, export=True)
    stamps = stamp_array(pe)
    code = exchange.code(pe, *place, data)
    steps = code.steps()
    behind = len(steps) - code.trailing
    with pe.function("main"):
        start = pe.timestamp()
        for step in steps[:behind]:
            step()
        end = pe.timestamp()
        pe.store(stamps, 0, start)
        pe.store(stamps, 1, end)
        for step in steps[behind:]:
            step()
        pe.done()
    return pe
