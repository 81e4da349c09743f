"""What programs of decode layers share, whatever their attention: norms, softmax, the order of parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from wafersim.errors import ConfigError
from wafersim.models.decode.exact_mlp import emit_mlp
from wafersim.models.pieces.gemv_code import Products, each, times, view
from wafersim.models.pieces.relay_tree import RelayTree
from wafersim.models.work.exact_plan import SQUARINGS, ExactPlan

if TYPE_CHECKING:
    from wafersim.kernels.exchange.exchange import Exchange
    from wafersim.program import TileProgram

EPSILON = 1e-5
MASKED, LOWEST = -30000.0, -60000.0


class LayerCode(ABC):
    """Arrays and code of the PE at place (x, y) of the mesh; a subclass declares them and adds attention."""

    stamps: Any

    def __init__(
        self, pe: TileProgram, plan: ExactPlan, rows: Exchange, columns: Exchange, x: int, y: int,
        is_timing: bool,
    ) -> None:  # fmt: skip
        self.pe, self.plan, self.is_fixed = pe, plan, is_timing
        wire = pe.array("wire", "f32", rows.words) if is_timing else None
        self.row, self.column = RelayTree(pe, rows, x, 6, wire), RelayTree(pe, columns, y, 6, wire)
        self.products = Products(pe)
        self.slot = pe.param("slot", "i16", default=-1)
        self.a: dict[str, Any] = {}

    @abstractmethod
    def attention(self) -> None:
        """H = attention(N), the same on all columns."""

    def data(self, name: str, size: int, dtype: str = "f16") -> None:
        """An array that the host fills."""
        self._check_size(name, size, dtype)
        self.a[name] = self.pe.array(name, dtype, size, export=True, data=True)

    def scratch(self, name: str, size: int, dtype: str = "f16") -> None:
        self._check_size(name, size, dtype)
        self.a[name] = self.pe.array(name, dtype, size, align=4)

    def _check_size(self, name: str, size: int, dtype: str) -> None:
        """One array alone must fit; whether all of them do is seen when the program is built."""
        needed, room = size * (4 if dtype == "f32" else 2), int(self.pe.layout.arch.sram_bytes)
        if needed > room:
            mesh = self.plan.mesh
            raise ConfigError(
                f"llm_decode_layer on {mesh.width}x{mesh.height} PEs: array {name!r} takes {needed:,} bytes "
                f"of a PE, its SRAM has {room:,}; take a larger grid, a shorter context or a smaller batch"
            )

    def view(self, name: str, extent: int | None = None, at: Any = 0, stride: int = 1) -> Any:
        array = self.a[name]
        return view(self.pe, array, array.bytes // array.elem_bytes if extent is None else extent, at, stride)

    def emit(self) -> None:
        """Function ``main``: a stamp, the layer, a stamp."""
        pe = self.pe
        with pe.function("main"):
            pe.store(self.stamps, 0, pe.timestamp())
            self.norm("X", "W1")
            self.attention()
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
        self, x: str, x_at: Any, rows: int, w: str, w_at: Any, columns: int, out: str, out_at: Any,
        x_stride: int = 1,
    ) -> None:  # fmt: skip
        """A product of arrays by name."""
        arrays = self.a
        self.products.emit(
            arrays[x], x_at, rows, arrays[w], w_at, columns, arrays[out], out_at, x_stride=x_stride
        )

    def softmax(self) -> None:
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

    def divide(self, name: str, length: int) -> None:
        """Rows of an array over their sums."""
        pe, p = self.pe, self.plan
        with each(pe, p.rows) as r:
            row = self.view(name, length, times(pe, r, length))
            pe.fmulh(row, row, (1.0 / pe.load(self.a["row_sum"], r)).to("f16"))

    def power(self, name: str) -> None:
        """``max(0, x) ** 1024``."""
        pe = self.pe
        pe.fmaxs(self.view(name), self.view(name), 0.0)
        for _ in range(SQUARINGS):
            pe.fmuls(self.view(name), self.view(name), self.view(name))
