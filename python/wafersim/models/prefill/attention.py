"""Attention of a prefill layer as the program of one PE.

Keys, later values, travel around the columns of the mesh.  A step's scores are summed within the columns of a
group of heads; the column that owns the block of keys stores them.  After the softmax the owner makes its
block known to the group, which multiplies it with the values that pass: nothing is transposed.  Block ``q``
(a place on the ring) belongs to column ``q mod span`` of every group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wafersim.kernels.matrix.product import LocalProduct, Shape
from wafersim.models.pieces.gemv_code import each, times, view
from wafersim.models.prefill.ring import RingPass
from wafersim.models.work.exact_plan import SQUARINGS

if TYPE_CHECKING:
    from wafersim.models.prefill.code import PrefillCode

#: a score that counts for nothing, and less than any score
MASKED, LOWEST = -30000.0, -60000.0


class AttentionCode:
    """Rotary positions, scores, softmax, output; from array ``QKV`` to array ``att``."""

    def __init__(self, code: PrefillCode) -> None:
        self.code = code
        pe, p = code.pe, code.plan
        s, pairs = p.seq, p.part // 2
        code.data("cos", pairs * s)
        code.data("sin", pairs * s)
        code.data("mask", p.blocks * s * s)
        for name, size in (("Q", p.q * s), ("K", p.kv * s), ("V", p.kv * s)):
            code.scratch(name, size, export=name != "Q")
        for name in ("turn_0", "turn_1", "turn_2", "turn_3"):
            code.scratch(name, (p.q + p.kv) // 2 * s)
        code.scratch("block", p.block)
        code.scratch("score", p.blocks * p.block)
        code.scratch("exp", p.blocks * p.block, "f32")
        code.scratch("row_max", p.q_heads * s)
        code.scratch("row_sum", p.q_heads * s, "f32")
        code.scratch("inverse", p.q_heads * s)
        code.scratch("att", p.q * s)
        self.column, self.first_column, self.first_block = (
            pe.param(name, "i16", default=0) for name in ("own_column", "first_column", "first_block")
        )
        self.now = pe.array("block_now", "i16", 2, init=0, export=False)
        a, left = code.a, code.a["left"]
        elements = p.kv * s
        self.keys = RingPass(pe, code.mesh.y, "keys", elements, a["K"], left, self._score)
        self.values = RingPass(pe, code.mesh.y, "values", elements, a["V"], left, self._add_values)
        self.score = LocalProduct(pe, Shape(s, p.part, s), "f16", a["Q"], a["block"], code.mesh.dsrs)
        self.output = LocalProduct(pe, Shape(s, s, p.part), "f16", a["block"], a["att"], code.mesh.dsrs)

    def emit(self) -> None:
        """The tasks of both passes."""
        self.keys.emit()
        self.values.emit()

    def rope(self) -> None:
        """Rotate queries and keys into arrays of their own, and turn the tile of values to rows."""
        code, pe, p = self.code, self.code.pe, self.code.plan
        heads, pairs, s = p.q_heads + p.kv_heads, p.part // 2, p.seq
        half, unit = (p.q + p.kv) // 2 * s, pairs * s
        cos, sin = (pe.mem_dsd(code.a[n], extents=(heads, unit), strides=(0, 1)) for n in ("cos", "sin"))
        first, second = code.view("QKV", half), code.view("QKV", half, half)
        turn = [code.view(f"turn_{k}") for k in range(4)]
        for into, half_tile, factor in ((0, first, cos), (1, second, sin), (2, second, cos), (3, first, sin)):
            pe.fmulh(turn[into], half_tile, factor)
        for name, number, at in (("Q", p.q_heads, 0), ("K", p.kv_heads, p.q // 2 * s)):
            for op, k in ((pe.fsubh, 0), (pe.faddh, 1)):
                target = pe.mem_dsd(
                    code.a[name], extents=(number, unit), strides=(2 * unit, 1), offset=k * unit
                )
                source = [code.view(f"turn_{2 * k + i}", number * unit, at) for i in (0, 1)]
                op(target, *source)
        for h in range(p.kv_heads):
            with each(pe, s) as token:
                source = view(pe, code.a["QKV"], p.part, times(pe, token, 1, 2 * half + h * p.part * s), s)
                pe.fmovh(code.view("V", p.part, times(pe, token, p.part, h * s * p.part)), source)

    def begin(self) -> None:
        """The first block of a pass."""
        pe = self.code.pe
        pe.store(self.now, 0, pe.load(self.first_column, 0))
        pe.store(self.now, 1, pe.load(self.first_block, 0))

    def _next(self) -> None:
        """The block that comes: the place before on the ring."""
        pe, p = self.code.pe, self.code.plan
        column = pe.load(self.now, 0)
        pe.store(self.now, 0, pe.select(column == 0, p.span - 1, column - 1))
        with pe.if_(column == 0):
            block = pe.load(self.now, 1)
            pe.store(self.now, 1, pe.select(block == 0, p.blocks - 1, block - 1))

    def _heads(self, emit: Callable[[Any, int], None]) -> None:
        """``emit(head, key_head)`` for all heads of queries; the first may be a register."""
        p = self.code.plan
        ratio = p.q_heads // p.kv_heads
        for k in range(p.kv_heads):
            with each(self.code.pe, ratio) as h:
                emit(times(self.code.pe, h, 1, k * ratio), k)

    def _own(self, emit: Callable[[Any], Any]) -> None:
        """Code for the column that owns the block, with the block's number there."""
        pe = self.code.pe
        with pe.if_(pe.load(self.now, 0) == pe.load(self.column, 0)):
            emit(pe.load(self.now, 1).to("u16"))

    def _score(self, keys: Any) -> None:
        """Scores of a block of keys, scaled and masked, on the PEs of its column."""
        code, pe, p = self.code, self.code.pe, self.code.plan
        tile = p.seq * p.seq
        pe.fmovh(code.view("block"), 0.0)

        def one(head: Any, key_head: int) -> None:
            a = pe.let("u16", pe.address_of(code.a["Q"], times(pe, head, p.part * p.seq)))
            c = pe.let("u16", pe.address_of(code.a["block"], times(pe, head, tile)))
            self.score.emit(a, keys + 2 * key_head * p.part * p.seq, c)

        self._heads(one)
        code.group_sum("block", p.block)

        def store(block: Any) -> None:
            target = code.view("score", p.block, times(pe, block, p.block))
            mask = pe.mem_dsd(code.a["mask"], extents=(p.q_heads, tile), strides=(0, 1))
            pe.set_dsd_base_addr(mask, pe.address_of(code.a["mask"], times(pe, block, tile)))
            pe.fmach(target, mask, code.view("block"), p.head_dim**-0.5)

        self._own(store)
        self._next()

    def softmax(self) -> None:
        """exp(score - maximum) by squaring in fp32, and its sums; the division follows the output."""
        code, pe, p = self.code, self.code.pe, self.code.plan
        rows = p.q_heads * p.seq
        pe.fmovh(code.view("row_max"), LOWEST)
        self._columns(lambda row, column: pe.fmaxh(row, row, column), "row_max", "score")
        code.group_sum("row_max", rows, "max")
        self._columns(lambda row, column: pe.fsubh(column, column, row), "row_max", "score")
        grown = code.view("exp")
        pe.fh2s(grown, code.view("score"))
        pe.fmuls(grown, grown, 2.0**-SQUARINGS)
        pe.fadds(grown, grown, 1.0)
        pe.fmaxs(grown, grown, 0.0)
        for _ in range(SQUARINGS):
            pe.fmuls(grown, grown, grown)
        pe.fmovs(code.view("row_sum"), 0.0)
        self._columns(lambda row, column: pe.fadds(row, row, column), "row_sum", "exp")
        code.group_sum("row_sum", rows, dtype="f32")
        pe.fs2h(code.view("score"), grown)
        with each(pe, rows) as i:
            pe.store(code.a["inverse"], i, (1.0 / pe.load(code.a["row_sum"], i)).to("f16"))
        pe.fmovh(code.view("att"), 0.0)

    def _columns(self, op: Callable[[Any, Any], Any], rows: str, scores: str) -> None:
        """``op(row values, column of scores)`` for every key on the PE and every head."""
        code, pe, p = self.code, self.code.pe, self.code.plan
        s, tile = p.seq, p.seq * p.seq
        for h in range(p.q_heads):
            row = code.view(rows, s, h * s)
            with each(pe, p.blocks) as block, each(pe, s) as key:
                at = times(pe, block, p.block, h * tile)
                op(row, code.view(scores, s, at + times(pe, key, s)))

    def _add_values(self, values: Any) -> None:
        """The owner's block of weights to all columns of the group, times the values that are here."""
        code, pe, p = self.code, self.code.pe, self.code.plan
        tile = p.seq * p.seq
        pe.fmovh(code.view("block"), 0.0)
        self._own(
            lambda block: pe.fmovh(code.view("block"), code.view("score", p.block, times(pe, block, p.block)))
        )
        code.group_sum("block", p.block)

        def one(head: Any, key_head: int) -> None:
            a = pe.let("u16", pe.address_of(code.a["block"], times(pe, head, tile)))
            c = pe.let("u16", pe.address_of(code.a["att"], times(pe, head, p.part * p.seq)))
            self.output.emit(a, values + 2 * key_head * p.part * p.seq, c)

        self._heads(one)
        self._next()

    def divide(self) -> None:
        """att divided by the sums of its rows."""
        code, pe, p = self.code, self.code.pe, self.code.plan
        for h in range(p.q_heads):
            with each(pe, p.part) as k:
                column = code.view("att", p.seq, times(pe, k, p.seq, h * p.part * p.seq))
                pe.fmulh(column, column, code.view("inverse", p.seq, h * p.seq))

    def keep(self, name: str) -> None:
        """A tile that ends in the second buffer goes back to its place."""
        code, p = self.code, self.code.plan
        if p.side % 2:
            code.pe.fmovh(code.view(name), code.view("left", p.kv * p.seq))
