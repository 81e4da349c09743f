"""The tiled star stencil: asynchronous halo exchange on eight microthreads, counted by tasks, then vector
ops.

The structure is that of the public programs (radius 1, and radius 2 and more): a loop task starts four sends
and four receives; each activates a completion task of its own on its end; these count, and the last ones
unblock and activate the compute task, which activates the loop task again.  Neighbours use two sets of four
colors like a checkerboard. ``own_values`` and ``buffer`` lie next to each other with rows of tile + 2 radius
+ 1 words, so that the distances of the operands, and with them the bank conflicts, follow from the tile
alone.

For radius 1 all descriptors are in DSRs and only those of the halo are reloaded; for larger radii every op
loads its own.  On WSE-3 an inner PE of radius 1 with a tile of 4x4 or more does not wait for its halo, as
published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.base import KernelRun, Launch, is_placeholder
from wafersim.kernels.stencil.stencil_code import TileCode
from wafersim.kernels.timing import read_stamps

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

#: direction of a wavelet's travel -> base name of its two colors
_FLOWS = {"WEST": "to_west", "EAST": "to_east", "SOUTH": "to_south", "NORTH": "to_north"}
_OPPOSITE = {"WEST": "EAST", "EAST": "WEST", "NORTH": "SOUTH", "SOUTH": "NORTH"}


@dataclass(frozen=True)
class Shape:
    """Sizes of a run: tile in cells, radius, iterations, and whether inner PEs wait for their halo."""

    tile_width: int
    tile_height: int
    radius: int
    iterations: int
    wait: bool

    @property
    def pitch(self) -> int:
        """Words of a row of the buffer; the last one only keeps rows apart in the banks."""
        return self.tile_width + 2 * self.radius + 1

    @property
    def rows(self) -> int:
        """Rows of the buffer."""
        return self.tile_height + 2 * self.radius

    def segments(self) -> tuple[int, ...]:
        """Iterations of the three parts between stamps; the cost of their start drops out."""
        first = max(1, self.iterations // 4)
        rest = self.iterations - 2 * first
        return (first, first, rest) if rest > first else (self.iterations,)


def build_tiled(
    arch: Arch,
    width: int,
    height: int,
    tile: tuple[int, int],
    radius: int,
    iterations: int,
    always_wait: bool,
) -> KernelRun:
    """The run of the tiled program."""
    from wafersim.program import Layout

    overlaps = arch.generation >= 3 and radius == 1 and min(tile) >= 4 and not always_wait
    shape = Shape(*tile, radius, iterations, wait=not overlaps)
    layout = Layout(width, height, arch=arch, name="stencil-tiled")
    colors = {flow: [layout.color(f"{name}_{k}") for k in (1, 2)] for flow, name in _FLOWS.items()}
    for parity in (0, 1):
        _routes(layout, colors, parity)
        for neighbours, mask in _places(width, height, parity).items():
            name = f"{'inner' if len(neighbours) == 4 else '_'.join(d.lower() for d in neighbours)}_{parity}"
            pe = layout.tile(name)
            links = {
                d: (colors[d][parity], colors[_OPPOSITE[d]][1 - parity]) for d in neighbours
            }  # color to and from the neighbour in direction d
            TileCode(pe, shape, links).emit()
            layout.place(pe, x=0, y=0, width=width, height=height, mask=mask)
    return _run(width, height, shape, layout)


def _checker(width: int, height: int, parity: int) -> Any:
    return (np.arange(width)[None, :] + np.arange(height)[:, None]) % 2 == parity


def _places(width: int, height: int, parity: int) -> dict[tuple[str, ...], Any]:
    """Masks of the PEs of one parity by the directions in which they have neighbours."""
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    has = {"WEST": x > 0, "EAST": x < width - 1, "NORTH": y > 0, "SOUTH": y < height - 1}
    masks: dict[tuple[str, ...], Any] = {}
    for px in {0, 1, width - 1}:
        for py in {0, 1, height - 1}:
            neighbours = tuple(
                d for d, there in has.items() if np.broadcast_to(there, (height, width))[py, px]
            )
            mask = _checker(width, height, parity)
            for direction, there in has.items():
                mask = mask & (there if direction in neighbours else ~there)
            if mask.any():
                masks[neighbours] = mask
    return masks


def _routes(layout: Layout, colors: dict[str, list[Any]], parity: int) -> None:
    """PEs of one parity send on their set of colors and receive on the other."""
    width, height = layout.width, layout.height
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    has = {"WEST": x > 0, "EAST": x < width - 1, "NORTH": y > 0, "SOUTH": y < height - 1}
    for direction, there in has.items():
        mask = _checker(width, height, parity) & there
        if not mask.any():
            continue
        place = {"x": 0, "y": 0, "width": width, "height": height, "mask": mask}
        layout.route(colors[direction][parity], rx="RAMP", tx=direction, **place)
        layout.route(colors[_OPPOSITE[direction]][1 - parity], rx=direction, tx="RAMP", **place)


def normalised(radius: int) -> tuple[Any, Any]:
    """The weights 1/2^i before and after the device divides them by their sum over the star (float32)."""
    given = np.array([0.5**i for i in range(radius + 1)], np.float32)
    total = np.float32(0)
    for i, weight in enumerate(given):
        total += weight if i == 0 else weight * np.float32(4)
    return given, (given / total).astype(np.float32)


def expected(cells: Any, shape: Shape) -> Any:
    """NumPy's answer for the whole plane of cells, in the program's order of additions."""
    weights, r, now = normalised(shape.radius)[1], shape.radius, cells.astype(np.float32)
    th, tw = shape.tile_height, shape.tile_width
    rows, columns = slice(th, now.shape[0] - th), slice(tw, now.shape[1] - tw)

    def shifted(dy: int, dx: int) -> Any:
        return now[th + dy : now.shape[0] - th + dy, tw + dx : now.shape[1] - tw + dx]

    for _ in range(shape.iterations):
        if r == 1:
            own = shifted(0, 0) * (weights[0] / weights[1])
            for step in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                own = own + shifted(*step)
            own = own * weights[1]
        else:
            own = _macs(shifted, weights, r)
        now = now.copy()
        now[rows, columns] = own
    return now


def _macs(shifted: Any, weights: Any, radius: int) -> Any:
    """Fused multiply-adds, outward from the cell; the product is exact in float64, so only the sum rounds."""
    own = shifted(-1, 0) * weights[1]
    for i in range(1, radius + 1):
        for step in ((-i, 0), (i, 0), (0, -i), (0, i)):
            if (i, step) != (1, (-1, 0)):
                own = _mac(own, shifted(*step), weights[i])
    return _mac(own, shifted(0, 0), weights[0])


def _mac(addend: Any, values: Any, weight: Any) -> Any:
    return (addend.astype(np.float64) + values.astype(np.float64) * np.float64(weight)).astype(np.float32)


def _run(width: int, height: int, shape: Shape, layout: Layout) -> KernelRun:
    whole = (0, 0, width, height)
    th, tw, r = shape.tile_height, shape.tile_width, shape.radius
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        numbers = rng.uniform(0, 10, (height * th, width * tw))
        if is_placeholder(numbers):
            sim.write("buffer", numbers, rect=whole)
            return
        cells = numbers.astype(np.float32)
        buffers = np.zeros((height, width, shape.rows, shape.pitch), np.float32)
        buffers[:, :, r : r + th, r : r + tw] = cells.reshape(height, th, width, tw).swapaxes(1, 2)
        sim.write("buffer", buffers, rect=whole)
        given["cells"] = cells

    def check(sim: Any) -> tuple[float, bool]:
        buffers = sim.read("buffer", rect=whole)[:, :, r : r + th, r : r + tw]
        found = buffers.swapaxes(1, 2).reshape(height * th, width * tw)
        error = float(np.max(np.abs(found - expected(given["cells"], shape))))
        return error, error <= 1e-5 * shape.iterations

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        return _figures(read_stamps(sim, (1, 1, width - 2, height - 2)), shape)

    run = KernelRun(layout.build(), setup, [Launch("start")], check, metrics)
    if not shape.wait:
        run.not_modelled.append(
            "stencil: inner PEs do not wait for their halo, as in the published program; microthreads have "
            "high priority here so that it comes in time (the default priority of the generation is low)"
        )
    return run


def _figures(stamps: Any, shape: Shape) -> dict[str, Any]:
    """Cycles per iteration: slope from the second to the third segment, on PE (1, 1) as published."""
    parts = np.diff(stamps, axis=-1)
    figures: dict[str, Any] = {"window_cycles": int(stamps[0, 0, len(shape.segments())] - stamps[0, 0, 0])}
    figures["iterations"] = shape.iterations
    segments = shape.segments()
    if len(segments) == 3:
        counted = segments[2] - segments[1]
        per_pe = (parts[..., 2] - parts[..., 1]) / counted
        figures["cycles_per_iteration"] = float(per_pe[0, 0])
        figures["cycles_per_iteration_max"] = float(per_pe.max())
        figures["counted_iterations"] = counted
    return figures
