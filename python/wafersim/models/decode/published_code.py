"""The released decode layer as the program of one PE, statement by statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.kernels.timing import stamp_array
from wafersim.models.pieces.gemv_code import Products
from wafersim.models.pieces.relay_tree import RelayTree
from wafersim.models.work.published import Tile

if TYPE_CHECKING:
    from wafersim.kernels.exchange.exchange import Exchange
    from wafersim.program import TileProgram

EPSILON = 1e-6


class PublishedCode:
    """Arrays and code of one PE at place (x, y) of the mesh."""

    def __init__(
        self, pe: TileProgram, tile: Tile, batch: int, rows: Exchange, columns: Exchange, x: int, y: int
    ) -> None:
        self.pe, self.tile, self.batch = pe, tile, batch
        wire = pe.array("wire", "f32", -(-batch * max(3 * tile.dim, 2 * tile.ffn, tile.seq) // 2))
        self.trees = {"x": RelayTree(pe, rows, x, 6, wire), "y": RelayTree(pe, columns, y, 6, wire)}
        self.products = Products(pe)
        self._arrays()

    def _arrays(self) -> None:
        pe, b = self.pe, self.batch
        d, s, f = self.tile.dim, self.tile.seq, self.tile.ffn
        sizes = {
            "X": b * d, "W": d, "Q_weight": d * d, "K_weight": d * d, "V_weight": d * d, "O_weight": d * d,
            "freqs_sin": d // 2, "freqs_cos": d // 2, "XKCache": d * s, "XVCache": s * d,
            "UP_weight": d * f, "GATE_weight": d * f, "DOWN_weight": d * f,
        }  # fmt: skip
        work = {
            "X_tmp": b * d, "X_norm": b * d, "QKV": 3 * b * d, "score": b * s, "score_tmp": b * s,
            "output": b * d, "h1": b * d, "h2": b * d, "ZZ": 2 * b * f, "z3": b * f, "z_norm": b * d,
            "Z": b * d, "local_sum": b, "local_max": b, "tmp_1": d // 2, "tmp_2": d // 2, "tmp_3": d // 2,
            "tmp_4": d // 2,
        }  # fmt: skip
        self.a = {
            name: pe.array(name, "f16", max(1, size), export=True, data=True) for name, size in sizes.items()
        }
        self.a |= {
            name: pe.array(name, "f16", max(1, size), export=name == "Z") for name, size in work.items()
        }
        self.stamps = stamp_array(pe)

    def reduce(self, axis: str, name: str, words: int, op: str = "add") -> None:
        """All-reduce of the first elements of an array along an axis."""
        self.trees[axis].emit(self.a[name], words, op)

    def view(self, name: str, extent: int | None = None, offset: int = 0, stride: int = 1) -> Any:
        return self.pe.mem_dsd(self.a[name], extent=extent, offset=offset, stride=stride)

    def product(self, x: str, rows: int, w: str, columns: int, out: str, out_offset: int = 0) -> None:
        """A product for every sequence of the batch."""
        for b in range(self.batch):
            self.products.emit(
                self.a[x], b * rows, rows, self.a[w], 0, columns, self.a[out], out_offset + b * columns
            )

    def emit(self) -> None:
        """Function ``main``: a stamp, the layer, a stamp."""
        pe = self.pe
        with pe.function("main"):
            pe.store(self.stamps, 0, pe.timestamp())
            self._attention()
            self._mlp()
            pe.store(self.stamps, 1, pe.timestamp())
            pe.done()

    def _attention(self) -> None:
        b, d, s = self.batch, self.tile.dim, self.tile.seq
        self._norm("X", "X_norm", d)
        for i, w in enumerate(("Q_weight", "K_weight", "V_weight")):
            self.pe.fmovh(self.view("QKV", b * d, i * b * d), 0.0)
            self.product("X_norm", d, w, d, "QKV", i * b * d)
        self.reduce("y", "QKV", 3 * b * d)
        self._rope(0)
        self._rope(b * d)
        self.pe.fmovh(self.view("score"), 0.0)
        self.product("QKV", d, "XKCache", s, "score")
        self.reduce("x", "score", b * s)
        self.pe.fmulh(self.view("score"), self.view("score"), 0.015625)
        self._softmax()
        self.pe.fmovh(self.view("output"), 0.0)
        self.product("score", s, "XVCache", d, "output")
        self.reduce("y", "output", b * d)
        self.pe.fmovh(self.view("h1"), 0.0)
        self.product("output", d, "O_weight", d, "h1")
        self.reduce("x", "h1", b * d)
        self.pe.faddh(self.view("Z"), self.view("X"), self.view("h1"))

    def _mlp(self) -> None:
        pe, b, d, f = self.pe, self.batch, self.tile.dim, self.tile.ffn
        self._norm("Z", "z_norm", min(self.tile.seq, d))
        for i, w in enumerate(("UP_weight", "GATE_weight")):
            pe.fmovh(self.view("ZZ", b * f, i * b * f), 0.0)
            self.product("z_norm", d, w, f, "ZZ", i * b * f)
        self.reduce("y", "ZZ", 2 * b * f)
        with pe.for_range(b * d) as element:
            value = pe.load(self.a["ZZ"], element)
            pe.store(self.a["ZZ"], element, value / (self._exp(-value) + 1.0))
        pe.fmulh(self.view("z3"), self.view("ZZ", b * f), self.view("ZZ", b * f, b * f))
        pe.fmovh(self.view("h2"), 0.0)
        self.product("z3", f, "DOWN_weight", d, "h2")
        self.reduce("x", "h2", b * d)
        pe.faddh(self.view("Z"), self.view("Z"), self.view("h2"))

    def _exp(self, x: Any) -> Any:
        """``(1 + x / 256) ** 4``, as released."""
        value = x * 0.00390625 + 1.0
        value = value * value
        return value * value

    def _sum(self, op: str, name: str, length: int, into: str, start: float) -> None:
        """One value per sequence, reduced over its elements on this PE."""
        pe = self.pe
        for b in range(self.batch):
            pe.store(self.a[into], b, start)
            cell = pe.ptr(pe.address_of(self.a[into]) + 2 * b, "f16") if b else self.a[into]
            target = pe.mem_dsd(self.a[into], extent=length, stride=0, offset=b) if length > 1 else cell
            pe.vop(op, target, target, self.view(name, length, b * length))

    def _norm(self, source: str, target: str, scaled: int) -> None:
        pe, b, d = self.pe, self.batch, self.tile.dim
        pe.fmulh(self.view("X_tmp"), self.view(source), self.view(source))
        self._sum("faddh", "X_tmp", d, "local_sum", 0.0)
        self.reduce("y", "local_sum", b)
        for i in range(b):
            pe.fmulh(self.view(target, d, i * d), self.view("X_tmp", d, i * d), self.view("W"))
        for i in range(b):
            value = pe.load(self.a["local_sum"], i) * (1.0 / max(1, d)) + EPSILON
            scale = value.math("rsqrt")
            pe.fmulh(self.view(target, scaled, i * d), self.view(target, scaled, i * d), scale)

    def _rope(self, offset: int) -> None:
        pe, b, d = self.pe, self.batch, self.tile.dim
        half = d // 2
        if not half:
            return
        for i in range(b):
            even, odd = (self.view("QKV", half, offset + i * d + k, 2) for k in (0, 1))
            cos, sin = self.view("freqs_cos", half), self.view("freqs_sin", half)
            t = [self.view(f"tmp_{k}", half) for k in (1, 2, 3, 4)]
            for target, a, c in ((t[0], odd, cos), (t[1], even, sin), (t[2], even, cos), (t[3], odd, sin)):
                pe.fmulh(target, a, c)
            pe.fsubh(even, t[0], t[1])
            pe.faddh(odd, t[2], t[3])

    def _softmax(self) -> None:
        pe, b, s = self.pe, self.batch, self.tile.seq
        self._sum("fmaxh", "score", s, "local_max", 0.0)
        self.reduce("y", "local_max", b, "max")
        for i in range(b):
            pe.fsubh(
                self.view("score_tmp", s, i * s),
                self.view("score", s, i * s),
                pe.load(self.a["local_max"], i),
            )
        with pe.for_range(b * s) as element:
            pe.store(self.a["score"], element, self._exp(pe.load(self.a["score_tmp"], element)))
        self._sum("faddh", "score", s, "local_sum", 0.0)
        self.reduce("y", "local_sum", b)
        for i in range(b):
            one = pe.let("f16", 1.0)
            pe.fmulh(
                self.view("score", s, i * s),
                self.view("score", s, i * s),
                one / pe.load(self.a["local_sum"], i),
            )
