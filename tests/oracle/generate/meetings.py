"""Flows that meet: one sends the other on, two end in one op, several sources on one color."""

from __future__ import annotations

from . import ends
from .context import ProgramGen
from .ends import WORDS, Batch
from .flow import Flow
from .nets import grow, set_colors, set_positions
from .shapes import path_to
from .streams import plain_stream, stream


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
        root = path_to(program, x, y)
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


def gathered(program: ProgramGen) -> None:
    """Several sources on one color to one sink (generation 2)."""
    rng = program.rng
    if program.generation != 2 or program.width * program.height < 2:
        plain_stream(program)
        return
    x, y = rng.randrange(program.width), rng.randrange(program.height)
    root, color = path_to(program, x, y), program.color(below=16)
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
