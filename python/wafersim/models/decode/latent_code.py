"""A decode layer with latent attention in absorbed form as the program of one PE.

Every column of PEs holds a share of the tokens' latent vectors, the same for all heads; the tokens lie along
the rows.  Queries of all heads are taken to the latent vector (the keys' up-projection, absorbed) and made
known along y; scores are summed along x; every column makes the softmax of its own heads and tells the row;
what the heads see of the latent vector is summed along y and goes through the values' up-projection.

Two vectors have to change from lying along x to lying along y, or pass unchanged where others are
multiplied: the rotated part of queries and the layer's output.  They pass products with ones and zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.kernels.timing import stamp_array
from wafersim.models.decode.exact_mlp import mlp_arrays
from wafersim.models.decode.layer_code import EPSILON, LayerCode
from wafersim.models.pieces.gemv_code import each
from wafersim.models.work.latent_plan import LatentPlan

if TYPE_CHECKING:
    from wafersim.kernels.exchange.exchange import Exchange
    from wafersim.program import TileProgram


class LatentCode(LayerCode):
    """Attention on one latent vector per token."""

    def __init__(
        self, pe: TileProgram, plan: LatentPlan, rows: Exchange, columns: Exchange, x: int, y: int,
        is_timing: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(pe, plan, rows, columns, x, y, is_timing)
        self.latent = p = plan
        self.own = pe.param("own", "i16", default=0)
        for name, size in {
            "X": p.batch * p.dim, "W1": p.dim, "W2": p.dim, "Wdown": p.dim * p.fused,
            "Wlat": p.down + p.latent, "Wup": p.down * p.up, "Wabsorb": p.up * p.cell, "cos": p.pairs,
            "sin": p.pairs, "K": p.batch * p.keys * p.cell, "mask": p.keys, "Wv": p.latent * p.v,
            "Wo": p.v * p.out, "turn": p.out * p.dim,
        }.items():  # fmt: skip
            self.data(name, size)
        for name, size in (("up_head", p.up), ("v_head", p.v)):  # where ops go to, so no array data
            self.a[name] = pe.array(name, "i16", size, export=True, data=False)
        for name, size in {
            "N": p.batch * p.dim, "D": p.batch * p.fused, "Q": p.batch * p.up,
            "QA": p.batch * p.cell * p.heads, "rope": 4 * max(p.pairs, p.heads),
            "all": p.batch * p.keys * p.heads, "score": p.rows * p.keys, "row_max": p.rows,
            "att": p.batch * p.latent * p.heads, "picked": p.v, "U": p.batch * p.v, "O": p.batch * p.out,
            "H": p.batch * p.dim,
        }.items():  # fmt: skip
            self.scratch(name, size)
        for name, size in {
            "exp": p.rows * p.keys, "row_sum": p.rows, "squares": p.dim, "norm_sum": p.batch,
            "latent_squares": max(p.down, p.latent), "latent_sum": p.batch * len(p.normed),
        }.items():  # fmt: skip
            self.scratch(name, size, "f32")
        self.a["Z"] = pe.array("Z", "f16", p.batch * p.dim, export=True)
        mlp_arrays(self)
        self.stamps = stamp_array(pe)

    def at(self, *terms: tuple[Any, int], more: Any = 0) -> Any:
        """``sum(number * factor) + more`` as a place: a number if all are numbers, else a register."""
        total = more
        for number, factor in terms:
            total = number * factor + total
        return total if isinstance(total, int) else self.pe.let("u16", total)

    def attention(self) -> None:
        self._down()
        self._norms()
        self._queries()
        self._rotate()
        self._append()
        self._scores()
        self.softmax()
        self.divide("score", self.latent.keys)
        self._tell()
        self._values()
        self._output()

    def _down(self) -> None:
        pe, p = self.pe, self.latent
        pe.fmovh(self.view("D"), 0.0)
        with each(pe, p.batch) as b:
            self.product("N", self.at((b, p.dim)), p.dim, "Wdown", 0, p.fused, "D", self.at((b, p.fused)))
        self.column.emit(self.a["D"], p.batch * p.fused)

    def _norms(self) -> None:
        """Norms of the vectors in between, whose elements lie along x."""
        pe, p = self.pe, self.latent
        number = len(p.normed)
        with each(pe, p.batch) as b:
            for i, (start, length, _) in enumerate(p.normed):
                squares = self.view("latent_squares", length)
                pe.fh2s(squares, self.view("D", length, self.at((b, p.fused), more=start)))
                pe.fmuls(squares, squares, squares)
                place = self.at((b, number), more=i)
                pe.store(self.a["latent_sum"], place, 0.0)
                cell = pe.ptr(pe.address_of(self.a["latent_sum"], place), "f32")
                pe.fadds(cell, cell, squares)
        self.row.emit(self.a["latent_sum"], p.batch * number, dtype="f32")
        with each(pe, p.batch) as b:
            for i, (start, length, whole) in enumerate(p.normed):
                mean = pe.load(self.a["latent_sum"], self.at((b, number), more=i)) * (1.0 / whole)
                scale = (mean + EPSILON).math("rsqrt").to("f16")
                part = self.view("D", length, self.at((b, p.fused), more=start))
                pe.fmulh(part, part, scale)
                pe.fmulh(part, part, self.view("Wlat", length, start))

    def _queries(self) -> None:
        """Queries of all heads along y, then what they ask of the latent vector, ``QA[element, head]``."""
        pe, p = self.pe, self.latent
        pe.fmovh(self.view("Q"), 0.0)
        with each(pe, p.batch) as b:
            self.product("D", self.at((b, p.fused)), p.down, "Wup", 0, p.up, "Q", self.at((b, p.up)))
        self.row.emit(self.a["Q"], p.batch * p.up)
        pe.fmovh(self.view("QA"), 0.0)
        with each(pe, p.batch) as b, each(pe, p.up) as e:
            head = pe.load(self.a["up_head"], e).to("u16")
            target = pe.mem_dsd(self.a["QA"], extents=(p.cell, 1), strides=(p.heads, 1))
            place = self.at((b, p.cell * p.heads), more=head)
            pe.set_dsd_base_addr(target, pe.address_of(self.a["QA"], place))
            weights = self.view("Wabsorb", p.cell, self.at((e, p.cell)))
            pe.fmach(target, target, weights, pe.load(self.a["Q"], self.at((b, p.up), (e, 1))))
        self.column.emit(self.a["QA"], p.batch * p.cell * p.heads)

    def _rotate(self) -> None:
        """The rotated part of all heads' queries, pair by pair, and of the new token's key."""
        pe, p = self.pe, self.latent
        with each(pe, p.batch) as b:
            for pair in range(p.pairs):
                first = self.at((b, p.cell * p.heads), more=(p.latent + pair) * p.heads)
                second = self.at((b, p.cell * p.heads), more=(p.latent + p.pairs + pair) * p.heads)
                cos, sin = pe.load(self.a["cos"], pair), pe.load(self.a["sin"], pair)
                self._turn_pair("QA", p.heads, first, second, cos, sin)
            first = self.at((b, p.fused), more=p.down + p.latent)
            second = self.at((b, p.fused), more=p.down + p.latent + p.pairs)
            self._turn_pair("D", p.pairs, first, second, self.view("cos"), self.view("sin"))

    def _turn_pair(self, name: str, length: int, first: Any, second: Any, cos: Any, sin: Any) -> None:
        pe = self.pe
        even, odd = self.view(name, length, first), self.view(name, length, second)
        parts = [self.view("rope", length, i * length) for i in range(4)]
        for target, a, c in ((0, even, cos), (1, odd, sin), (2, even, sin), (3, odd, cos)):
            pe.fmulh(parts[target], a, c)
        pe.fsubh(even, parts[0], parts[1])
        pe.faddh(odd, parts[2], parts[3])

    def _append(self) -> None:
        """The new token goes to its place, on the one row of PEs that has it."""
        pe, p = self.pe, self.latent
        slot = pe.load(self.slot, 0).to("u16")
        with pe.if_(pe.load(self.slot, 0) >= 0), each(pe, p.batch) as b:
            target = self.view("K", p.cell, self.at((slot, p.cell), (b, p.keys * p.cell)))
            pe.fmovh(target, self.view("D", p.cell, self.at((b, p.fused), more=p.down)))

    def _scores(self) -> None:
        """Scores of all heads, ``all[token, head]``; then those of the column's own heads, scaled."""
        pe, p = self.pe, self.latent
        pe.fmovh(self.view("all"), 0.0)
        with each(pe, p.batch) as b, each(pe, p.keys) as t:
            self.product(
                "K", self.at((b, p.keys * p.cell), (t, p.cell)), p.cell, "QA",
                self.at((b, p.cell * p.heads)), p.heads, "all", self.at((b, p.keys * p.heads), (t, p.heads)),
            )  # fmt: skip
        self.row.emit(self.a["all"], p.batch * p.keys * p.heads)
        with each(pe, p.batch) as b:
            pe.fmovh(self.view("score", p.q_heads * p.keys, self.at((b, p.q_heads * p.keys))), self._own(b))
        mask = pe.mem_dsd(self.a["mask"], extents=(p.rows, p.keys), strides=(0, 1))
        pe.fmach(self.view("score"), mask, self.view("score"), p.head_dim**-0.5)

    def _own(self, b: Any) -> Any:
        """The scores of the column's own heads among all, head by head."""
        pe, p = self.pe, self.latent
        found = pe.mem_dsd(self.a["all"], extents=(p.q_heads, p.keys), strides=(1, p.heads))
        place = self.at((b, p.keys * p.heads), more=pe.load(self.own, 0).to("u16"))
        pe.set_dsd_base_addr(found, pe.address_of(self.a["all"], place))
        return found

    def _tell(self) -> None:
        """All columns get to know the weights of all heads: zeros but for one's own, summed along x."""
        pe, p = self.pe, self.latent
        pe.fmovh(self.view("all"), 0.0)
        with each(pe, p.batch) as b:
            pe.fmovh(self._own(b), self.view("score", p.q_heads * p.keys, self.at((b, p.q_heads * p.keys))))
        self.row.emit(self.a["all"], p.batch * p.keys * p.heads)

    def _values(self) -> None:
        """What heads see of the latent vector, ``att[element, head]``, and the values made from it."""
        pe, p = self.pe, self.latent
        pe.fmovh(self.view("att"), 0.0)
        with each(pe, p.batch) as b, each(pe, p.latent) as k:
            self.product(
                "K", self.at((b, p.keys * p.cell), (k, 1)), p.keys, "all", self.at((b, p.keys * p.heads)),
                p.heads, "att", self.at((b, p.latent * p.heads), (k, p.heads)), x_stride=p.cell,
            )  # fmt: skip
        self.column.emit(self.a["att"], p.batch * p.latent * p.heads)
        pe.fmovh(self.view("U"), 0.0)
        with each(pe, p.batch) as b, each(pe, p.latent) as k:
            with each(pe, p.v) as e:
                head = pe.load(self.a["v_head"], e).to("u16")
                place = self.at((b, p.latent * p.heads), (k, p.heads), more=head)
                pe.store(self.a["picked"], e, pe.load(self.a["att"], place))
            pe.fmulh(self.view("picked"), self.view("picked"), self.view("Wv", p.v, self.at((k, p.v))))
            row = self.view("U", p.v, self.at((b, p.v)))
            pe.faddh(row, row, self.view("picked"))
        self.row.emit(self.a["U"], p.batch * p.v)

    def _output(self) -> None:
        """The output projection leaves the hidden vector along x; `turn` lays it along y."""
        pe, p = self.pe, self.latent
        pe.fmovh(self.view("O"), 0.0)
        with each(pe, p.batch) as b:
            self.product("U", self.at((b, p.v)), p.v, "Wo", 0, p.out, "O", self.at((b, p.out)))
        self.column.emit(self.a["O"], p.batch * p.out)
        pe.fmovh(self.view("H"), 0.0)
        with each(pe, p.batch) as b:
            self.product("O", self.at((b, p.out)), p.out, "turn", 0, p.dim, "H", self.at((b, p.dim)))
        self.row.emit(self.a["H"], p.batch * p.dim)
