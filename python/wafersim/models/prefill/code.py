"""A prefill layer with exact widths as the program of one PE: products, norms, and what comes when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wafersim.kernels.matrix.mesh import Mesh, MeshCode
from wafersim.kernels.matrix.product import Shape
from wafersim.models.pieces.gemv_code import each, times, view
from wafersim.models.pieces.relay_tree import GroupTree, RelayTree
from wafersim.models.prefill.attention import AttentionCode
from wafersim.models.prefill.mlp import MlpCode
from wafersim.models.prefill.sections import Section, Sections

if TYPE_CHECKING:
    from wafersim.kernels.exchange.exchange import Exchange
    from wafersim.kernels.exchange.spread import Spread
    from wafersim.models.work.prefill_plan import PrefillPlan
    from wafersim.program import Layout

EPSILON = 1e-5
#: descriptor register of the trees (two of them, for either width)
TREE_DSR = 8


class PrefillCode:
    """Arrays and code of the PE at place (x, y)."""

    def __init__(
        self, layout: Layout, plan: PrefillPlan, mesh: Mesh, rows: Exchange, ways: Sequence[Spread], x: int,
        y: int,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.pe = pe = layout.tile(f"prefill_{x}_{y}")
        self.a: dict[str, Any] = {}
        self.sections = Sections(pe)
        self._arrays()
        self.mesh = MeshCode(pe, mesh, x, y)
        self.row = RelayTree(pe, rows, x, TREE_DSR)
        self.group = GroupTree(self.row, ways) if ways else (self.row if plan.span > 1 else None)
        self.attention = AttentionCode(self)
        self.mlp = MlpCode(self)
        sections = self._list()
        self.attention.emit()
        self.mesh.emit()
        self.names = [section.name for section in sections]
        self.sections.emit(sections)

    def data(self, name: str, size: int, dtype: str = "f16") -> None:
        """An array that the host fills."""
        self.a[name] = self.pe.array(name, dtype, size, align=4, export=True, data=True)

    def scratch(self, name: str, size: int, dtype: str = "f16", export: bool = False) -> None:
        self.a[name] = self.pe.array(name, dtype, size, align=4, export=export)

    def view(self, name: str, extent: int | None = None, at: Any = 0, stride: int = 1) -> Any:
        """A descriptor over `extent` elements from place `at`."""
        array = self.a[name]
        return view(self.pe, array, array.bytes // array.elem_bytes if extent is None else extent, at, stride)

    def _arrays(self) -> None:
        p = self.plan
        s, d = p.seq, p.dim
        self.data("X", s * d)
        self.data("W1", d)
        self.data("W2", d)
        self.data("Wqkv", d * p.fused)
        self.data("Wo", p.q * d)
        for name in ("N", "H"):
            self.scratch(name, s * d)
        self.scratch("QKV", s * p.fused)
        self.scratch("squares", s * d, "f32")
        self.scratch("norm_sum", s, "f32")
        self.scratch("norm_scale", s)
        self.scratch("Z", s * d, export=True)
        widest = max(p.ffn, p.shared)
        self.scratch("left", s * max(d, p.q, p.kv, widest))
        self.scratch("right", d * max(p.fused, p.q, 2 * widest))

    def group_sum(self, name: str, words: int, op: str = "add", dtype: str = "f16") -> None:
        """An all-reduce within the columns of a group of heads."""
        if self.group is not None:
            self.group.emit(self.a[name], words, op=op, dtype=dtype)

    def norm(self, source: str, weights: str) -> None:
        """N = source / rms(source) * weights for every token; squares and their sums in fp32."""
        pe, p = self.pe, self.plan
        s, squares, sums = p.seq, self.view("squares"), self.view("norm_sum")
        pe.fh2s(squares, self.view(source))
        pe.fmuls(squares, squares, squares)
        pe.fmovs(sums, 0.0)
        with each(pe, p.dim) as k:
            pe.fadds(sums, sums, self.view("squares", s, times(pe, k, s)))
        self.row.emit(self.a["norm_sum"], s, dtype="f32")
        with each(pe, s) as i:
            mean = pe.load(self.a["norm_sum"], i) * (1.0 / p.hidden) + EPSILON
            pe.store(self.a["norm_scale"], i, mean.math("rsqrt").to("f16"))
        scale = self.view("norm_scale")
        with each(pe, p.dim) as k:
            column = self.view("N", s, times(pe, k, s))
            pe.fmulh(column, self.view(source, s, times(pe, k, s)), scale)
            pe.fmulh(column, column, pe.load(self.a[weights], k))

    def alignment(self, name: str, columns: int, spare: str = "left", kind: str = "") -> Any:
        """The alignment of an array of `columns` columns, with the array `spare` for tiles that come."""
        return self.mesh.alignment(
            f"align_{name}{kind}", self.plan.seq, columns, a=self.a[name], buffer=self.a[spare]
        )

    def product(self, a: str, b: str, c: str, inner: int, columns: int, spare: str = "left") -> Any:
        """C = A B for arrays by name."""
        return self.mesh.product(
            f"{a}_{b}", Shape(self.plan.seq, inner, columns), a=self.a[a], a_buffer=self.a[spare],
            b=self.a[b], b_buffer=self.a["right"], c=self.a[c],
        )  # fmt: skip

    def run(self, product: Any, align: Any, name: str, before: int = 0) -> Section:
        """A section that multiplies; `before` products have used the aligned tile already."""
        odd = before * self.plan.side % 2

        def start(task: Any) -> None:
            swapped = align.swapped()
            product.start(done=task, swapped=swapped ^ 1 if odd else swapped)

        return Section(name, start, goes_on=True)

    def _list(self) -> list[Section]:
        """The sections of the layer in order."""
        pe, p, attention = self.pe, self.plan, self.attention
        align_n, align_att = self.alignment("N", p.dim), self.alignment("att", p.q)
        qkv = self.product("N", "Wqkv", "QKV", p.dim, p.fused)
        out = self.product("att", "Wo", "H", p.q, p.dim)

        def code(name: str, *calls: Any) -> Section:
            def start(task: Any) -> None:
                for call in calls:
                    call()

            return Section(name, start)

        def add(target: str, source: str) -> None:
            pe.faddh(self.view("Z"), self.view(target), self.view(source))

        return [
            code("norm", lambda: self.norm("X", "W1")),
            Section("align", align_n.start, goes_on=True),
            self.run(qkv, align_n, "qkv"),
            code("rope", attention.rope, attention.begin),
            Section("score", attention.keys.start, goes_on=True),
            code("softmax", lambda: attention.keep("K"), attention.softmax, attention.begin),
            Section("out", attention.values.start, goes_on=True),
            code("divide", lambda: attention.keep("V"), attention.divide),
            Section("align", align_att.start, goes_on=True),
            self.run(out, align_att, "o"),
            code("norm", lambda: add("X", "H"), lambda: self.norm("Z", "W2")),
            *([code("route", self.mlp.route)] if p.experts else []),
            Section("align", align_n.start, goes_on=True),
            *self.mlp.sections(align_n, code, lambda: add("Z", "H")),
        ]
