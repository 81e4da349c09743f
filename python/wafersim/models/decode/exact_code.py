"""A decode layer with exact widths as the program of one PE: norm, attention, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wafersim.kernels.timing import stamp_array
from wafersim.models.decode.exact_mlp import emit_mlp, mlp_arrays
from wafersim.models.pieces.gemv_code import Products, each, times, view
from wafersim.models.pieces.relay_tree import GroupTree, RelayTree
from wafersim.models.work.exact_plan import SQUARINGS, ExactPlan

if TYPE_CHECKING:
    from wafersim.kernels.exchange.exchange import Exchange
    from wafersim.kernels.exchange.spread import Spread
    from wafersim.program import TileProgram

EPSILON = 1e-5
MASKED, LOWEST = -30000.0, -60000.0


class ExactCode:
    """Arrays and code of the PE at place (x, y) of the mesh."""

    def __init__(
        self, pe: TileProgram, plan: ExactPlan, rows: Exchange, columns: Exchange, ways: Sequence[Spread],
        x: int, y: int, is_timing: bool = False,
    ) -> None:  # fmt: skip
        self.pe, self.plan, self.is_fixed = pe, plan, is_timing
        wire = pe.array("wire", "f32", rows.words) if is_timing else None
        self.row, self.column = RelayTree(pe, rows, x, 6, wire), RelayTree(pe, columns, y, 6, wire)
        # one group of heads is the whole row
        self.group = GroupTree(self.row, ways) if ways else (self.row if plan.span > 1 else None)
        self.products = Products(pe)
        self.slot = pe.param("slot", "i16", default=-1)
        self.a: dict[str, Any] = {}
        p = plan
        self.data("X", p.batch * p.dim)
        self.data("W1", p.dim)
        self.data("W2", p.dim)
        self.data("Wqkv", p.dim * p.fused)
        self.data("Wo", p.q * p.dim)
        self.data("cos", (p.q + p.kv) // 2)
        self.data("sin", (p.q + p.kv) // 2)
        self.data("K", p.batch * p.kv_heads * p.part * p.keys)
        self.data("V", p.batch * p.kv_heads * p.keys * p.part)
        self.data("mask", p.keys)
        self.scratch("N", p.batch * p.dim)
        self.scratch("QKV", p.batch * p.fused)
        self.scratch("rope", 2 * (p.q + p.kv))
        self.scratch("score", p.rows * p.keys)
        self.scratch("exp", p.rows * p.keys, "f32")
        self.scratch("row_max", p.rows)
        self.scratch("row_sum", p.rows, "f32")
        self.scratch("att", p.batch * p.q)
        self.scratch("H", p.batch * p.dim)
        self.scratch("squares", p.dim, "f32")
        self.scratch("norm_sum", p.batch, "f32")
        self.a["Z"] = pe.array("Z", "f16", p.batch * p.dim, export=True)
        mlp_arrays(self)
        self.stamps = stamp_array(pe)

    def data(self, name: str, size: int, dtype: str = "f16") -> None:
        """An array that the host fills."""
        self.a[name] = self.pe.array(name, dtype, size, export=True, data=True)

    def scratch(self, name: str, size: int, dtype: str = "f16") -> None:
        self.a[name] = self.pe.array(name, dtype, size, align=4)

    def view(self, name: str, extent: int | None = None, at: Any = 0, stride: int = 1) -> Any:
        array = self.a[name]
        return view(self.pe, array, array.bytes // array.elem_bytes if extent is None else extent, at, stride)

    def emit(self) -> None:
        """Function ``main``: a stamp, the layer, a stamp."""
        pe = self.pe
        with pe.function("main"):
            pe.store(self.stamps, 0, pe.timestamp())
            self.norm("X", "W1")
            self._qkv()
            self._scores()
            self._softmax()
            self._output()
            pe.faddh(self.view("Z"), self.view("X"), self.view("H"))
            self.norm("Z", "W2")
            emit_mlp(self)
            pe.faddh(self.view("Z"), self.view("Z"), self.view("H"))
            pe.store(self.stamps, 1, pe.timestamp())
            pe.done()

    def norm(self, source: str, weights: str) -> None:
        """N = source / rms(source) * weights; squares and their sum in fp32."""
        pe, p = self.pe, self.plan
        with each(pe, p.batch) as b:
            at = times(pe, b, p.dim)
            pe.fh2s(self.view("squares"), self.view(source, p.dim, at))
            pe.fmuls(self.view("squares"), self.view("squares"), self.view("squares"))
            pe.store(self.a["norm_sum"], b, 0.0)
            cell = pe.ptr(pe.address_of(self.a["norm_sum"], b), "f32")
            pe.fadds(cell, cell, self.view("squares"))
        self.column.emit(self.a["norm_sum"], p.batch, dtype="f32")
        with each(pe, p.batch) as b:
            at = times(pe, b, p.dim)
            scale = (pe.load(self.a["norm_sum"], b) * (1.0 / p.hidden) + EPSILON).math("rsqrt").to("f16")
            pe.fmulh(self.view("N", p.dim, at), self.view(source, p.dim, at), scale)
            pe.fmulh(self.view("N", p.dim, at), self.view("N", p.dim, at), self.view(weights))

    def product(
        self, x: str, x_at: Any, rows: int, w: str, w_at: Any, columns: int, out: str, out_at: Any
    ) -> None:
        """A product of arrays by name."""
        self.products.emit(self.a[x], x_at, rows, self.a[w], w_at, columns, self.a[out], out_at)

    def _qkv(self) -> None:
        pe, p = self.pe, self.plan
        pe.fmovh(self.view("QKV"), 0.0)
        with each(pe, p.batch) as b:
            self.product("N", times(pe, b, p.dim), p.dim, "Wqkv", 0, p.fused, "QKV", times(pe, b, p.fused))
        self.column.emit(self.a["QKV"], p.batch * p.fused)
        half = (p.q + p.kv) // 2
        parts = [self.view("rope", half, i * half) for i in range(4)]
        with each(pe, p.batch) as b:
            even = self.view("QKV", half, times(pe, b, p.fused))
            odd = self.view("QKV", half, times(pe, b, p.fused, half))
            for target, a, c in ((0, even, "cos"), (1, odd, "sin"), (2, even, "sin"), (3, odd, "cos")):
                pe.fmulh(parts[target], a, self.view(c))
            pe.fsubh(even, parts[0], parts[1])
            pe.faddh(odd, parts[2], parts[3])
        self._append()

    def _append(self) -> None:
        """New keys and values go to their place, on the one row of PEs that has it."""
        pe, p = self.pe, self.plan
        half, pairs = (p.q + p.kv) // 2, p.part // 2
        slot = pe.load(self.slot, 0).to("u16")
        with pe.if_(pe.load(self.slot, 0) >= 0), each(pe, p.batch) as b:
            for h in range(p.kv_heads):
                first = times(pe, b, p.kv * p.keys, h * p.part * p.keys)
                for k, start in enumerate((p.q // 2, half + p.q // 2)):
                    source = self.view("QKV", pairs, times(pe, b, p.fused, start + h * pairs))
                    pe.fmovh(self.view("K", pairs, slot + (first + k * pairs * p.keys), p.keys), source)
                source = self.view("QKV", p.part, times(pe, b, p.fused, 2 * half + h * p.part))
                pe.fmovh(self.view("V", p.part, slot * p.part + first), source)

    def _scores(self) -> None:
        pe, p = self.pe, self.plan
        half, pairs, ratio = (p.q + p.kv) // 2, p.part // 2, p.q_heads // p.kv_heads
        pe.fmovh(self.view("score"), 0.0)
        with each(pe, p.batch) as b:
            for h in range(p.q_heads):
                for k in range(2):
                    x_at = times(pe, b, p.fused, k * half + h * pairs)
                    w_at = times(pe, b, p.kv * p.keys, (h // ratio * p.part + k * pairs) * p.keys)
                    out_at = times(pe, b, p.q_heads * p.keys, h * p.keys)
                    self.product("QKV", x_at, pairs, "K", w_at, p.keys, "score", out_at)
        if self.group is not None:
            self.group.emit(self.a["score"], p.rows * p.keys)
        mask = pe.mem_dsd(self.a["mask"], extents=(p.rows, p.keys), strides=(0, 1))
        pe.fmach(self.view("score"), mask, self.view("score"), p.head_dim**-0.5)

    def _softmax(self) -> None:
        """exp(score - maximum) by squaring in fp32, and its sums; the division follows the output."""
        pe, p = self.pe, self.plan
        with each(pe, p.rows) as r:
            pe.store(self.a["row_max"], r, LOWEST)
            cell = pe.ptr(pe.address_of(self.a["row_max"], r), "f16")
            pe.fmaxh(cell, cell, self.view("score", p.keys, times(pe, r, p.keys)))
        self.column.emit(self.a["row_max"], p.rows, op="max")
        pe.fh2s(self.view("exp"), self.view("score"))
        pe.fmuls(self.view("exp"), self.view("exp"), 2.0**-SQUARINGS)
        with each(pe, p.rows) as r:
            shift = 1.0 - pe.load(self.a["row_max"], r).to("f32") * 2.0**-SQUARINGS
            row = self.view("exp", p.keys, times(pe, r, p.keys))
            pe.fadds(row, row, shift)
        self.power("exp")
        with each(pe, p.rows) as r:
            pe.store(self.a["row_sum"], r, 0.0)
            cell = pe.ptr(pe.address_of(self.a["row_sum"], r), "f32")
            pe.fadds(cell, cell, self.view("exp", p.keys, times(pe, r, p.keys)))
        self.column.emit(self.a["row_sum"], p.rows, dtype="f32")
        pe.fs2h(self.view("score"), self.view("exp"))

    def power(self, name: str) -> None:
        """``max(0, x) ** 1024``."""
        pe = self.pe
        pe.fmaxs(self.view(name), self.view(name), 0.0)
        for _ in range(SQUARINGS):
            pe.fmuls(self.view(name), self.view(name), self.view(name))

    def _output(self) -> None:
        pe, p = self.pe, self.plan
        ratio = p.q_heads // p.kv_heads
        pe.fmovh(self.view("att"), 0.0)
        with each(pe, p.batch) as b:
            for h in range(p.q_heads):
                x_at = times(pe, b, p.q_heads * p.keys, h * p.keys)
                w_at = times(pe, b, p.kv * p.keys, h // ratio * p.part * p.keys)
                self.product("score", x_at, p.keys, "V", w_at, p.part, "att", times(pe, b, p.q, h * p.part))
        self.column.emit(self.a["att"], p.batch * p.q)
        with each(pe, p.rows) as r:
            row = self.view("att", p.part, times(pe, r, p.part))
            pe.fmulh(row, row, (1.0 / pe.load(self.a["row_sum"], r)).to("f16"))
        pe.fmovh(self.view("H"), 0.0)
        with each(pe, p.batch) as b:
            self.product("att", times(pe, b, p.q), p.q, "Wo", 0, p.dim, "H", times(pe, b, p.dim))
        self.row.emit(self.a["H"], p.batch * p.dim)
