"""The MLP of a decode layer as the program of one PE: dense, or experts chosen by a router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from wafersim.models.pieces.gemv_code import each, times
from wafersim.models.work.exact_plan import SQUARINGS

if TYPE_CHECKING:
    from wafersim.models.decode.layer_code import LayerCode
    from wafersim.program import TileProgram

#: high half of the constant from which fp32 bits are subtracted for a first guess of the reciprocal
GUESS = 0x7EF3
NEWTON_STEPS = 3
#: bits of a logit's fp32 form that hold its expert's number: fp16 leaves 13 free
EXPERT_BITS = 0x1FFF


def mlp_arrays(code: LayerCode) -> None:
    """Arrays of the MLP."""
    p = code.plan
    number = p.held(code.is_fixed)
    code.data("Wgu", number * p.dim * 2 * p.ffn)
    code.data("Wd", number * p.ffn * p.dim)
    code.scratch("ZZ", p.wide)
    code.scratch("act", p.wide // 2)
    longest = p.batch * max(p.paths * p.ffn, p.shared)
    for name in ("gate", "grown", "turned", "error"):
        code.scratch(name, longest, "f32")
    if p.shared:
        code.data("Sgu", p.dim * 2 * p.shared)
        code.data("Sd", p.shared * p.dim)
    if p.experts:
        code.data("Wr", p.dim * p.experts)
        code.data("expert_number", p.experts, "i16")
        code.data("fixed", p.chosen, "i16")
        code.scratch("logit", p.batch * p.experts)
        code.scratch("key", p.experts, "f32")
        code.scratch("best", 1, "f32")
        code.scratch("first", 1, "f32")
        code.scratch("chosen", p.batch * p.chosen, "i16")
        code.scratch("weight", p.batch * p.chosen)
        code.scratch("grow", p.chosen, "f32")


def emit_mlp(code: LayerCode) -> None:
    """H = MLP(N)."""
    pe, p = code.pe, code.plan
    if p.experts:
        _route(code)
    pe.fmovh(code.view("ZZ"), 0.0)
    base = p.batch * p.paths * 2 * p.ffn
    with each(pe, p.batch) as b:
        x_at = times(pe, b, p.dim)
        for j in range(p.paths):
            out_at = times(pe, b, p.paths * 2 * p.ffn, j * 2 * p.ffn)
            code.product("N", x_at, p.dim, "Wgu", _tile(code, b, j, 2), 2 * p.ffn, "ZZ", out_at)
        if p.shared:
            code.product("N", x_at, p.dim, "Sgu", 0, 2 * p.shared, "ZZ", times(pe, b, 2 * p.shared, base))
    code.column.emit(code.a["ZZ"], p.wide)
    activate_gated(code, 0, p.batch * p.paths, p.ffn, 0)
    if p.shared:
        activate_gated(code, base, p.batch, p.shared, base // 2)
    if p.experts:
        with each(pe, p.batch * p.chosen) as r:
            row = code.view("act", p.ffn, times(pe, r, p.ffn))
            pe.fmulh(row, row, pe.load(code.a["weight"], r))
    pe.fmovh(code.view("H"), 0.0)
    with each(pe, p.batch) as b:
        out_at = times(pe, b, p.dim)
        for j in range(p.paths):
            x_at = times(pe, b, p.paths * p.ffn, j * p.ffn)
            code.product("act", x_at, p.ffn, "Wd", _tile(code, b, j, 1), p.dim, "H", out_at)
        if p.shared:
            code.product("act", times(pe, b, p.shared, base // 2), p.shared, "Sd", 0, p.dim, "H", out_at)
    code.row.emit(code.a["H"], p.batch * p.dim)


def _tile(code: LayerCode, b: Any, j: int, halves: int) -> Any:
    """Place of the tile of a token's j-th expert."""
    p = code.plan
    if not p.experts:
        return 0
    expert = code.pe.load(code.a["chosen"], times(code.pe, b, p.chosen, j)).to("u16")
    return expert * (p.dim * halves * p.ffn)


class HasArrays(Protocol):
    """A tile with its arrays by name."""

    pe: TileProgram
    a: dict[str, Any]

    def view(self, name: str, extent: int | None = None, at: Any = 0, stride: int = 1) -> Any:
        """A descriptor over `extent` elements from place `at`."""


def activate_gated(code: HasArrays, at: int, rows: int, width: int, to: int) -> None:
    """act = gate / (1 + exp(-gate)) * up, for rows of gate and up values side by side."""
    pe = code.pe
    both = code.a["ZZ"]
    gate, up = (
        pe.mem_dsd(both, extents=(rows, width), strides=(2 * width, 1), offset=at + k * width) for k in (0, 1)
    )
    length = rows * width
    value, grown, turned = (code.view(name, length) for name in ("gate", "grown", "turned"))
    pe.fh2s(value, gate)
    pe.fmuls(grown, value, -(2.0**-SQUARINGS))
    pe.fadds(grown, grown, 1.0)
    pe.fmaxs(grown, grown, 0.0)
    for _ in range(SQUARINGS):
        pe.fmuls(grown, grown, grown)
    pe.fadds(grown, grown, 1.0)
    # 1 / (1 + exp(-gate)): a guess from the exponent, then Newton's iteration
    pe.fmovs(turned, 0.0)
    high = [
        pe.mem_dsd(code.a[name], extent=length, stride=2, offset=1, type="i16")
        for name in ("turned", "grown")
    ]
    pe.sub16(high[0], GUESS, high[1])
    for _ in range(NEWTON_STEPS):
        error = pe.mem_dsd(code.a["error"], extent=length)
        pe.fmuls(error, grown, turned)
        pe.fsubs(error, 2.0, error)
        pe.fmuls(turned, turned, error)
    pe.fmuls(value, value, turned)
    act = code.view("act", length, to)
    pe.fs2h(act, value)
    pe.fmulh(act, act, up)


def _route(code: LayerCode) -> None:
    """The chosen experts of every token and their weights: a softmax over the largest logits."""
    pe, p = code.pe, code.plan
    pe.fmovh(code.view("logit"), 0.0)
    with each(pe, p.batch) as b:
        code.product("N", times(pe, b, p.dim), p.dim, "Wr", 0, p.experts, "logit", times(pe, b, p.experts))
    code.column.emit(code.a["logit"], p.batch * p.experts)
    low = pe.mem_dsd(code.a["key"], extent=p.experts, stride=2, type="i16")
    with each(pe, p.batch) as b:
        pe.fh2s(code.view("key"), code.view("logit", p.experts, times(pe, b, p.experts)))
        pe.or16(low, low, code.view("expert_number"))
        for j in range(p.chosen):
            _choose(code, b, j)
        total = pe.let("f32", 0.0)
        for j in range(p.chosen):
            total += pe.load(code.a["grow"], j)
        for j in range(p.chosen):
            part = (pe.load(code.a["grow"], j) / total).to("f16")
            pe.store(code.a["weight"], times(pe, b, p.chosen, j), part)


def _choose(code: LayerCode, b: Any, j: int) -> None:
    """The j-th largest logit: its expert, and exp(logit - largest)."""
    pe, p = code.pe, code.plan
    pe.store(code.a["best"], 0, -3.0e38)
    cell = pe.ptr(code.a["best"])
    pe.fmaxs(cell, cell, code.view("key"))
    number = pe.load_at("u16", pe.address_of(code.a["best"])) & EXPERT_BITS
    if code.is_fixed:  # the same work, but which expert it is does not depend on data
        number = pe.load(code.a["fixed"], j).to("u16")
    pe.store(code.a["key"], number, -3.0e38)
    pe.store(code.a["chosen"], times(pe, b, p.chosen, j), number.to("i16"))
    logit = pe.load(code.a["logit"], number + times(pe, b, p.experts)).to("f32")
    if j == 0:
        pe.store(code.a["grow"], 0, 1.0)
        pe.store(code.a["first"], 0, logit)
    else:
        pe.store(code.a["grow"], j, (logit - pe.load(code.a["first"], 0)).math("exp"))
