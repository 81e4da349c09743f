"""Local FFTs of a PE: radix 2, decimation in time, all pencils of the PE at once, in vector ops.

The structure is that of the vendor's public 1-D program (fft-1d-2d): the lower half of the data holds the
even and the upper half the odd elements of a stage.  Per twiddle factor: one multiply of a block of odd
elements by the factor's real part and two multiply-adds for the imaginary part.  Then one subtraction and
one addition over the half, and copies, block by block, that bring the next stage's even and odd elements
together.  One copy less, as a comment there says of its CASM form: the differences go to a second buffer,
which takes turns with that of the products, instead of to the data and from there to the buffer.

Elements are complex (two float32 words), and every element is a group of ``pencils`` numbers, one of each
pencil.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def twiddles(n: int, inverse: bool) -> Any:
    """cos and sin of 2 pi r / n for r < n / 2 as ``[n]`` float32 pairs; the sign makes the direction."""
    angle = 2 * np.pi * np.arange(n // 2) / n
    pairs = np.stack([np.cos(angle), (1 if inverse else -1) * np.sin(angle)], axis=-1)
    return pairs.astype(np.float32).reshape(-1)


class LocalFft:
    """FFTs of length ``n`` of ``pencils`` interleaved pencils, in place in a buffer of a tile.

    The other buffer is used as well; what it held is lost.
    """

    def __init__(
        self, pe: Any, n: int, pencils: int, buffers: tuple[Any, Any], factors: Any, work: Any
    ) -> None:
        self.pe, self.n, self.width = pe, n, 2 * pencils
        self.buffers, self.factors, self.work = buffers, factors, work
        self.stages = n.bit_length() - 1
        self.functions: dict[int, Any] = {}

    def function(self, start: int) -> Any:
        """The function that transforms what is in buffer ``start``; its body is written by `emit`."""
        if start not in self.functions:
            self.functions[start] = self.pe.function(f"fft_from_{start}", export=False)
        return self.functions[start]

    def emit(self) -> None:
        """Bodies of all functions in use."""
        for start, function in self.functions.items():
            turns = (self.work, self.buffers[1 - start])
            with function:
                for stage in range(self.stages):
                    products, differences = turns[stage % 2], turns[1 - stage % 2]
                    self._stage(stage, self.buffers[start], products, differences)

    def _stage(self, stage: int, data: Any, products: Any, differences: Any) -> None:
        pe, middle = self.pe, self.n // 2 * self.width
        rows, block = 1 << stage, (self.n >> stage) // 2 * self.width
        self._twiddle(rows, block, data, products)
        even, product = pe.mem_dsd(data, extent=middle), pe.mem_dsd(products, extent=middle)
        last = stage == self.stages - 1
        target = (
            pe.mem_dsd(data, extent=middle, offset=middle) if last else pe.mem_dsd(differences, extent=middle)
        )
        pe.fsubs(target, even, product)
        pe.fadds(even, even, product)
        if not last:
            for place, first in ((middle, block // 2), (0, 0)):
                self._gather(rows, block, data, place, data, first)
                self._gather(rows, block, data, place + middle // 2, differences, first)

    def _twiddle(self, rows: int, block: int, data: Any, products: Any) -> None:
        """The odd elements times their factors, a block of equal factors at a time."""
        pe, middle = self.pe, self.n // 2 * self.width
        run = pe.mem_dsd(products, extent=block)
        odd = pe.mem_dsd(data, extent=block, offset=middle)
        real = pe.mem_dsd(products, extent=block // 2, stride=2)
        imag = pe.mem_dsd(products, extent=block // 2, stride=2, offset=1)
        odd_real = pe.mem_dsd(data, extent=block // 2, stride=2, offset=middle)
        odd_imag = pe.mem_dsd(data, extent=block // 2, stride=2, offset=middle + 1)
        moving = (run, odd, real, imag, odd_real, odd_imag)
        for dsd in moving:
            self._rewind(dsd)
        factor = pe.let("i16", 0)
        with pe.for_range(rows):
            cosine, sine = pe.load(self.factors, factor), pe.load(self.factors, factor + 1)
            pe.fmuls(run, odd, cosine)
            pe.fmacs(real, real, odd_imag, -sine)
            pe.fmacs(imag, imag, odd_real, sine)
            for dsd in moving:
                pe.increment_dsd_offset(dsd, block)
            factor += self.n // rows

    def _gather(self, rows: int, block: int, data: Any, place: int, source: Any, first: int) -> None:
        """Half of every block of a half of the data, one behind the other from ``place`` on."""
        pe, size = self.pe, block // 2
        src = pe.mem_dsd(source, extent=size, offset=first)
        dst = pe.mem_dsd(data, extent=size, offset=place)
        for dsd in (src, dst):
            self._rewind(dsd)
        with pe.for_range(rows):
            pe.fmovs(dst, src)
            pe.increment_dsd_offset(dst, size)
            pe.increment_dsd_offset(src, block)

    def _rewind(self, dsd: Any) -> None:
        """Descriptors live in memory and move; a function that is called again sets them back."""
        self.pe.set_dsd_base_addr(dsd, dsd.array, dsd.offset)
