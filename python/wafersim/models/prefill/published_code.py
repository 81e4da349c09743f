"""The released prefill layer of WaferLLM as the program of one PE, section by section.

Source: WaferLLM (OSDI 2025, arXiv 2502.04563v3) and its public code.  Every product is a MeshGEMM but the
scores, a GEMM-T; all heads count as one.  As released, nothing is masked, the first residual sum is missing,
the activation is ``(1 + exp(-x)) / x`` and the second norm multiplies with what happens to lie at ``sum[i]``:
it is a program for times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.kernels.exchange.lines import PeLine
from wafersim.kernels.exchange.spread import Spread
from wafersim.kernels.matrix.mesh import Mesh, MeshCode
from wafersim.kernels.matrix.mesh_t import TransposedProduct
from wafersim.kernels.matrix.product import Shape
from wafersim.kernels.matrix.rotating import ChainCode, Chains
from wafersim.models.prefill.chain_sum import ChainSum
from wafersim.models.prefill.sections import Section, Sections

if TYPE_CHECKING:
    from wafersim.models.work.published import Tile
    from wafersim.program import Layout

EPSILON = 1e-6
#: queues beside those of the rings: from west, from east, to east, to west; the way back in and out
CHAIN_QUEUES = {2: (3, 5, 4, 1), 3: (6, 7, 6, 7)}
BACK_QUEUES = {2: (6, 0), 3: (4, 4)}
#: descriptor register of the chains, and the first of the vector code
CHAIN_DSR, CODE_DSR = 8, 9


class Wires:
    """Colors and routes of the layer on ``width`` x ``height`` PEs: 12 of the rings, 4 of the chains, 1 back.

    Without rings (``has_rings`` False) the rectangle need not be square.
    """

    def __init__(
        self, layout: Layout, width: int, height: int, has_rings: bool = True, dtype: str = "f16"
    ) -> None:
        self.layout, self.width, self.height, self.dtype = layout, width, height, dtype
        self.mesh = Mesh(layout, width, dtype) if has_rings else None
        self.chains = Chains(layout, width, height, dtype)
        queues = BACK_QUEUES[layout.generation]
        self.spread = Spread(PeLine("x", width, height), width // 2, layout.color("sum_back"), *queues, dtype)

    def add_routes(self) -> None:
        """All static routes."""
        if self.mesh is not None:
            self.mesh.add_routes()
        self.chains.add_routes()
        self.spread.add_routes(self.layout)

    def areas(self) -> Iterator[tuple[int, int, npt.NDArray[np.bool_]]]:
        """(x, y) of a PE and mask [height, width] of the PEs that share its tile, for every kind."""
        found: dict[Any, npt.NDArray[np.bool_]] = {}
        for y in range(self.height):
            for x in range(self.width):
                mask = found.setdefault(self._kind(x, y), np.zeros((self.height, self.width), np.bool_))
                mask[y, x] = True
        for mask in found.values():
            y, x = divmod(int(np.argmax(mask)), self.width)
            yield x, y, mask

    def _kind(self, x: int, y: int) -> tuple[Any, ...]:
        side = (x > self.width // 2) - (x < self.width // 2)
        ring = None if self.mesh is None else self.mesh.kind(x, y)
        return (ring, self.chains.kind(x), side)


class PublishedPrefill:
    """Arrays and code of one PE at place (x, y) for some sections of the layer."""

    def __init__(
        self, layout: Layout, wires: Wires, tile: Tile, x: int, y: int, parts: Sequence[str]
    ) -> None:
        self.tile, self.dtype = tile, wires.dtype
        self.pe = pe = layout.tile(f"prefill_{x}_{y}")
        self.sections = Sections(pe)
        self._arrays()
        chain = ChainCode(pe, wires.chains, x, CHAIN_DSR, CHAIN_QUEUES[layout.generation])
        self.sums = ChainSum(pe, wires.chains, chain, wires.spread, x)
        self.dest, self.src0, self.src1 = (pe.dsr(file, CODE_DSR) for file in ("dest", "src0", "src1"))
        self.code = MeshCode(pe, wires.mesh, x, y) if wires.mesh is not None else None
        self.score = self._score(chain) if "score" in parts else None
        found = {name: self._section(name) for name in dict.fromkeys(parts)}
        for code in (self.code, self.score):
            if code is not None:
                code.emit()
        self.sections.emit([found[name] for name in parts])

    def params(self, width: int, height: int) -> dict[str, Any]:
        """Parameters for all PEs of the rectangle."""
        ys, xs = np.mgrid[0:height, 0:width]
        found = {} if self.code is None else self.code.params(ys)
        return found | (self.score.params(xs, ys) if self.score is not None else {})

    def _arrays(self) -> None:
        d, s, f = self.tile.dim, self.tile.seq, self.tile.ffn
        inputs = {
            "X": s * d, "W": d, "Q_weight": d * d, "K_weight": d * d, "V_weight": d * d, "O_weight": d * d,
            "freqs_sin": max(1, d // 2), "freqs_cos": max(1, d // 2), "UP_weight": d * f,
            "GATE_weight": d * f, "DOWN_weight": f * d,
        }  # fmt: skip
        work = {
            "X_norm": s * d, "XQ": s * d, "XK": s * d, "XV": s * d, "score": s * s, "output": s * d,
            "h1": s * d, "h2": s * d, "z1": s * f, "z2": s * f, "z3": s * f, "Z": s * d, "sum": s,
            "max": s, "rope_1": s, "rope_2": s, "rope_3": s, "rope_4": s,
            "left_sd": s * d, "left_ss": s * s, "left_sf": s * f, "right_dd": d * d, "right_df": d * f,
            "partial": s * s,
        }  # fmt: skip
        self.a = {
            name: self.pe.array(name, self.dtype, size, export=name in inputs, data=name in inputs, align=4)
            for name, size in (inputs | work).items()
        }

    def _section(self, name: str) -> Section:
        """The section of a name."""
        local: dict[str, Callable[[], None]] = {
            "norm": self._norm, "rope": self._rope, "softmax": self._softmax,
            "activation": self._activation, "residual": self._residual,
        }  # fmt: skip
        if name in local:
            return Section(name, lambda task: local[name]())
        return Section(name, self._moving(name), goes_on=True)

    def _moving(self, name: str) -> Callable[[Any], None]:
        """What starts a product or an alignment."""
        d, s, f = self.tile.dim, self.tile.seq, self.tile.ffn
        assert self.code is not None, "products need rings"
        if name == "score":
            assert self.score is not None
            return self.score.start
        aligned = {"align": (d, "X_norm", "left_sd"), "align_score": (s, "score", "left_ss"),
                   "align_ffn": (f, "z3", "left_sf")}  # fmt: skip
        if name in aligned:
            columns, *names = aligned[name]
            a, buffer = (self.a[key] for key in names)
            return self.code.alignment(name, s, columns, a=a, buffer=buffer).start
        products = {
            "q": (Shape(s, d, d), "X_norm", "left_sd", "Q_weight", "right_dd", "XQ"),
            "k": (Shape(s, d, d), "X_norm", "left_sd", "K_weight", "right_dd", "XK"),
            "v": (Shape(s, d, d), "X_norm", "left_sd", "V_weight", "right_dd", "XV"),
            "out": (Shape(s, s, d), "score", "left_ss", "XV", "left_sd", "output"),
            "o": (Shape(s, d, d), "output", "left_sd", "O_weight", "right_dd", "h1"),
            "up": (Shape(s, d, f), "X_norm", "left_sd", "UP_weight", "right_df", "z1"),
            "gate": (Shape(s, d, f), "X_norm", "left_sd", "GATE_weight", "right_df", "z2"),
            "down": (Shape(s, f, d), "z3", "left_sf", "DOWN_weight", "right_df", "h2"),
        }
        shape, *names = products[name]
        keys = ("a", "a_buffer", "b", "b_buffer", "c")
        arrays = {key: self.a[array] for key, array in zip(keys, names, strict=True)}
        return self.code.product(name, shape, **arrays).start

    def _score(self, chain: ChainCode) -> TransposedProduct:
        d, s = self.tile.dim, self.tile.seq
        a = self.a
        assert self.code is not None, "products need rings"
        return TransposedProduct(
            self.pe, self.code.y, chain, Shape(s, d, s), self.code.dsrs, a=a["XQ"], b=a["XK"],
            b_buffer=a["left_sd"], c=a["score"], partial=a["partial"],
        )  # fmt: skip

    def view(self, name: str, extent: int | None = None, offset: int = 0) -> Any:
        return self.pe.mem_dsd(self.a[name], extent=extent, offset=offset)

    def fixed(self, name: str, extent: int) -> Any:
        """A view that ops leave where it is."""
        return self.pe.mem_dsd(self.a[name], extents=(1, extent), strides=(0, 1))

    def columns(self, op: str, target: str | None, source: str, count: int, other: Any = None) -> None:
        """An op for each of ``count`` columns of a tile.

        With ``target`` None the columns are collected into the array ``other``; with a target ``other`` is
        the array combined with each column, or a function that gives the scalar for a column's number.
        """
        pe, s = self.pe, self.tile.seq
        moving = pe.mem_dsd(self.a[source], extent=s)
        if target is None:
            pe.load_to_dsr(self.dest, self.fixed(other, s))
            pe.load_to_dsr(self.src0, self.fixed(other, s))
            pe.load_to_dsr(self.src1, moving, save_address=True)
        else:
            pe.load_to_dsr(self.dest, pe.mem_dsd(self.a[target], extent=s), save_address=True)
            pe.load_to_dsr(self.src0, moving, save_address=True)
            if isinstance(other, str):
                pe.load_to_dsr(self.src1, self.fixed(other, s))
        with pe.for_range(count) as i:
            last = other(i) if callable(other) else self.src1
            pe.vop(op, self.dest, self.src0, last)

    def _norm(self) -> None:
        pe, d, s = self.pe, self.tile.dim, self.tile.seq
        pe.fmulh(self.view("left_sd"), self.view("X"), self.view("X"))
        pe.fmovh(self.view("sum"), 0.0)
        self.columns("faddh", None, "left_sd", d, "sum")
        self.sums.emit(self.a["sum"], s)
        with pe.for_range(s) as i:
            mean = pe.load(self.a["sum"], i) / pe.let("f16", float(max(1, d))) + EPSILON
            pe.store(self.a["sum"], i, 1.0 / mean.math("sqrt"))
        self.columns("fmulh", "X_norm", "X", d, lambda i: pe.load(self.a["W"], i))
        self.columns("fmulh", "X_norm", "X_norm", d, "sum")

    def _rope(self) -> None:
        pe, s = self.pe, self.tile.seq
        for pair in range(self.tile.dim // 2):
            cos, sin = pe.load(self.a["freqs_cos"], pair), pe.load(self.a["freqs_sin"], pair)
            even, odd = (self.view("XQ", s, (2 * pair + k) * s) for k in (0, 1))
            t = [self.view(f"rope_{k}") for k in (1, 2, 3, 4)]
            for target, a, factor in (
                (t[0], odd, cos),
                (t[1], even, sin),
                (t[2], even, cos),
                (t[3], odd, sin),
            ):
                pe.fmulh(target, a, factor)
            pe.fsubh(even, t[0], t[1])
            pe.faddh(odd, t[2], t[3])

    def _softmax(self) -> None:
        pe, s = self.pe, self.tile.seq
        pe.fmulh(self.view("score"), self.view("score"), 0.015625)
        pe.fmovh(self.view("max"), 0.0)
        self.columns("fmaxh", None, "score", s, "max")
        self.sums.emit(self.a["max"], s, "max")
        self.columns("fsubh", "score", "score", s, "max")
        with pe.for_range(s * s) as i:
            pe.store(self.a["left_ss"], i, pe.load(self.a["score"], i).math("exp"))
        pe.fmovh(self.view("sum"), 0.0)
        self.columns("faddh", None, "left_ss", s, "sum")
        self.sums.emit(self.a["sum"], s)
        with pe.for_range(s) as i:
            pe.store(self.a["sum"], i, pe.let("f16", 1.0) / pe.load(self.a["sum"], i))
        self.columns("fmulh", "score", "left_ss", s, "sum")

    def _activation(self) -> None:
        pe = self.pe
        with pe.for_range(self.tile.seq * self.tile.ffn) as i:
            x = pe.load(self.a["z2"], i)
            pe.store(self.a["z2"], i, ((-x).math("exp") + 1.0) / x)
        pe.fmulh(self.view("z3"), self.view("z1"), self.view("z2"))

    def _residual(self) -> None:
        self.pe.faddh(self.view("Z"), self.view("Z"), self.view("h2"))
