"""Flows: a tree of one color with its source, its sinks and everything in between."""

from __future__ import annotations

from collections.abc import Callable

from wafersim.program.schema import ROUTE_COLS, CodeFlag, FilterField, FilterKind, Op, Type

from .. import configwords
from ..state import Route
from . import ends
from .context import PeGen, ProgramGen, Steps
from .ends import INDEXED, PACKED, WORDS, Batch
from .nets import (
    RAMP,
    Node,
    advance_local,
    control_payload,
    grow,
    random_commands,
    release,
    set_colors,
    set_positions,
    trace,
)
from .vector_blocks import completion, small_task


class Flow:
    """One tree and its traffic."""

    def __init__(self, program: ProgramGen, root: Node, width: str) -> None:
        self.program, self.rng, self.root, self.width = program, program.rng, root, width
        self.batches: list[Batch] = []
        self.late = False
        self.advance = False
        self.torn_nodes: list[Node] = []

    # routes

    def lay_routes(self) -> None:
        """Enter the tree into the route map."""
        asm = self.program.asm
        for node in self.root.walk():
            columns = {"initial": node.initial, "ring": int(node.ring), "pop_mode": node.pop}
            columns |= node.filter
            if node.to_host:
                columns["sink"] = node.to_host
            asm.route_at[(node.color, node.x, node.y)] = asm.route_class(node.positions, **columns)
            if node.color != node.arrives:
                self.program.features.add("color swap")
                swaps = (
                    ("swap_x", "swap_y")
                    if node.parent == 4
                    else ("swap_x",)
                    if node.parent in (1, 3)
                    else ("swap_y",)
                )
                number = asm.route_class([(0, 0)], **dict.fromkeys(swaps, 1))
                asm.route_at[(node.arrives, node.x, node.y)] = number

    def send(self, wavelets: list[tuple[int, bool]]) -> None:
        for payload, control in wavelets:
            trace(self.root, payload, control)

    def run_trace(self) -> None:
        """Find out what every sink gets."""
        for batch in self.batches:
            if batch.controls is None:
                self.send([(batch.index << 16, False)] * batch.wavelets)
            else:
                self.send([(p, True) for p in batch.controls])
        if self.advance:
            advance_local(self.root)
        torn = True
        while torn:
            torn = False
            for node in self.root.walk():
                if node.torn:
                    torn = True
                    release(node, node.positions[:1])

    def sinks(self) -> list[Node]:
        return [n for n in self.root.walk() if n.got and not n.to_host >> RAMP & 1]

    def participants(self) -> list[tuple[int, int]]:
        return [(n.x, n.y) for n in self.sinks()] + [(self.root.x, self.root.y)]

    def fits(self, source: bool = True) -> bool:
        """Are there queues for the source and every possible sink?"""
        nodes = [
            n for n in self.root.walk()
            if (n.sink and not n.to_host >> RAMP & 1) or (source and n is self.root)
        ]  # fmt: skip
        pes = [self.program.pe(n.x, n.y) for n in nodes]
        return all(len(pe.free_iq) >= 2 and len(pe.free_oq) >= 2 for pe in pes)

    def steps(self, pe: PeGen) -> Steps:
        pe.computes = True
        return pe.late if self.late else pe.early

    # ends

    def attach(self, source: bool = True) -> bool:
        """Emit the code of the source and of all sinks; False if a queue is missing."""
        if not self.fits(source):
            return False
        places = self.participants()
        self.lay_routes()
        if source:
            pe = self.program.pe(self.root.x, self.root.y)
            queue = pe.output_queue(self.root.color)
            assert queue is not None
            both = len(set(places)) < len(places)
            self._attach_source(pe, queue, both)
        for node in self.sinks():
            self.attach_sink(node)
        return True

    def _attach_source(self, pe: PeGen, queue: int, is_sink_too: bool) -> None:
        ops = ends.send_ops(pe, self.root.color, queue, self.width, self.batches, self.advance)
        styles = ("async", "chain") if self.late else ("async",) if is_sink_too else ("sync", "sync", "async")
        style = self.rng.choice(styles)
        if self.late and len(ops) > 1 and self.rng.random() < 0.85:
            style = "chain"  # a queue still claimed would hold up main, and with it the tasks here
        self.program.features.add(f"{style} send")

        def emit() -> None:
            pe.filler()
            ends.run_ops(pe, ops, style, completion(pe) if self.rng.random() < 0.3 else None)

        self.steps(pe).append(emit)

    def attach_sink(self, node: Node) -> None:
        """Choose how the node's CE takes its wavelets."""
        rng, width = self.rng, self.width
        pe = self.program.pe(node.x, node.y)
        has_control = any(c for _, c in node.got)
        data = sum(not c for _, c in node.got)
        choices = ["terminate", "act", "dfilt", "none"] if has_control else ["op", "op", "split", "map"]
        if self.late:
            choices = ["data task"] * 3 + ["terminate", "act", "dfilt", "none"] * has_control
            choices += ["op", "split"] * (not has_control)
        if not has_control and rng.random() < 0.15:
            choices = ["endless"]
        if width == INDEXED and rng.random() < 0.4 and not has_control:
            choices = ["index"]
        choice = rng.choice(choices)
        if choice == "data task" and self.program.generation == 2 and node.color > 15:
            choice = "terminate" if has_control else "op"
        if choice == "map" and width != WORDS:
            choice = "op"
        queue = pe.input_queue(node.color, exclusive=choice == "endless")
        assert queue is not None
        if has_control:
            ends.bind_control_tasks(pe, node.got)
        if choice == "data task":
            ends.data_task(pe, queue, node.color, node.got)
            pe.computes = True
            return
        ops = self._sink_ops(pe, node, queue, choice, data)
        styles = (
            ("async", "chain") if self.late or choice == "endless" else ("sync", "sync", "async", "chain")
        )
        if choice == "none":
            styles = ("async", "chain")
        style = "sync" if choice == "map" else rng.choice(styles)
        if self.late and len(ops) > 1 and rng.random() < 0.85:
            style = "chain"
        self.program.features.add(f"{style} receive")

        def emit() -> None:
            pe.filler()
            ends.run_ops(pe, ops, style, completion(pe) if rng.random() < 0.4 else None)

        self.steps(pe).append(emit)

    def _sink_ops(self, pe: PeGen, node: Node, queue: int, choice: str, data: int) -> list[ends.Emitter]:
        width, got = self.width, node.got
        if choice == "terminate":
            return ends.terminated_ops(pe, queue, width, got)
        if choice == "act":
            return ends.acting_op(pe, queue, width, got)
        if choice == "dfilt":
            return ends.filtering_ops(pe, queue, width, got)
        if choice == "endless":
            return [ends.endless_op(pe, queue, width)]
        if choice == "map":
            return [ends.mapped(pe, queue, data)]
        if choice == "index":
            return [ends.indexed_op(pe, queue, data)]
        if choice == "split" and data > 1:
            self.program.features.add("split receive")
            first = self.rng.randint(1, data - 1)
            parts = [first, data - first]
            return [ends.receive_op(pe, queue, width, n) for n in parts]
        return [ends.receive_op(pe, queue, width, data)] if data else []


# kinds of flows


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
