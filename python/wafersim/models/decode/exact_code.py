"""A decode layer with exact widths as the program of one PE: norm, attention, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wafersim.kernels.timing import stamp_array
from wafersim.models.decode.exact_mlp import mlp_arrays
from wafersim.models.decode.layer_code import LayerCode
from wafersim.models.pieces.gemv_code import each, times
from wafersim.models.pieces.relay_tree import GroupTree
from wafersim.models.work.exact_plan import ExactPlan

if TYPE_CHECKING:
    from wafersim.kernels.exchange.exchange import Exchange
    from wafersim.kernels.exchange.spread import Spread
    from wafersim.program import TileProgram


class ExactCode(LayerCode):
    """Attention with rotated heads: keys and values of its group's heads on every PE."""

    def __init__(
        self, pe: TileProgram, plan: ExactPlan, rows: Exchange, columns: Exchange, ways: Sequence[Spread],
        x: int, y: int, is_timing: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(pe, plan, rows, columns, x, y, is_timing)
        # one group of heads is the whole row
        self.group = GroupTree(self.row, ways) if ways else (self.row if plan.span > 1 else None)
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

    def attention(self) -> None:
        self._qkv()
        self._scores()
        self.softmax()
        self._output()

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
        self.divide("att", p.part)
        pe.fmovh(self.view("H"), 0.0)
        with each(pe, p.batch) as b:
            self.product("att", times(pe, b, p.q), p.q, "Wo", 0, p.dim, "H", times(pe, b, p.dim))
        self.row.emit(self.a["H"], p.batch * p.dim)
