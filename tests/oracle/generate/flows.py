"""Flows: a tree of one color with its source, its sinks and everything in between."""

from __future__ import annotations

from collections.abc import Callable

from wafersim.program.schema import ROUTE_COLS, CodeFlag, FilterField, FilterKind, Op, Type

from .. import configwords
from ..state import Route
from . import ends
from .context import PeGen, ProgramGen
from .ends import INDEXED, PACKED, WORDS, Batch
from .flow import Flow
from .nets import (
    Node,
    control_payload,
    grow,
    random_commands,
    set_colors,
    set_positions,
)
from .vector_blocks import small_task


def _root(program: ProgramGen, reach: int | None = None) -> Node:
    rng = program.rng
    x, y = rng.randrange(program.width), rng.randrange(program.height)
    if reach is None:
        reach = rng.choice((1, 2, 3, 4)) if program.width * program.height > 1 else 0
    return grow(rng, program.width, program.height, x, y, reach)


def _width(program: ProgramGen) -> str:
    width = program.rng.choice((WORDS, WORDS, PACKED, INDEXED))
    program.features.add(width)
    return width


def _wavelets(program: ProgramGen) -> int:
    return program.rng.choice((1, 2, 4, 7, 10, 14, 20))


def stream(
    program: ProgramGen, late: bool = False, count: int | None = None, root: Node | None = None
) -> Flow:
    """Data from one PE to the leaves of a tree."""
    rng = program.rng
    flow = Flow(program, root or _root(program), _width(program))
    flow.late = late
    swap = rng.random() < 0.15 and program.width * program.height > 1
    color = program.color_pair(False) if swap else program.color(below=16 if late else 24)
    if color is None:
        return flow
    set_colors(flow.root, color, rng if swap else None)
    set_positions(flow.root, rng, False)
    if sum(n.sink for n in flow.root.walk()) > 1:
        program.features.add("multicast")
    total = _wavelets(program) if count is None else count
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
        _gate(flow)
    flow.run_trace()
    flow.attach()


def _gate(flow: Flow) -> None:
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
            _route_set(pe, color, opened)
        elif way == "switch":
            _switch_set(pe, color, 1)
        else:
            _config_word(pe, program, color, way, (inputs, outputs))

    flow.steps(pe).append(emit)
    if way in ("route", "color word", "switch word"):
        node.traced = [(inputs, outputs)]


def _route_set(pe: PeGen, color: int, number: int) -> None:
    if pe.rng.random() < 0.5:
        pe.emit(Op.ROUTE_SET, imm=color, imm2=number, flags=CodeFlag.A_IMM)
    else:
        pe.emit(Op.ROUTE_SET, a=pe.li(pe.temp(), color), imm2=number)


def _switch_set(pe: PeGen, color: int, position: int) -> None:
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


def switched(program: ProgramGen) -> None:
    """Switch positions, control wavelets and pop modes."""
    rng = program.rng
    flow = Flow(program, _root(program), _width(program))
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
    flow = Flow(program, _root(program), _width(program))
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
            _route_set(pe, node.color, number)
        if rng.random() < 0.5:
            pe.emit(Op.TEARDOWN_EXIT, imm=node.color, flags=CodeFlag.A_IMM)
        else:
            pe.emit(Op.TEARDOWN_EXIT, a=pe.li(pe.temp(), node.color))

    pe.teardown_actions.append(act)


def filtered(program: ProgramGen) -> None:
    """A filter at every sink."""
    rng = program.rng
    flow = Flow(program, _root(program), INDEXED if rng.random() < 0.6 else _width(program))
    color = program.color(below=16)
    if color is None:
        return
    set_colors(flow.root, color, None)
    set_positions(flow.root, rng, False)
    flow.late = rng.random() < 0.4
    kinds = (FilterKind.COUNTER, FilterKind.SPARSE_COUNTER, FilterKind.RANGE, FilterKind.RANGE)
    kind = rng.choice(kinds if flow.width == INDEXED else kinds[:2])
    program.features.add(f"filter {kind.name}")
    for node in flow.root.walk():
        if node.sink:
            node.filter = {
                "filter": int(kind),
                "filter_limit1": rng.choice((0, 1, 2, 4)),
                "filter_limit2": rng.choice((0, 1, 2, 40000)),
                "filter_max": rng.choice((0, 1, 2, 5)),
                "filter_min": rng.choice((0, 1)),
                "filter_init": rng.choice((0, 0, 1, 3)),
                "filter_count_data": int(rng.random() < 0.8),
                "filter_count_control": int(rng.random() < 0.5),
            }
            node.counter = node.filter["filter_init"]
    laid = {id(n): dict(n.filter) for n in flow.root.walk()}
    task = rng.randint(40, 63)
    for index in rng.sample(range(8), k=rng.choice((2, 3))):
        flow.batches.append(Batch(rng.choice((1, 3, 6)), index=index))
        if rng.random() < 0.3:
            flow.batches.append(Batch(0, [control_payload(rng, task, [0], 0.2)]))
    if not flow.fits():
        return
    if rng.random() < 0.4:
        _set_filter(flow, laid)
    flow.run_trace()
    for node in flow.root.walk():
        node.filter = laid[id(node)]
    flow.attach()


def _set_filter(flow: Flow, laid: dict[int, dict[str, int]]) -> None:
    """A sink behind a closed switch position sets its filter, then opens."""
    program, rng = flow.program, flow.rng
    node = rng.choice([n for n in flow.root.walk() if n.sink])
    if len(node.positions) > 1:
        return
    pe = program.pe(node.x, node.y)
    node.positions = [(0, 0), node.positions[0]]
    node.position = 1
    program.features.add("run-time filter")
    changes = []
    for name, column in (
        ("COUNTER", None),
        ("MAX", "filter_max"),
        ("MIN", "filter_min"),
        ("LIMIT1", "filter_limit1"),
    ):
        if rng.random() < 0.5:
            value = rng.choice((0, 1, 3))
            changes.append((FilterField[name], value))
            if column is None:
                node.counter = value
            else:
                laid[id(node)] = dict(laid[id(node)])
                node.filter = {**node.filter, column: value}
    if rng.random() < 0.3:
        changes.append((FilterField.ACTIVE, 0))
        node.filter_on = rng.random() < 0.4
        if node.filter_on:
            changes.append((FilterField.ACTIVE, 7))

    def emit() -> None:
        for name, value in changes:
            pe.emit(Op.FILTER_SET, imm=node.color, imm2=name, a=pe.li(pe.temp(), value))
        _switch_set(pe, node.color, 1)
        for field in FilterField:
            if rng.random() < 0.4:
                pe.emit(Op.FILTER_GET, dst=pe.regs[5], imm=node.color, imm2=field)
                pe.keep(pe.regs[5], int(Type.U32))

    flow.steps(pe).append(emit)


def relayed(program: ProgramGen) -> None:
    """A flow whose sink sends on under another color."""
    rng = program.rng
    first = stream(program)
    if not first.batches:
        return
    first.run_trace()
    node = rng.choice(first.sinks())
    w = sum(b.wavelets for b in first.batches)
    reach = rng.choice((1, 2, 3)) if program.width * program.height > 1 else 0
    second = Flow(program, grow(rng, program.width, program.height, node.x, node.y, reach), first.width)
    color = program.color()
    pe = program.pe(node.x, node.y)
    if color is None:
        return
    set_colors(second.root, color, None)
    set_positions(second.root, rng, False)
    second.batches = [Batch(w)]
    second.run_trace()
    ends_at = [program.pe(x, y) for x, y in first.participants() + second.participants()]
    if any(len(p.free_oq) < 5 or len(p.free_iq) < 5 for p in ends_at):
        return
    got, node.got = node.got, []
    ok = first.attach()
    node.got = got
    if not ok:
        return
    incoming, outgoing = pe.input_queue(node.color), pe.output_queue(color)
    if incoming is None or outgoing is None:
        return
    op = ends.relay_op(pe, incoming, first.width, w, color, outgoing)
    places = [(n.x, n.y) for n in second.sinks()] + [(first.root.x, first.root.y)]
    style = "async" if (node.x, node.y) in places or rng.random() < 0.5 else "sync"

    def emit() -> None:
        pe.filler()
        ends.run_ops(pe, [op], style)

    first.steps(pe).append(emit)
    second.attach(source=False)


def joined(program: ProgramGen) -> None:
    """Two flows that meet in one op (generation 2)."""
    rng = program.rng
    if program.generation != 2 or program.width * program.height < 2:
        plain_stream(program)
        return
    x, y = rng.randrange(program.width), rng.randrange(program.height)
    pe = program.pe(x, y)
    count = rng.choice((2, 5, 8))
    flows = []
    for _ in range(2):
        root = _path_to(program, x, y)
        color = program.color()
        if root is None or color is None:
            return
        flow = Flow(program, root, WORDS)
        set_colors(root, color, None)
        set_positions(root, rng, False)
        flow.batches = [Batch(count)]
        flow.run_trace()
        flows.append(flow)
    if len(pe.free_iq) < 4:
        return
    queues = []
    for flow in flows:
        for node in flow.sinks():
            node.got = []
        if not flow.attach():
            return
        end = flow.root.walk()[-1]
        queue = pe.input_queue(end.color)
        assert queue is not None
        queues.append(queue)
    op = ends.join_op(pe, (queues[0], queues[1]), count)
    style = rng.choice(("sync", "async"))
    flows[0].steps(pe).append(lambda: ends.run_ops(pe, [op], style))


def _path_to(program: ProgramGen, x: int, y: int) -> Node | None:
    """A straight-edged path from another PE to (x, y)."""
    rng = program.rng
    places = [(a, b) for a in range(program.width) for b in range(program.height) if (a, b) != (x, y)]
    far = [p for p in places if abs(p[0] - x) + abs(p[1] - y) > 1]
    at_x, at_y = rng.choice(far or places)
    root = node = Node(at_x, at_y, 4)
    while (at_x, at_y) != (x, y):
        d = (
            (1 if x > at_x else 3)
            if at_x != x and (at_y == y or rng.random() < 0.5)
            else (2 if y > at_y else 0)
        )
        at_x += (d == 1) - (d == 3)
        at_y += (d == 2) - (d == 0)
        child = Node(at_x, at_y, d ^ 2)
        node.children[d] = child
        node = child
    node.sink = True
    return root


def gathered(program: ProgramGen) -> None:
    """Several sources on one color to one sink (generation 2)."""
    rng = program.rng
    if program.generation != 2 or program.width * program.height < 2:
        plain_stream(program)
        return
    x, y = rng.randrange(program.width), rng.randrange(program.height)
    root, color = _path_to(program, x, y), program.color(below=16)
    if root is None or color is None:
        return
    flow = Flow(program, root, WORDS)
    set_colors(root, color, None)
    set_positions(root, rng, False)
    flow.late = rng.random() < 0.5
    count = rng.choice((1, 3, 6))
    flow.batches = [Batch(count)]
    flow.run_trace()
    nodes = root.walk()
    more = [n for n in nodes[1:-1] if rng.random() < 0.8]
    pes = [program.pe(n.x, n.y) for n in (*more, nodes[0], nodes[-1])]
    if any(len(pe.free_iq) < 3 or len(pe.free_oq) < 3 for pe in pes):
        return
    program.features.add("two sources of a color" if more else "gather")
    for node in more:
        inputs, outputs = node.positions[0]
        node.positions = [(inputs | 1 << 4, outputs)]
    nodes[-1].got = nodes[-1].got * (1 + len(more))
    if not flow.attach():
        return
    for node in more:
        pe = program.pe(node.x, node.y)
        queue = pe.output_queue(color)
        assert queue is not None
        flow._attach_source(pe, queue, False)


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


def flushed(program: ProgramGen) -> None:
    """Queue fields, binding and flushing."""
    rng = program.rng
    x, y = rng.randrange(program.width), rng.randrange(program.height)
    pe = program.pe(x, y)
    program.features.add("queue flush")
    kind = rng.randint(0, 1)
    number = rng.randrange(program.arch("NUM_OQ"))
    free = pe.free_oq if kind else pe.free_iq
    if program.generation == 3 and number in free and rng.random() < 0.6:
        handler = small_task(pe)
        if handler is not None:
            program.features.add("empty handler")
            pe.take(number)
            pe.asm.queue(kind, number, -1, empty_task=handler)

    def emit() -> None:
        pe.emit(Op.QUEUE_FLUSH, imm=number, type=kind)
        for _ in range(rng.choice((0, 1, 3))):
            pe.emit(Op.NOP)
        for field in (0, 1, 2, 3):
            if rng.random() < 0.5:
                pe.emit(Op.QUEUE_GET, dst=pe.regs[5], imm=number, type=kind, imm2=field)
                pe.keep(pe.regs[5], int(Type.U16))
        if rng.random() < 0.6:
            pe.emit(Op.QUEUE_EXIT, imm=number, type=kind)
            pe.emit(Op.QUEUE_GET, dst=pe.regs[5], imm=number, type=kind, imm2=3)
            pe.keep(pe.regs[5], int(Type.U16))

    pe.computes = True
    pe.early.append(emit)
    pe.teardown_actions.append(lambda: pe.filler())


def rebound(program: ProgramGen) -> None:
    """An input queue gets its color at run time."""
    rng = program.rng
    flow = stream(program)
    if not flow.batches:
        return
    flow.run_trace()
    if not flow.attach():
        return
    node = rng.choice(flow.sinks())
    pe = program.pe(node.x, node.y)
    for row in pe.asm.queues:
        if row[1] == 0 and row[3] == node.color:
            row[3] = -1
            queue = row[2]
            program.features.add("queue bind")

            def emit(queue: int = queue) -> None:
                if rng.random() < 0.5:
                    pe.emit(Op.QUEUE_BIND, imm=queue, type=0, imm2=node.color, flags=CodeFlag.A_IMM)
                else:
                    pe.emit(Op.QUEUE_BIND, imm=queue, type=0, a=pe.li(pe.temp(), node.color))

            pe.early.insert(0, emit)
            return


KINDS: list[tuple[Callable[[ProgramGen], None], int]] = [
    (plain_stream, 8),
    (gated, 5),
    (switched, 9),
    (torn_down, 3),
    (filtered, 5),
    (relayed, 4),
    (joined, 3),
    (gathered, 7),
    (crossed, 5),
    (flushed, 3),
    (rebound, 3),
]
