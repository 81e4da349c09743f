"""Host memory of a run without building it: an upper bound from the grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.simulate.footprint import BYTES_PER_CELL, BYTES_PER_PE, BYTES_PER_ROUTE, PAGE_BYTES

if TYPE_CHECKING:
    from wafersim.simulate.request import Request


def bytes_at_most(request: Request) -> int | None:
    """Most bytes that the run can take on this host; None for a program file.

    Every PE with a full SRAM, and a route of every color: `footprint.host_bytes` of the built program is
    never more.

    Raises
    ------
    ConfigError
        Unknown kernel or arch, a grid that is none.
    """
    if request.kernel is None:
        return None
    from wafersim.simulate.request import arch_of
    from wafersim.simulate.runner import find_kernel, parse_grid

    kernel, arch = find_kernel(request.kernel), arch_of(request.arch or "wse2")
    width, height = kernel.default_grid if request.grid is None else parse_grid(request.grid)
    sram = -(-int(arch.sram_bytes) // PAGE_BYTES) * PAGE_BYTES
    return width * height * (BYTES_PER_PE + sram + int(arch.num_colors) * BYTES_PER_ROUTE + BYTES_PER_CELL)
