"""Local FFTs of a PE: radix 2, decimation in time, all pencils of the PE at once, in vector ops.

The structure is that of the vendor's public 1-D program: per stage and twiddle factor one multiply of a run
of odd elements by the factor's real part and two multiply-adds for the imaginary part, then one subtraction
and one addition over half of the data.  The copies that bring even and odd elements together are saved by
writing to a second buffer, as a comment there proposes (Stockham's order): stage t reads rows of n / 2^t
elements, first half even, second half odd, and writes the sums to the lower and the differences to the
upper half.

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
    """FFTs of length ``n`` of ``pencils`` interleaved pencils from one buffer of a tile to another.

    ``result`` says which of the two buffers, 0 or 1, holds the answer when the input is in buffer 0.
    """

    def __init__(
        self, pe: Any, n: int, pencils: int, buffers: tuple[Any, Any], factors: Any, work: Any
    ) -> None:
        self.pe, self.n, self.width = pe, n, 2 * pencils
        self.buffers, self.factors, self.work = buffers, factors, work
        self.stages = n.bit_length() - 1
        self.functions: dict[int, Any] = {}

    @property
    def result(self) -> int:
        """Buffer with the answer."""
        return self.stages % 2

    def function(self, start: int) -> Any:
        """The function that transforms what is in buffer ``start``; its body is written by `emit`."""
        if start not in self.functions:
            self.functions[start] = self.pe.function(f"fft_from_{start}", export=False)
        return self.functions[start]

    def emit(self) -> None:
        """Bodies of all functions in use."""
        for start, function in self.functions.items():
            with function:
                for stage in range(self.stages):
                    source = self.buffers[(start + stage) % 2]
                    self._stage(stage, source, self.buffers[(start + stage + 1) % 2])

    def _stage(self, stage: int, source: Any, target: Any) -> None:
        pe, n, width = self.pe, self.n, self.width
        row, half = (n >> stage) * width, (n >> stage) // 2 * width
        rows, middle = 1 << stage, n // 2 * width
        run = pe.mem_dsd(self.work, extent=half)
        odd = pe.mem_dsd(source, extent=half, offset=half)
        real = pe.mem_dsd(self.work, extent=half // 2, stride=2)
        imag = pe.mem_dsd(self.work, extent=half // 2, stride=2, offset=1)
        odd_real = pe.mem_dsd(source, extent=half // 2, stride=2, offset=half)
        odd_imag = pe.mem_dsd(source, extent=half // 2, stride=2, offset=half + 1)
        moving = ((run, half), (odd, row), (real, half), (imag, half), (odd_real, row), (odd_imag, row))
        for dsd, _ in moving:
            self._rewind(dsd)
        factor = pe.let("i16", 0)
        with pe.for_range(rows):
            cosine, sine = pe.load(self.factors, factor), pe.load(self.factors, factor + 1)
            pe.fmuls(run, odd, cosine)
            pe.fmacs(real, real, odd_imag, -sine)
            pe.fmacs(imag, imag, odd_real, sine)
            for dsd, step in moving:
                pe.increment_dsd_offset(dsd, step)
            factor += 2 * (n >> (stage + 1))
        even = pe.mem_dsd(source, extents=(rows, half), strides=(row, 1))
        twiddled = pe.mem_dsd(self.work, extent=middle)
        pe.fsubs(pe.mem_dsd(target, extent=middle, offset=middle), even, twiddled)
        pe.fadds(pe.mem_dsd(target, extent=middle), even, twiddled)

    def _rewind(self, dsd: Any) -> None:
        """Descriptors live in memory and move; a function that is called again sets them back."""
        self.pe.set_dsd_base_addr(dsd, dsd.array, dsd.offset)
