"""The program of one PE of the 3-D FFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.kernels.fft.fft_local import LocalFft, twiddles
from wafersim.kernels.fft.line_exchange import COLUMN, ROW, Direction, TurnExchange, kind_of
from wafersim.kernels.timing import stamp_array

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class FftShape:
    """Sizes of a run; ``tx``, ``ty``, ``tz`` are the values of x, y and z of a PE."""

    n: int
    width: int
    height: int
    part: str
    across: int
    inverse: bool

    @property
    def tx(self) -> int:
        """Values of x of a PE before the first exchange."""
        return self.n // self.width

    @property
    def ty(self) -> int:
        """Values of y before the second exchange, and of x behind it."""
        return self.across if self.part == "rows" else self.n // self.height

    @property
    def tz(self) -> int:
        """Values of z behind the first exchange."""
        return self.across if self.part == "columns" else self.n // self.width

    @property
    def pencils(self) -> int:
        """Pencils of a PE, in all steps."""
        return (self.tx if self.part == "rows" else self.tz) * self.ty

    @property
    def words(self) -> int:
        """32-bit words of a buffer."""
        return 2 * self.n * self.pencils

    @property
    def rows(self) -> bool:
        """There is a first exchange."""
        return self.part != "columns" and self.width > 1

    @property
    def columns(self) -> bool:
        """There is a second one."""
        return self.part != "rows" and self.height > 1

    def buffers(self) -> tuple[list[int], list[int], int]:
        """Buffer, 0 or 1, before each transform and before each exchange, and of the result.

        An exchange and a shuffle change the buffer; a transform works in place.
        """
        starts, holds, hold = [], [], 0
        if self.part != "columns":
            starts.append(hold)
        for present, exchanged in ((self.part != "columns", self.rows), (self.part != "rows", self.columns)):
            holds.append(hold)
            if present:
                hold = hold if exchanged else 1 - hold
                starts.append(hold)
        return starts, holds, hold

    @property
    def result_buffer(self) -> int:
        """Buffer with the answer: 0 ``data``, 1 ``other``."""
        return self.buffers()[2]

    def brick(self, pes: int) -> int:
        """32-bit words from one PE of a line of ``pes`` to another."""
        return self.words // pes


class FftTile:
    """Emits the whole program of one kind of PE.

    ``x_kind`` and ``y_kind`` are the PE's kinds for travel east and south (`kind_of`); ``colors`` the four
    colors, to the east, west, south and north.
    """

    def __init__(self, pe: Any, shape: FftShape, x: int, y: int, colors: dict[str, Any]) -> None:
        self.pe, self.shape = pe, shape
        words = shape.words
        self.buffers = (
            pe.array("data", "f32", words, align=16, export=True),
            pe.array("other", "f32", words, align=16, export=True),
        )
        factors = pe.array("twiddles", "f32", shape.n, init=twiddles(shape.n, shape.inverse), export=True)
        work = pe.array("work", "f32", words // 2, align=16, export=False)
        self.px, self.py = pe.param("px", "i16", default=0), pe.param("py", "i16", default=0)
        self.phase = pe.array("phase", "i16", init=int(shape.part == "columns"))
        self.ready = [pe.array(f"ready_{k}", "i16", init=0) for k in (0, 1)]
        self.parts = [pe.array(f"parts_{k}", "i16", init=0) for k in (0, 1)]
        self.stamps = stamp_array(pe, 3)
        self.fft = LocalFft(pe, shape.n, shape.pencils, self.buffers, factors, work)
        self.after = [pe.local_task(f"after_{name}") for name in ("row", "column")]
        self.starts, self.holds, _ = shape.buffers()
        self.lines = [
            self._line(0, ROW, x, shape.width, self.px, colors) if shape.rows else [],
            self._line(1, COLUMN, y, shape.height, self.py, colors) if shape.columns else [],
        ]

    def _line(
        self,
        axis: int,
        directions: Sequence[Direction],
        place: int,
        pes: int,
        array: Any,
        colors: dict[str, Any],
    ) -> list[TurnExchange]:
        source = self.buffers[self.holds[axis]]
        target = self.buffers[1 - self.holds[axis]]
        return [
            TurnExchange(
                self.pe, d, colors[d.name], pes, self.shape.brick(pes), kind_of(place, pes, d.rising), array,
                source, target, lambda: self._part(axis),
            )
            for d in directions
        ]  # fmt: skip

    def _part(self, axis: int) -> None:
        pe = self.pe
        count = pe.load(self.parts[axis], 0) + 1
        pe.store(self.parts[axis], 0, count)
        with pe.if_(count == sum(line.parts for line in self.lines[axis])):
            pe.activate(self.after[axis])

    # --- code ---------------------------------------------------------------------------------------------

    def emit(self) -> None:
        """Tasks, functions, and the function that the host launches."""
        pe, part = self.pe, self.shape.part
        self.teardown = pe.teardown_task()
        for line in (*self.lines[0], *self.lines[1]):
            line.emit()
        with self.teardown:
            with pe.if_(pe.load(self.phase, 0) == 0):
                for line in self.lines[0]:
                    line.emit_teardown(self.ready[0])
            with pe.else_():
                for line in self.lines[1]:
                    line.emit_teardown(self.ready[1])
        self._emit_after()
        with pe.function("main"):
            pe.main_priority("high")  # else a send takes every issue slot, and the end of its turn waits
            for line in (*self.lines[0], *self.lines[1]):
                line.emit_prepare()
            if part == "columns":
                self._start_columns()
            else:
                pe.store(self.stamps, 0, pe.timestamp())
                pe.call(self.fft.function(self.starts[0]))
                self._exchange(0)
        self.fft.emit()

    def _emit_after(self) -> None:
        pe, part = self.pe, self.shape.part
        with self.after[0]:
            if part != "columns":
                self._shuffle_rows()
                pe.call(self.fft.function(self.starts[1]))
            if part == "rows":
                pe.store(self.stamps, 1, pe.timestamp())
                pe.done()
            else:
                self._start_columns()
        with self.after[1]:
            if part != "rows":
                self._shuffle_columns()
                pe.call(self.fft.function(self.starts[-1]))
                pe.store(self.stamps, 2, pe.timestamp())
            pe.done()

    def _start_columns(self) -> None:
        """The second exchange; a turn that ended before is looked at by the teardown task now."""
        pe = self.pe
        pe.store(self.stamps, 1, pe.timestamp())
        pe.store(self.phase, 0, 1)
        self._exchange(1)
        if self.lines[1]:
            pe.activate(self.teardown)

    def _exchange(self, axis: int) -> None:
        """Copy the own brick, start both directions; or go on at once if the line has one PE."""
        pe, lines = self.pe, self.lines[axis]
        if not lines:
            pe.activate(self.after[axis])
            return
        brick, place = lines[0].brick, lines[0].place
        own = [pe.mem_dsd(self.buffers[k], extent=brick) for k in (self.holds[axis], 1 - self.holds[axis])]
        offset = pe.load(place, 0) * brick
        for dsd in own:
            pe.increment_dsd_offset(dsd, offset)
        pe.fmovs(own[1], own[0])
        pe.store(self.ready[axis], 0, 1)
        for line in lines:
            line.emit_start()

    # --- shuffles: from the order of arrival to element-major ------------------------------

    def _ends(self, axis: int) -> tuple[Any, Any]:
        """Buffers that a shuffle reads and writes."""
        received = 1 - self.holds[axis] if self.lines[axis] else self.holds[axis]
        return self.buffers[received], self.buffers[1 - received]

    def _shuffle_rows(self) -> None:
        """``[s][z][y][x][c]`` from PE s to ``[s x][y][z][c]``, one value of z at a time."""
        shape, (source, target) = self.shape, self._ends(0)
        tx, ty, tz, p = shape.tx, shape.ty, shape.tz, shape.pencils
        extents = (shape.width, ty, tx, 2)
        reads, writes = (2 * tz * ty * tx, 2 * tx, 2, 1), (2 * tx * p, 2 * tz, 2 * p, 1)
        self._copies(source, target, extents, reads, writes, (tz, 2 * ty * tx, 2))

    def _shuffle_columns(self) -> None:
        """``[s][x][y][z][c]`` from PE s to ``[s y][x][z][c]``."""
        shape, (source, target) = self.shape, self._ends(1)
        ty, tz, p = shape.ty, shape.tz, shape.pencils
        extents = (shape.height, ty, ty, 2 * tz)
        reads = (2 * ty * ty * tz, 2 * ty * tz, 2 * tz, 1)
        self._copies(source, target, extents, reads, (2 * ty * p, 2 * tz, 2 * p, 1), (1, 0, 0))

    def _copies(
        self, source: Any, target: Any, extents: tuple[int, ...], reads: tuple[int, ...],
        writes: tuple[int, ...], repeat: tuple[int, int, int],
    ) -> None:  # fmt: skip
        """Copy a block, ``repeat[0]`` times with the two bases moved by the other two."""
        pe = self.pe
        extents, reads, writes = merged(extents, reads, writes)
        src = pe.mem_dsd(source, extents=extents, strides=reads)
        dst = pe.mem_dsd(target, extents=extents, strides=writes)
        if repeat[0] == 1:
            pe.fmovs(dst, src)
            return
        with pe.for_range(repeat[0]):
            pe.fmovs(dst, src)
            pe.increment_dsd_offset(src, repeat[1])
            pe.increment_dsd_offset(dst, repeat[2])


def merged(extents: Sequence[int], *strides: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The same block with as few dimensions as possible: no extent of 1, contiguous ones made one."""
    kept = [k for k, extent in enumerate(extents) if extent > 1] or [len(extents) - 1]
    sizes, steps = [extents[k] for k in kept], [[s[k] for k in kept] for s in strides]
    k = len(sizes) - 1
    while k > 0:
        if all(step[k - 1] == sizes[k] * step[k] for step in steps):
            sizes[k - 1 : k + 1] = [sizes[k - 1] * sizes[k]]
            for step in steps:
                del step[k - 1]
        k -= 1
    return tuple(sizes), *(tuple(step) for step in steps)
