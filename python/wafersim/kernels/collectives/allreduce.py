"""Sum (or maximum) of all PEs' vectors, known to all PEs: of rows, of columns, or of the rectangle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels import formulas
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, Validity, parameters
from wafersim.kernels.collectives.reduce import AXIS, DTYPE, OP, WORDS, Vectors, check_snake, chosen_axis
from wafersim.kernels.exchange.exchange import ALLREDUCE_ALGORITHMS, choose, line_allreduce
from wafersim.kernels.exchange.grid_exchange import GridExchange, grid_allreduce
from wafersim.kernels.exchange.snake import snake_exchange
from wafersim.kernels.timing import read_stamps, stamp_array, wavelet_window

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

ALGORITHM = Parameter(
    "algorithm", str, "chain", "how the sums travel; auto: the best by formula, without ktree",
    allowed=(*ALLREDUCE_ALGORITHMS, "snake", "auto"),
)  # fmt: skip
GROUPS = Parameter("groups", int, 0, "groups of a ktree; 0: the divisor next to the root", maximum=4096)
CALLS = Parameter("calls", int, 1, "allreduces one behind the other", minimum=1, maximum=1000)


class AllReduce(Kernel):
    """One or more allreduces; every PE runs a list of vector ops."""

    name: ClassVar[str] = "allreduce"
    description: ClassVar[str] = "sum of all PEs' vectors along rows, columns or both, on all PEs"
    default_grid: ClassVar[tuple[int, int]] = (8, 8)
    parameters: ClassVar[dict[str, Parameter]] = parameters(WORDS, ALGORITHM, AXIS, DTYPE, OP, GROUPS, CALLS)

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        from wafersim.program import Layout

        axis = chosen_axis(self, str(params["axis"]), width, height, both=True)
        lengths = {"x": (width, 1), "y": (1, height), "xy": (width, height)}[axis]
        layout = Layout(width, height, arch=arch, name="allreduce")
        plan = _Plan(arch, lengths, params)
        exchange = plan.exchange(layout, axis)
        exchange.add_routes()
        for kind, place, mask in exchange.areas():
            exchange.place(_tile(layout, exchange, kind, place, plan), mask)
        return self._run(arch, exchange, layout, plan)

    def _run(self, arch: Arch, exchange: GridExchange, layout: Layout, plan: _Plan) -> KernelRun:
        data = Vectors(exchange, plan.lengths, plan.dtype, plan.op, plan.words)

        def setup(sim: Any, rng: np.random.Generator) -> None:
            data.setup(sim, rng, padded=exchange.words)

        def check(sim: Any) -> tuple[float, bool]:
            found = data.blocks(sim.read("x", rect=data.whole)[..., : plan.words])
            error, good = data.compare(found[:, :, 0, 0], data.exact(plan.calls), calls=plan.calls)
            return error, good and bool(np.all(found == found[:, :, :1, :1]))

        def metrics(sim: Any, record: Any) -> dict[str, Any]:
            stamps = read_stamps(sim, data.whole)
            first = data.blocks(stamps[..., 0]).min(axis=(2, 3)).ravel()
            last = data.blocks(stamps[..., 1]).max(axis=(2, 3)).ravel()
            windows = [wavelet_window(arch, int(a), int(b)) for a, b in zip(first, last, strict=True)]
            return {
                "window_cycles": max(windows),
                "cycles_per_call": max(windows) / plan.calls,
                "words": plan.words,
                "algorithm": exchange.algorithm,
                **plan.counts(),
            }

        known = arch.generation == 2
        return KernelRun(
            layout.build(), setup, [Launch("main")], check, metrics, plan.formula(exchange),
            validity=Validity("extrapolated", ("HPDCM-002", "HPDCM-004")) if known else Validity(),
        )  # fmt: skip


class _Plan:
    """The parameters of a run, and what follows from them."""

    def __init__(self, arch: Arch, lengths: tuple[int, int], params: Mapping[str, Any]) -> None:
        self.lengths, self.words = lengths, int(params["words"])
        self.dtype, self.op, self.calls = str(params["dtype"]), str(params["op"]), int(params["calls"])
        self.generation, self.ramp = int(arch.generation), int(arch.ramp_out_cycles)
        self.algorithm = str(params["algorithm"])
        if self.algorithm == "auto":
            self.algorithm = self._best()
        asked = int(params["groups"])
        self.groups = tuple(asked or near_root(pes) for pes in lengths)
        granule = max(lengths) if self.algorithm != "ring" else self._granule()
        #: elements that travel: a ring needs whole chunks
        self.padded = self.words if self.algorithm != "ring" else -(-self.words // granule) * granule

    @property
    def wavelets(self) -> int:
        """32-bit words per PE."""
        return self.words if self.dtype == "f32" else -(-self.words // 2)

    def _granule(self) -> int:
        chunk = 2 if self.dtype == "f16" else 1
        return int(np.lcm(*self.lengths)) * chunk

    def _best(self) -> str:
        """By formula: of a line, or of the rectangle."""
        long, high = self.lengths
        if 1 in self.lengths:
            return choose("auto", self.words, long * high, self.ramp, self.dtype, allreduce=True)
        costs = {
            name: formulas.allreduce_grid(self.wavelets, long, high, self.ramp, name)
            for name in (*formulas.REDUCE, "ring")
        }
        return formulas.best(costs)

    def exchange(self, layout: Layout, axis: str) -> GridExchange:
        """The allreduce of parallel lines, or of the rectangle."""
        width, height = layout.width, layout.height
        if self.algorithm == "snake":
            check_snake("allreduce", axis)
            rect = (0, 0, width, height)
            return snake_exchange(
                layout, "sum", rect, self.words, self.dtype, self.op, queues=(2, 2), back=(4, 4)
            )
        common: dict[str, Any] = {"algorithm": self.algorithm, "words": self.padded, "dtype": self.dtype}
        common |= {"op": self.op, "rearm": self.calls > 1}
        if axis == "xy":
            groups = (self.groups[0], self.groups[1])
            return grid_allreduce(layout, "sum", width, height, groups=groups, **common)
        along_x = axis == "x"
        pes, across = (width, height) if along_x else (height, width)
        name, groups_of_line = ("row", self.groups[0]) if along_x else ("column", self.groups[1])
        line = line_allreduce(layout, name, axis, pes, across, groups=groups_of_line, **common)
        return GridExchange(layout, (0, 0, width, height), *((line, None) if along_x else (None, line)))

    def counts(self) -> dict[str, Any]:
        """Stages and hops of a K-tree, both axes together."""
        if self.algorithm != "ktree":
            return {}
        parts = [
            formulas.ktree_counts(pes, groups)
            for pes, groups in zip(self.lengths, self.groups, strict=True)
            if pes > 1
        ]
        return {name: sum(part[name] for part in parts) for name in ("stages", "hops")}

    def formula(self, exchange: GridExchange) -> Formula | None:
        """The published form (for generation 2), of all calls."""
        if self.generation != 2:
            return None
        long, high = self.lengths
        both = 1 not in self.lengths
        if self.algorithm == "snake":
            there = formulas.reduce_chain(self.wavelets, long * high, self.ramp)
            back = formulas.broadcast_grid(self.wavelets, long, high, self.ramp)
            text = "B + (2 T_R + 2)(M N - 1) + broadcast"
            return Formula(text, formulas.HPDC, self.calls * (there + back))
        if self.algorithm == "ktree":
            cycles = sum(
                formulas.allreduce_ktree(self.wavelets, pes, groups, self.ramp)
                for pes, groups in zip(self.lengths, self.groups, strict=True)
                if pes > 1
            )
            source = f"{formulas.HPDC}; counts of MeshGEMV (WaferLLM, OSDI 2025)"
            return Formula(formulas.TEXT["ktree"], source, self.calls * cycles)
        cycles = (
            formulas.allreduce_grid(self.wavelets, long, high, self.ramp, self.algorithm)
            if both
            else formulas.allreduce_line(self.algorithm, self.wavelets, long * high, self.ramp)
        )
        text = formulas.TEXT[self.algorithm]
        text += " (along x and y)" if both else ""
        text += "" if self.algorithm == "ring" else " + broadcast"
        return Formula(text, formulas.HPDC, self.calls * cycles)


def near_root(pes: int) -> int:
    """The divisor of ``pes`` closest to its square root (the smaller of two)."""
    divisors = [n for n in range(1, pes + 1) if pes % n == 0]
    return min(divisors, key=lambda n: (abs(n - pes**0.5), n))


def _tile(layout: Layout, exchange: GridExchange, kind: str, place: tuple[int, int], plan: _Plan) -> Any:
    pe = layout.tile(kind)
    data = pe.array("x", plan.dtype, exchange.words, align=16, export=True)
    stamps = stamp_array(pe)
    code = exchange.code(pe, *place, data)
    call = None
    if plan.calls > 1:
        call = pe.function("call", export=False)
        with call:
            code.emit()
    with pe.function("main"):
        code.setup()
        start = pe.timestamp()
        if call is None:
            code.emit()
        else:
            with pe.for_range(plan.calls):
                pe.call(call)
        end = pe.timestamp()
        pe.store(stamps, 0, start)
        pe.store(stamps, 1, end)
        pe.done()
    return pe
