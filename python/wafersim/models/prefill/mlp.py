"""The MLP of a prefill layer as the program of one PE: dense, or all experts with the weights of a router.

Every expert sees all tokens of the prompt; a token counts with the router's weight, which is 0 for the
experts that it does not take.  Right for any prompt, and ``experts / chosen`` times the work of a program
that sends tokens to their experts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from wafersim.kernels.matrix.product import LocalProduct, Shape
from wafersim.models.decode.exact_mlp import EXPERT_BITS, activate_gated
from wafersim.models.pieces.gemv_code import each, times
from wafersim.models.prefill.sections import Section

if TYPE_CHECKING:
    from wafersim.models.prefill.code import PrefillCode

LEAST = -3.0e38
Step: TypeAlias = Callable[[], None]


class MlpCode:
    """From array ``N``, aligned, to Z += MLP(N)."""

    def __init__(self, code: PrefillCode) -> None:
        self.code = code
        p = code.plan
        widest = p.seq * max(p.ffn, p.shared)
        code.scratch("ZZ", 2 * widest)
        code.scratch("act", widest)
        for name in ("gate", "grown", "turned", "error"):
            code.scratch(name, widest, "f32")
        code.data("Wgu", p.dim * 2 * p.ffn)
        code.data("Wd", p.ffn * p.dim)
        if p.shared:
            code.data("Sgu", p.dim * 2 * p.shared)
            code.data("Sd", p.shared * p.dim)
        if p.experts:
            self._router_arrays()

    def _router_arrays(self) -> None:
        code, p = self.code, self.code.plan
        widest = p.seq * max(p.ffn, p.shared)
        code.data("all_Wgu", p.experts * p.dim * 2 * p.ffn)
        code.data("all_Wd", p.experts * p.ffn * p.dim)
        code.data("Wr", p.dim * p.experts)
        code.data("expert_number", p.experts, "i16")
        code.scratch("logit", p.experts * p.seq)
        code.scratch("weight", p.experts * p.seq)
        code.scratch("key", p.experts, "f32")
        code.scratch("best", 1, "f32")
        code.scratch("act_left", widest)
        code.scratch("grow", p.chosen, "f32")
        code.scratch("taken", p.chosen, "u16")
        self.logits = LocalProduct(
            code.pe, Shape(p.seq, p.dim, p.experts), "f16", code.a["N"], code.a["logit"], code.mesh.dsrs
        )

    def sections(self, align: Any, code: Callable[..., Section], add: Callable[[], None]) -> list[Section]:
        """Rounds of gate and up, activation, down and sum: one per expert, one for the shared ones.

        `align` is the alignment of N that came before; N stays as it is.
        """
        p = self.code.plan
        rounds = [(self._take(e), self._weigh(e)) for e in range(p.experts)] or [(_nothing, _nothing)]
        found = self._rounds("Wgu", "Wd", p.ffn, rounds, align, code, add)
        if p.shared:
            plain = [(_nothing, _nothing)]
            found += self._rounds("Sgu", "Sd", p.shared, plain, align, code, add, before=len(rounds))
        return found

    def _rounds(
        self, up: str, down: str, width: int, rounds: Sequence[tuple[Step, Step]], align: Any,
        code: Callable[..., Section], add: Step, before: int = 0,
    ) -> list[Section]:  # fmt: skip
        """Rounds with one pair of arrays of weights; steps before the first product and before the second."""
        own, p = self.code, self.code.plan
        spare = "act_left" if p.experts else "left"
        wide = own.product("N", up, "ZZ", p.dim, 2 * width)
        narrow = own.product("act", down, "H", width, p.dim, spare)
        align_act = own.alignment("act", width, spare, down)
        found = []
        for number, (prepare, weigh) in enumerate(rounds):
            found += [
                code("prepare", prepare),
                own.run(wide, align, "up", before + number),
                code("activation", lambda: activate_gated(own, 0, 1, width * p.seq, 0), weigh),
                Section("align", align_act.start, goes_on=True),
                own.run(narrow, align_act, "down"),
                code("sum", add),
            ]
        return found

    def _take(self, expert: int) -> Callable[[], None]:
        """An expert's tiles into the place that the products use and leave changed."""
        code = self.code

        def copy() -> None:
            for name in ("Wgu", "Wd"):
                size = code.a[name].bytes // 2
                code.pe.fmovh(code.view(name), code.view(f"all_{name}", size, expert * size))

        return copy

    def _weigh(self, expert: int) -> Callable[[], None]:
        """The activation of an expert times the weights of the tokens."""
        code, p = self.code, self.code.plan

        def weigh() -> None:
            with each(code.pe, p.ffn) as k:
                column = code.view("act", p.seq, times(code.pe, k, p.seq))
                code.pe.fmulh(column, column, code.view("weight", p.seq, expert * p.seq))

        return weigh

    def route(self) -> None:
        """Weights of all experts for the tokens of the row: a softmax over the largest logits."""
        code, pe, p = self.code, self.code.pe, self.code.plan
        self.logits.clear(code.a["logit"])
        n, router = (pe.let("u16", pe.address_of(code.a[name])) for name in ("N", "Wr"))
        self.logits.emit(n, router, code.a["logit"])
        code.row.emit(code.a["logit"], p.experts * p.seq)
        pe.fmovh(code.view("weight"), 0.0)
        with pe.for_range(p.seq) as token:
            self._choose(token)

    def _choose(self, token: Any) -> None:
        code, pe, p = self.code, self.code.pe, self.code.plan
        low = pe.mem_dsd(code.a["key"], extent=p.experts, stride=2, type="i16")
        pe.fh2s(code.view("key"), code.view("logit", p.experts, times(pe, token, 1), p.seq))
        pe.or16(low, low, code.view("expert_number"))
        cell, first, total = pe.ptr(code.a["best"]), pe.let("f32", 0.0), pe.let("f32", 0.0)
        for j in range(p.chosen):
            pe.store(code.a["best"], 0, LEAST)
            pe.fmaxs(cell, cell, code.view("key"))
            number = pe.load_at("u16", pe.address_of(code.a["best"])) & EXPERT_BITS
            pe.store(code.a["key"], number, LEAST)
            pe.store(code.a["taken"], j, number)
            logit = pe.load(code.a["logit"], times(pe, number, p.seq) + token.to("u16")).to("f32")
            if j == 0:
                first += logit
                grow = pe.let("f32", 1.0)
            else:
                grow = (logit - first).math("exp")
            pe.store(code.a["grow"], j, grow)
            total += grow
        for j in range(p.chosen):
            part = (pe.load(code.a["grow"], j) / total).to("f16")
            place = times(pe, pe.load(code.a["taken"], j), p.seq) + token.to("u16")
            pe.store(code.a["weight"], place, part)


def _nothing() -> None:
    """No step here."""
