"""Flows with control wavelets: switch positions, pop modes and teardown."""

from __future__ import annotations

from wafersim.program.schema import CodeFlag, Op, Type

from .context import PeGen, ProgramGen
from .ends import Batch
from .flow import Flow
from .nets import Node, control_payload, random_commands, set_colors, set_positions
from .shapes import random_root, random_width
from .streams import route_set


def switched(program: ProgramGen) -> None:
    """Switch positions, control wavelets and pop modes."""
    rng = program.rng
    flow = Flow(program, random_root(program), random_width(program))
    swap = rng.random() < 0.1
    color = program.color_pair(True) if swap else program.color(switched=True, below=16)
    if color is None:
        return
    program.features.add("switches")
    set_colors(flow.root, color, rng if swap else None)
    set_positions(flow.root, rng, True)
    task = rng.randint(40, 63)
    for _ in range(rng.choice((2, 3, 4))):
        flow.batches.append(Batch(rng.choice((1, 2, 4, 6)), index=rng.randrange(4)))
        payloads = [
            control_payload(rng, task, random_commands(rng, False), rng.choice((0.0, 0.5, 1.0)))
            for _ in range(rng.choice((1, 1, 2)))
        ]
        flow.batches.append(Batch(0, payloads))
    if rng.random() < 0.6:
        flow.batches.append(Batch(rng.choice((1, 3)), index=1))
    flow.advance = rng.random() < 0.3
    if flow.advance:
        program.features.add("advance_switch")
    flow.late = rng.random() < 0.5
    flow.run_trace()
    for node in flow.root.walk():
        program.features.add(f"pop mode {node.pop}")
        if len(node.positions) > 1 and node.ring:
            program.features.add("ring")
    flow.attach()


def torn_down(program: ProgramGen) -> None:
    """A teardown on the way; task 29 gives a route again and leaves it."""
    rng = program.rng
    flow = Flow(program, random_root(program), random_width(program))
    color = program.color(switched=True, below=16)
    if color is None or "teardown" in program.features:
        return
    program.features.add("teardown")
    set_colors(flow.root, color, None)
    set_positions(flow.root, rng, False)
    mode = rng.choice((0, 1))
    for node in flow.root.walk():
        node.pop = mode
    task = rng.randint(40, 63)
    commands = [0] * rng.choice((0, 0, 1, 2)) * mode + [3]
    flow.batches = [
        Batch(rng.choice((1, 3))),
        Batch(0, [control_payload(rng, task, commands, rng.choice((0.0, 1.0)))]),
        Batch(rng.choice((1, 4, 9))),
    ]
    flow.late = True
    flow.run_trace()
    if not flow.attach():
        return
    for node in flow.root.walk():
        _teardown_handler(program.pe(node.x, node.y), node)


def _teardown_handler(pe: PeGen, node: Node) -> None:
    program, rng = pe.program, pe.rng
    pe.computes = True
    number = program.asm.route_class(node.positions[:1], pop_mode=node.pop)
    by_route = rng.random() < 0.5

    def act() -> None:
        pe.emit(Op.TEARDOWN_GET, dst=pe.regs[4], imm=node.color)
        pe.keep(pe.regs[4], int(Type.U16))
        if rng.random() < 0.6:
            program.features.add("teardown pending")
            pe.emit(Op.TEARDOWN_PENDING, dst=pe.regs[5])
            pe.keep(pe.regs[5], int(Type.U32))
        if by_route:
            route_set(pe, node.color, number)
        if rng.random() < 0.5:
            pe.emit(Op.TEARDOWN_EXIT, imm=node.color, flags=CodeFlag.A_IMM)
        else:
            pe.emit(Op.TEARDOWN_EXIT, a=pe.li(pe.temp(), node.color))

    pe.teardown_actions.append(act)
