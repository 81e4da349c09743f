"""Kernel ``kv_shift``: keys and values of new tokens spread over the rows of PEs by shifts.

WaferLLM (OSDI 2025, arXiv 2502.04563v3), its shift-based management of the cache: a new token's keys and
values arrive in the last row.  Plain concatenation fills that row while all others stay empty; with the shift
every row passes its oldest entry to the row above as soon as it holds more than that one, all rows at once,
on links between neighbors, and the logical order stays.  ``rows`` times as many tokens fit.

How many entries a row holds depends on the number of tokens alone, so every PE knows it without being told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

SOURCE = "WaferLLM (OSDI'25, arXiv 2502.04563v3), section 4.3 and table 5"


def held(token: int, rows: int) -> list[int]:
    """Entries of every row, the top one first, after so many tokens: none holds more than the row above.

    Examples
    --------
    >>> held(5, 3)
    [2, 2, 1]
    """
    return [(token + rows - 1 - row) // rows for row in range(rows)]


def order(tokens: int, rows: int) -> list[list[int]]:
    """The tokens that every row holds at the end, oldest first, by the rule of the shift.

    Examples
    --------
    >>> order(5, 3)
    [[0, 1], [2, 3], [4]]
    """
    kept: list[list[int]] = [[] for _ in range(rows)]
    for token in range(tokens):
        kept[-1].append(token)
        for row in range(rows - 1, token % rows, -1):
            kept[row - 1].append(kept[row].pop(0))
    return kept


class KvShift(Kernel):
    """Tokens appended one by one to a column of caches."""

    name: ClassVar[str] = "kv_shift"
    description: ClassVar[str] = "keys and values of new tokens shifted up the rows, so that all fill alike"
    default_grid: ClassVar[tuple[int, int]] = (2, 4)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("tokens", int, 12, "tokens appended", minimum=1, maximum=2048),
        Parameter("elements", int, 8, "fp16 elements of a token's keys and values on a PE; even", minimum=2,
                  maximum=4096),
    )  # fmt: skip

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        tokens, elements = int(params["tokens"]), int(params["elements"])
        if height < 2:
            raise self.refuse_grid(width, height, "2 rows or more")
        if elements % 2:
            raise self.refuse_elements(elements)
        return _run(arch, width, height, tokens, elements)

    def refuse_elements(self, elements: int) -> Exception:
        """The error for an odd number of elements: two travel in a word."""
        from wafersim.errors import ConfigError

        return ConfigError(f"{self.name}: elements={elements} is odd; two travel in a word, an even number")


class ShiftCode:
    """The program of a PE: a ring of entries in SRAM, and a move up where the rule asks for one.

    ``first`` and ``count`` are the oldest entry's place and the number of entries.  With token t row
    ``t mod rows`` gains an entry, so all rows below it pass one up.  An entry leaves on a microthread while
    another one comes, so that all rows move at once; one place is spare for that.
    """

    def __init__(self, layout: Layout, colors: Any, row: int, rows: int, tokens: int, elements: int) -> None:
        self.pe = pe = layout.tile(f"row_{row}")
        self.row, self.rows, self.tokens, self.elements = row, rows, tokens, elements
        self.places = -(-tokens // rows) + 1
        self.cache = pe.array("cache", "f16", self.places * elements, align=4, export=True)
        if row == rows - 1:
            self.new = pe.array("new", "f16", tokens * elements, align=4, export=True, data=True)
        self.first = pe.array("first", "i16", init=0)
        self.count = pe.array("count", "i16", init=0)
        self.up = pe.output_queue(2, colors[row % 2]) if row else None
        self.down = pe.input_queue(3, colors[(row + 1) % 2]) if row < rows - 1 else None
        self.stamps = stamp_array(pe)

    def emit(self) -> None:
        """Function ``main``: all tokens, one after the other."""
        pe = self.pe
        with pe.function("main"):
            pe.store(self.stamps, 0, pe.timestamp())
            gaining = pe.let("i16", 0)  # the row that gains an entry: the token modulo the rows
            with pe.for_range(self.tokens) as token:
                if self.row == self.rows - 1:
                    self._append(pe.mem_dsd(self.new, extent=self.elements), self.new, token)
                self._move(gaining)
                gaining += 1
                with pe.if_(gaining == self.rows):
                    gaining *= 0
            pe.store(self.stamps, 1, pe.timestamp())
            pe.done()

    def _move(self, gaining: Any) -> None:
        """Pass the oldest entry up and take one from below, as far as this row has to."""
        pe = self.pe
        if self.up is None:
            with pe.if_(gaining == 0):
                self._receive()
            return
        with pe.if_(gaining < self.row):
            if self.down is None:
                self._send()
            else:
                with pe.if_(pe.load(self.count, 0) == 0):  # what comes goes on
                    self._receive()
                    self._send()
                with pe.else_():
                    self._send()
                    self._receive()
        if self.down is not None:
            with pe.if_(gaining == self.row):
                self._receive()

    def _place(self, number: Any) -> Any:
        """A view of the entry at a place of the ring."""
        pe = self.pe
        view = pe.mem_dsd(self.cache, extent=self.elements)
        pe.set_dsd_base_addr(view, pe.address_of(self.cache, pe.let("u16", number * self.elements)))
        return view

    def _next(self) -> Any:
        """The place behind the newest entry, counted as one more."""
        pe = self.pe
        count = pe.load(self.count, 0)
        place = pe.load(self.first, 0) + count
        pe.store(self.count, 0, count + 1)
        return pe.select(place >= self.places, place - self.places, place)

    def _append(self, source: Any, array: Any, token: Any) -> None:
        pe = self.pe
        pe.set_dsd_base_addr(source, pe.address_of(array, pe.let("u16", token * self.elements)))
        pe.fmovh(self._place(self._next().to("u16")), source)

    def _send(self) -> None:
        """The oldest entry goes up, while the main thread goes on."""
        pe = self.pe
        assert self.up is not None, "the top row sends nothing"
        first = pe.load(self.first, 0)
        out = pe.fabout_dsd(self.up, extent=self.elements, type="f16")
        pe.vop("mov16", out, self._place(first.to("u16")), async_=True, simd="simd_32")
        pe.store(self.first, 0, pe.select(first + 1 == self.places, 0, first + 1))
        pe.store(self.count, 0, pe.load(self.count, 0) - 1)

    def _receive(self) -> None:
        pe = self.pe
        assert self.down is not None, "the last row gets its tokens from the host"
        into = pe.fabin_dsd(self.down, extent=self.elements, type="f16")
        pe.vop("mov16", self._place(self._next().to("u16")), into, simd="simd_32")


def _run(arch: Arch, width: int, rows: int, tokens: int, elements: int) -> KernelRun:
    from wafersim.program import Layout

    layout = Layout(width, rows, arch=arch, name="kv_shift")
    colors = [layout.color("up_even"), layout.color("up_odd")]
    for row in range(rows):
        place: dict[str, Any] = {"x": 0, "width": width, "height": 1}
        if row:
            layout.route(colors[row % 2], rx="RAMP", tx="NORTH", y=row, **place)
            layout.route(colors[row % 2], rx="SOUTH", tx="RAMP", y=row - 1, **place)
        code = ShiftCode(layout, colors, row, rows, tokens, elements)
        code.emit()
        layout.place(code.pe, y=row, **place)
    whole, last = (0, 0, width, rows), (0, rows - 1, width, 1)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        new = rng.standard_normal((width, tokens, elements)).astype(np.float16)
        given["new"] = new
        sim.write("new", np.ascontiguousarray(new.reshape(1, width, -1)), rect=last)

    def check(sim: Any) -> tuple[float, bool]:
        places = -(-tokens // rows) + 1
        cache = np.asarray(sim.read("cache", rect=whole)).reshape(rows, width, places, elements)
        first, count = (
            np.asarray(sim.read(name, rect=whole)).reshape(rows, width) for name in ("first", "count")
        )
        error, good = 0.0, True
        for row, kept in enumerate(order(tokens, rows)):
            good = good and bool((count[row] == len(kept)).all())
            at = (int(first[row, 0]) + np.arange(len(kept))) % places
            wanted = given["new"][:, kept].astype(np.float64)
            difference = np.abs(cache[row][:, at].astype(np.float64) - wanted)
            error = max(error, float(difference.max(initial=0.0)))
        return error, good and error == 0.0

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        window = int(stamps[..., 1].max() - stamps[..., 0].min())
        return {
            "window_cycles": window, "cycles_per_token": window / tokens,
            "most_tokens_shift": rows * (-(-tokens // rows)), "most_tokens_concat": -(-tokens // rows),
        }  # fmt: skip

    words = elements // 2
    text = "tokens (words + 1 hop): one entry up per token, all rows at once"
    formula = Formula(text, SOURCE, float(tokens * (words + int(arch.hop_cycles))))
    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics, formula)
