"""The star stencil with one cell per PE: every inner PE multicasts its weighted value and adds its
neighbours'.

An iteration of an inner PE is a straight line of vector ops of length 1 with all descriptors in DSRs: one
multiply to the fabric, one of its own value, then adds of what arrives, two fabric sources per op where the
generation has them.  One weight stays in a register, the other is loaded in every iteration.  Border PEs send
the same value again and again, one ahead, and drop what they receive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.base import KernelRun, Launch
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

MAX_ITERATIONS = 256
NUM_COLORS = 6
OUT_QUEUE = 1
IN_QUEUES = {"EAST": 3, "WEST": 2, "NORTH": 4, "SOUTH": 5}
#: Unnormalised weights of the cell and of each neighbour.
WEIGHT_ZERO, WEIGHT_ONE = 1.0, 0.5
_STEP = {"EAST": (1, 0), "WEST": (-1, 0), "NORTH": (0, -1), "SOUTH": (0, 1)}


@dataclass(frozen=True)
class Role:
    """One tile program: where the PE sits and which colors it uses."""

    side: str  # "inner", "corner", or the direction in which a border PE sends
    send: int
    receive: tuple[tuple[str, int], ...]


def color_of(x: int, y: int) -> int:
    """Color on which PE (x, y) sends: differs from those of its neighbours and of theirs."""
    return (x + (y // 2) % 2) % 3 + (y % 2) * 3


def role_of(x: int, y: int, width: int, height: int) -> Role:
    """What PE (x, y) does."""
    edge_x, edge_y = x in (0, width - 1), y in (0, height - 1)
    if edge_x and edge_y:
        return Role("corner", -1, ())
    if edge_x:
        side = "EAST" if x == 0 else "WEST"
    elif edge_y:
        side = "SOUTH" if y == 0 else "NORTH"
    else:
        side = "inner"
    directions = _STEP if side == "inner" else {side: _STEP[side]}
    receive = tuple((d, color_of(x + dx, y + dy + 4)) for d, (dx, dy) in directions.items())
    return Role(side, color_of(x, y), receive)


def build_cell(arch: Arch, width: int, height: int, iterations: int) -> KernelRun:
    """The run of the one-cell program."""
    from wafersim.program import Layout

    layout = Layout(width, height, arch=arch, name="stencil-cell")
    colors = [layout.color(f"cell{i}", i + 1) for i in range(NUM_COLORS)]
    for role, mask in _role_masks(width, height).items():
        tile = _tile(layout, role, colors, iterations, f"{role.side.lower()}_{len(layout.tiles)}")
        layout.place(tile, x=0, y=0, width=width, height=height, mask=mask)
        if role.side == "corner":
            continue
        whole = {"x": 0, "y": 0, "width": width, "height": height, "mask": mask}
        layout.route(
            colors[role.send], rx="RAMP", tx=tuple(_STEP) if role.side == "inner" else role.side, **whole
        )
        for direction, color in role.receive:
            layout.route(colors[color], rx=direction, tx="RAMP", **whole)
    return _run(arch, width, height, iterations, layout)


def _role_masks(width: int, height: int) -> dict[Role, Any]:
    """Boolean masks [height, width] of each role; positions repeat with period 3 in x, 4 in y."""
    masks: dict[Role, Any] = {}
    xs = sorted({0, width - 1, *range(1, min(width - 1, 4))})
    ys = sorted({0, height - 1, *range(1, min(height - 1, 5))})
    grid_x, grid_y = np.arange(width), np.arange(height)
    for y in ys:
        rows = (
            grid_y == y
            if y in (0, height - 1)
            else (grid_y % 4 == y % 4) & (grid_y > 0) & (grid_y < height - 1)
        )
        for x in xs:
            columns = (
                grid_x == x
                if x in (0, width - 1)
                else (grid_x % 3 == x % 3) & (grid_x > 0) & (grid_x < width - 1)
            )
            role = role_of(x, y, width, height)
            mask = rows[:, None] & columns[None, :]
            masks[role] = masks.get(role, False) | mask
    return masks


def _tile(layout: Layout, role: Role, colors: list[Any], iterations: int, name: str) -> Any:
    pe = layout.tile(name)
    data = Data(pe)
    stamps = stamp_array(pe, 3)
    if role.side == "corner":
        with pe.function("main"):
            pe.done()
        return pe
    finished = pe.local_task("finished", id=9)
    with finished:
        pe.done()
    emit = _Inner(pe, role, colors, data) if role.side == "inner" else _Border(pe, role, colors, data)
    with pe.function("main"):
        emit.prepare()
        for step in range(iterations):
            if step == iterations // 2:
                pe.store(stamps, 1, pe.timestamp())
            emit.iteration()
        pe.store(stamps, 2, pe.timestamp())
        pe.activate(finished)
    return pe


class Data:
    """The words of a PE, in the order of the public program: the cell and its addends meet in no bank."""

    def __init__(self, pe: Any) -> None:
        self.weights = pe.array("weights", "f32", 2, align=16, init=[WEIGHT_ZERO, WEIGHT_ONE], export=True)
        self.sums = [pe.array(f"sum{k}", "f32") for k in (0, 1)]
        self.dropped = pe.array("dropped", "f32")
        self.cell = pe.array("cell", "f32", export=True)
        self.weighted = pe.array("weighted", "f32")


class _Parts:
    """What inner and border PEs have in common."""

    def __init__(self, pe: Any, role: Role, colors: list[Any], data: Data) -> None:
        self.pe, self.role, self.data = pe, role, data
        out = pe.output_queue(OUT_QUEUE, colors[role.send])
        self.inputs = {d: pe.input_queue(IN_QUEUES[d], colors[c]) for d, c in role.receive}
        self.send = self.loaded("dest", 1, pe.fabout_dsd(out, extent=1))

    def loaded(self, file: str, index: int, dsd: Any) -> Any:
        """A DSR that holds a descriptor from the start."""
        dsr = self.pe.dsr(file, index)
        self.pe.preload_dsr(dsr, dsd)
        return dsr

    def prepare(self) -> None:
        """Divide the weights by their sum over the star; weight the cell once (border PEs send that)."""
        pe = self.pe
        zero, one = pe.load(self.data.weights, 0), pe.load(self.data.weights, 1)
        total = zero + one * 4.0
        pe.store(self.data.weights, 0, zero / total)
        outer = one / total
        pe.store(self.data.weights, 1, outer)
        pe.store(self.data.weighted, 0, pe.load(self.data.cell, 0) * outer)


class _Inner(_Parts):
    """An inner PE."""

    def __init__(self, pe: Any, role: Role, colors: list[Any], data: Data) -> None:
        super().__init__(pe, role, colors, data)
        memory = pe.mem_dsd(data.cell, extent=1)
        self.cell_src, self.cell_dst = self.loaded("src0", 1, memory), self.loaded("dest", 2, memory)
        two = pe.layout.arch.max_fabric_sources >= 2
        self.pairs: list[tuple[Any, Any, Any]] = []
        fabric = {d: pe.fabin_dsd(queue, extent=1) for d, queue in self.inputs.items()}
        if two:
            for k, (first, second) in enumerate((("EAST", "WEST"), ("NORTH", "SOUTH"))):
                partial = pe.mem_dsd(data.sums[k], extent=1)
                operands = (
                    self.loaded("dest", 8 + 2 * k, partial), self.loaded("src0", 8 + 2 * k, fabric[first]),
                    self.loaded("src1", 9 + 2 * k, fabric[second]),
                )  # fmt: skip
                self.pairs.append(operands)
            self.addends = [
                self.loaded("src1", 4 + k, pair[0].loaded[0]) for k, pair in enumerate(self.pairs)
            ]
        else:
            self.addends = [self.loaded("src1", 8 + k, dsd) for k, dsd in enumerate(fabric.values())]

    def prepare(self) -> None:
        super().prepare()
        self.weight_one = self.pe.load(self.data.weights, 1)

    def iteration(self) -> None:
        pe = self.pe
        pe.fmuls(self.send, self.cell_src, self.weight_one)
        pe.fmuls(self.cell_dst, self.cell_src, pe.load(self.data.weights, 0))
        for pair in self.pairs:
            pe.fadds(*pair)
        for addend in self.addends:
            pe.fadds(self.cell_dst, self.cell_src, addend)


class _Border(_Parts):
    """A border PE: its weighted value is computed once; it sends one more than it receives."""

    def __init__(self, pe: Any, role: Role, colors: list[Any], data: Data) -> None:
        super().__init__(pe, role, colors, data)
        self.source = self.loaded("src0", 3, pe.mem_dsd(self.data.weighted, extent=1))
        self.dropped = pe.mem_dsd(data.dropped, extent=1)
        self.receive = pe.fabin_dsd(self.inputs[role.side], extent=1)

    def prepare(self) -> None:
        super().prepare()
        self.pe.fmovs(self.send, self.source)

    def iteration(self) -> None:
        self.pe.fmovs(self.send, self.source)
        self.pe.fmovs(self.dropped, self.receive)


def expected(cells: Any, iterations: int, two_sources: bool) -> Any:
    """NumPy's answer, in float32 and in the program's order of additions."""
    total = np.float32(WEIGHT_ZERO) + np.float32(WEIGHT_ONE) * np.float32(4)
    zero, one = np.float32(WEIGHT_ZERO) / total, np.float32(WEIGHT_ONE) / total
    now = cells.astype(np.float32)
    for _ in range(iterations):
        sent = now * one
        east, west = sent[1:-1, 2:], sent[1:-1, :-2]
        north, south = sent[:-2, 1:-1], sent[2:, 1:-1]
        own = now[1:-1, 1:-1] * zero
        inner = own + (east + west) + (north + south) if two_sources else own + east + west + north + south
        now = now.copy()
        now[1:-1, 1:-1] = inner
    return now


def _run(arch: Arch, width: int, height: int, iterations: int, layout: Layout) -> KernelRun:
    whole = (0, 0, width, height)
    given: dict[str, Any] = {}

    def setup(sim: Any, rng: np.random.Generator) -> None:
        given["cells"] = rng.uniform(0, 10, (height, width)).astype(np.float32)
        sim.write("cell", given["cells"][..., None], rect=whole)

    def check(sim: Any) -> tuple[float, bool]:
        answer = expected(given["cells"], iterations, arch.max_fabric_sources >= 2)
        error = float(np.max(np.abs(sim.read("cell", rect=whole)[..., 0] - answer)))
        return error, error == 0.0

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, (1, 1, width - 2, height - 2))
        counted = iterations - iterations // 2
        clock = int(arch.cost_timestamp) + int(arch.cost_store)
        per_pe = (stamps[..., 2] - stamps[..., 1] - clock) / counted
        return {
            "cycles_per_iteration": float(per_pe[0, 0]), "cycles_per_iteration_max": float(per_pe.max()),
            "iterations": iterations, "counted_iterations": counted,
        }  # fmt: skip

    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics)
