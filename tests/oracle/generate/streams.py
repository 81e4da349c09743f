"""Streams of data: plain, through a router that opens at run time, several on the same links."""

from __future__ import annotations

from wafersim.program.schema import ROUTE_COLS, CodeFlag, Op, Type

from .. import configwords
from ..state import Route
from .context import PeGen, ProgramGen
from .ends import Batch
from .flow import Flow
from .nets import Node, grow, set_colors, set_positions
from .shapes import random_root, random_wavelets, random_width


def stream(
    program: ProgramGen, late: bool = False, count: int | None = None, root: Node | None = None
) -> Flow:
    """Data from one PE to the leaves of a tree."""
    rng = program.rng
    flow = Flow(program, root or random_root(program), random_width(program))
    flow.late = late
    swap = rng.random() < 0.15 and program.width * program.height > 1
    color = program.color_pair(False) if swap else program.color(below=16 if late else 24)
    if color is None:
        return flow
    set_colors(flow.root, color, rng if swap else None)
    set_positions(flow.root, rng, False)
    if sum(n.sink for n in flow.root.walk()) > 1:
        program.features.add("multicast")
    total = random_wavelets(program) if count is None else count
    parts = [total]
    if total > 2 and rng.random() < 0.3:
        parts = [total // 2, total - total // 2]
    flow.batches = [Batch(n, index=rng.choice((0, 1, 3, 6))) for n in parts]
    return flow


def gated(program: ProgramGen) -> None:
    """A stream through a router that is opened at run time."""
    plain_stream(program, 1.0)


def plain_stream(program: ProgramGen, gate: float = 0.3) -> None:
    flow = stream(program, late=program.rng.random() < 0.35)
    if not flow.batches or not flow.fits():
        return
    if program.rng.random() < gate:
        close_one(flow)
    flow.run_trace()
    flow.attach()


def close_one(flow: Flow) -> None:
    """A router on the way is closed at first; its PE opens it at run time."""
    program, rng = flow.program, flow.rng
    node = rng.choice(flow.root.walk())
    if node.color != node.arrives or node.filter:
        return
    pe = program.pe(node.x, node.y)
    inputs, outputs = node.positions[0]
    closed = rng.choice(((0, outputs), (inputs, 0)))
    asm, color = program.asm, node.color
    ways = ["route", "switch"] + ["color word"] * 3 + ["switch word"]
    if outputs & (outputs - 1) == 0:
        ways += ["switch word"] * 3
    way = rng.choice(ways)
    if way == "switch word" and outputs & (outputs - 1):
        way = "switch"
    opened = asm.route_class([(inputs, outputs)], initial=0, sink=node.to_host)
    if way == "switch":
        node.positions = [closed, (inputs, outputs)]
        node.position = 1  # for the trace; the initial one stays 0
    elif way == "switch word":
        node.positions = [(inputs, 0)]
    else:
        node.positions = [closed]
    program.features.add(f"run-time {way}")

    def emit() -> None:
        pe.filler()
        if way == "route":
            route_set(pe, color, opened)
        elif way == "switch":
            switch_set(pe, color, 1)
        else:
            _config_word(pe, program, color, way, (inputs, outputs))

    flow.steps(pe).append(emit)
    if way in ("route", "color word", "switch word"):
        node.traced = [(inputs, outputs)]


def route_set(pe: PeGen, color: int, number: int) -> None:
    if pe.rng.random() < 0.5:
        pe.emit(Op.ROUTE_SET, imm=color, imm2=number, flags=CodeFlag.A_IMM)
    else:
        pe.emit(Op.ROUTE_SET, a=pe.li(pe.temp(), color), imm2=number)


def switch_set(pe: PeGen, color: int, position: int) -> None:
    if pe.rng.random() < 0.5:
        pe.emit(Op.SWITCH_SET, imm=color, imm2=position, flags=CodeFlag.A_IMM)
    else:
        pe.emit(Op.SWITCH_SET, imm=color, a=pe.li(pe.temp(), position))
    pe.emit(Op.SWITCH_GET, dst=pe.regs[0], imm=color)
    pe.keep(pe.regs[0], int(Type.U16))


def _config_word(pe: PeGen, program: ProgramGen, color: int, way: str, masks: tuple[int, int]) -> None:
    inputs, outputs = masks
    color_base = program.arch("COLOR_CONFIG_BASE")
    switch_base = program.arch("SWITCH_CONFIG_BASE")
    if way == "color word":
        base = color_base
        word = configwords.mask_to_word(inputs) << 5 | configwords.mask_to_word(outputs)
    else:
        base = switch_base
        row = [0] * ROUTE_COLS
        row[0:4] = [inputs, 0, inputs, outputs]
        row[8], row[9] = 2, 1
        word = configwords.read_switch(Route(row))
    register = pe.li(pe.regs[1], word)
    pe.emit(Op.STORE, type=Type.U16, b=register, imm=base + 2 * color)
    pe.emit(Op.LOAD, type=Type.U16, dst=pe.regs[2], imm=base + 2 * color)
    pe.keep(pe.regs[2], int(Type.U16))
    pe.emit(Op.LOAD, type=Type.U16, dst=pe.regs[2], imm=switch_base + 2 * color)
    pe.keep(pe.regs[2], int(Type.U16))


def crossed(program: ProgramGen) -> None:
    """Several streams at the same time from one corner of the fabric: they share links."""
    rng = program.rng
    program.features.add("shared links")
    x, y = rng.randrange(program.width), rng.randrange(program.height)
    shape = rng.getrandbits(32)
    for _ in range(rng.choice((2, 3))):
        state = rng.getstate()
        if rng.random() < 0.7:
            rng.seed(shape)  # the same tree again
        reach = 2 if program.width * program.height > 1 else 0
        root = grow(rng, program.width, program.height, x, y, reach)
        rng.setstate(state)
        rng.random()
        flow = stream(program, late=True, count=rng.choice((4, 8, 12)), root=root)
        if flow.batches:
            flow.run_trace()
            flow.attach()
