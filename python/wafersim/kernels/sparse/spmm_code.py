"""The program of one PE of the sparse product: a column of PEs shares a block of B, a row sums a block of C.

After "Sparse Matrix Multiplication on Cerebras WSE-2" (repository pr0f3ss/SpMM_Cerebras).  Rows of B and C
are padded with zeros to a multiple of 16 bytes, and a row of C begins one word behind that, so that the
multiply-adds meet in no bank.  Every nonzero costs the loads of its value and coordinates, two addresses
and one multiply-add of a padded row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wafersim.kernels.timing import stamp_array

FORMATS = ("coo", "csr", "csc", "ell")
B_IN, B_OUT, C_IN, C_OUT = 0, 1, 2, 3


@dataclass(frozen=True)
class SpmmShape:
    """Sizes of a PE: rows and columns of its block of A, columns of B, entries per PE (``ell``: per row)."""

    form: str
    rows: int
    cols: int
    wide: int
    entries: int

    @property
    def pitch(self) -> int:
        """Words of a padded row of B or C."""
        return -(-(self.wide + 1) // 4) * 4

    @property
    def arrays(self) -> dict[str, tuple[str, int]]:
        """Type and length of the arrays of the format."""
        kept, lists = self.entries, self.rows * self.entries
        row, col = ("row", ("i32", kept)), ("col", ("i32", kept))
        values = ("values", ("f32", kept))
        starts = ("start", ("i32", (self.cols if self.form == "csc" else self.rows) + 1))
        return dict(
            {
                "coo": (values, col, row),
                "csr": (values, col, starts),
                "csc": (values, row, starts),
                "ell": (("values", ("f32", lists)), ("col", ("i32", lists))),
            }[self.form]
        )


class SpmmTile:
    """Emits the program of one kind of PE; ``colors`` has those of B and C, in and out (None at an edge)."""

    def __init__(self, pe: Any, shape: SpmmShape, colors: dict[str, Any]) -> None:
        self.pe, self.shape, self.colors = pe, shape, colors
        self.data = {n: pe.array(n, t, size, align=16, export=True) for n, (t, size) in shape.arrays.items()}
        b_words, c_words = shape.cols * shape.pitch, shape.rows * shape.pitch
        self.b = pe.array("B", "f32", b_words, align=16, init=0.0, export=True)
        self.c = pe.array("C", "f32", c_words + 4, align=16, init=0.0, export=True)
        self.stamps = stamp_array(pe, 2)
        self.compute, self.reduce, self.exit = (pe.local_task(n) for n in ("compute", "reduce", "exit"))
        self.b_memory = pe.mem_dsd(self.b, extent=b_words)
        self.c_memory = pe.mem_dsd(self.c, extent=c_words, offset=1)
        self.ends: dict[str, Any] = {}
        for name, number, out, words in (
            ("b_in", B_IN, False, b_words), ("b_out", B_OUT, True, b_words),
            ("c_in", C_IN, False, c_words), ("c_out", C_OUT, True, c_words),
        ):  # fmt: skip
            if colors[name] is not None:
                queue = (pe.output_queue if out else pe.input_queue)(number, colors[name])
                self.ends[name] = (pe.fabout_dsd if out else pe.fabin_dsd)(queue, extent=words, type="f32")
        row = pe.mem_dsd(self.b, extent=shape.pitch)
        self.b_row = self._loaded("src1", 8, row)
        out = pe.mem_dsd(self.c, extent=shape.pitch, offset=1)
        self.c_from, self.c_to = self._loaded("src0", 9, out), self._loaded("dest", 9, out)

    def _loaded(self, file: str, index: int, dsd: Any) -> Any:
        dsr = self.pe.dsr(file, index)
        self.pe.preload_dsr(dsr, dsd)
        return dsr

    # --- code -----------------------------------------------------------------------------------------------

    def emit(self) -> None:
        """Tasks and the function that the host launches."""
        pe, ends = self.pe, self.ends
        with pe.function("main"):
            if "b_in" in ends:
                pe.fmovs(self.b_memory, ends["b_in"], async_=True, activate=self.compute)
            elif "b_out" in ends:
                pe.fmovs(ends["b_out"], self.b_memory, async_=True, activate=self.compute)
            else:
                pe.activate(self.compute)
        with self.compute:
            if "b_in" in ends and "b_out" in ends:
                pe.fmovs(ends["b_out"], self.b_memory, async_=True)
            pe.store(self.stamps, 0, pe.timestamp())
            getattr(self, f"_{self.shape.form}")()
            pe.store(self.stamps, 1, pe.timestamp())
            pe.activate(self.reduce)
        with self.reduce:
            self._emit_reduce()
        with self.exit:
            pe.done()

    def _emit_reduce(self) -> None:
        """Partial sums go east; the last PE keeps them."""
        pe, ends = self.pe, self.ends
        target = ends.get("c_out", self.c_memory)
        if "c_in" in ends:
            pe.fadds(target, ends["c_in"], self.c_memory, async_=True, activate=self.exit)
        elif "c_out" in ends:
            pe.fmovs(target, self.c_memory, async_=True, activate=self.exit)
        else:
            pe.activate(self.exit)

    def _coo(self) -> None:
        pe = self.pe
        with pe.for_range(self.shape.entries) as k:
            column, row = pe.load(self.data["col"], k), pe.load(self.data["row"], k)
            self._add(row, column, k)

    def _csr(self) -> None:
        pe = self.pe
        with pe.for_range(self.shape.rows) as j:
            first = pe.load(self.data["start"], j)
            count = pe.load(self.data["start"], j + 1) - first
            with pe.for_range(count) as i:
                self._add(j.to("i32"), pe.load(self.data["col"], first + i), first + i)

    def _csc(self) -> None:
        pe = self.pe
        with pe.for_range(self.shape.cols) as j:
            first = pe.load(self.data["start"], j)
            count = pe.load(self.data["start"], j + 1) - first
            with pe.for_range(count) as i:
                self._add(pe.load(self.data["row"], first + i), j.to("i32"), first + i)

    def _ell(self) -> None:
        pe, entries = self.pe, self.shape.entries
        with pe.for_range(self.shape.rows, type="i32") as j:
            first = j * entries
            with pe.for_range(entries, type="i32") as i:
                self._add(j, pe.load(self.data["col"], first + i), first + i)

    def _add(self, row: Any, column: Any, k: Any) -> None:
        """C[row] += value k times B[column]."""
        pe, pitch = self.pe, 4 * self.shape.pitch
        value = pe.load(self.data["values"], k)
        b = pe.address_of(self.b) + (column * pitch).to("u16")
        c = pe.address_of(self.c, 1) + (row * pitch).to("u16")
        pe.set_dsd_base_addr(self.b_row, b)
        pe.set_dsd_base_addr(self.c_from, c)
        pe.set_dsd_base_addr(self.c_to, c)
        pe.fmacs(self.c_to, self.c_from, self.b_row, value)
