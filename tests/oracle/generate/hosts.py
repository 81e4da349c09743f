"""Flows from and to the host: router ports that it feeds, sinks that it reads."""

from __future__ import annotations

from .context import ProgramGen
from .ends import Batch
from .flow import Flow
from .nets import RAMP, STEPS, control_payload, random_commands, set_colors, set_positions
from .shapes import random_root, random_wavelets, random_width
from .streams import close_one


def fed(program: ProgramGen) -> None:
    """The host feeds a tree, by a port at the edge or a RAMP; some of its ends lead to the host again."""
    rng = program.rng
    flow = Flow(program, random_root(program), random_width(program))
    root = flow.root
    outer = _outer(program, root.x, root.y)
    root.parent = rng.choice([*outer, RAMP])
    color = program.color(below=16)
    if color is None:
        return
    set_colors(root, color, None)
    switched = rng.random() < 0.3
    set_positions(root, rng, switched)
    flow.late = rng.random() < 0.4
    for node in root.walk():
        if node.sink and rng.random() < 0.4:
            node.to_host |= 1 << RAMP
        for port in _outer(program, node.x, node.y):
            if port != node.parent and rng.random() < 0.4:
                node.to_host |= 1 << port
                node.positions = [
                    (i, o | 1 << port) if rng.random() < 0.8 else (i, o) for i, o in node.positions
                ]
    task = rng.randint(40, 63)
    for _ in range(rng.choice((1, 2, 3))):
        flow.batches.append(Batch(random_wavelets(program)))
        if rng.random() < 0.4:
            commands = random_commands(rng, False)
            flow.batches.append(Batch(0, [control_payload(rng, task, commands, 0.3)]))
    if not flow.fits(False):
        return
    program.features.add("fed by the edge" if root.parent != RAMP else "fed by the ramp")
    if any(n.to_host for n in root.walk()):
        program.features.add("sink")
    if not switched and rng.random() < 0.3:
        close_one(flow)
    flow.run_trace()
    flow.attach(False)
    if root.parent == RAMP:
        program.pe(root.x, root.y)  # a tile: it has the ramp
    _feed(program, flow)


def _outer(program: ProgramGen, x: int, y: int) -> list[int]:
    """Ports of a PE that look out of the fabric."""
    return [
        d for d, (dx, dy) in enumerate(STEPS)
        if not (0 <= x + dx < program.width and 0 <= y + dy < program.height)
    ]  # fmt: skip


def _feed(program: ProgramGen, flow: Flow) -> None:
    rng, root = flow.rng, flow.root
    words: list[tuple[int, bool]] = []
    for batch in flow.batches:
        words += [(p, True) for p in batch.controls or ()]
        words += [(rng.getrandbits(32), False) for _ in range(batch.wavelets)]
    cut = rng.randint(0, len(words)) if rng.random() < 0.5 else len(words)
    if rng.random() < 0.1:
        words, cut = words[:cut], cut  # the rest never comes
        program.features.add("dry stream")
    for feeds, part in ((program.feeds, words[:cut]), (program.more_feeds, words[cut:])):
        if part:
            feeds.append((root.x, root.y, root.color, root.parent, part))
    if words[cut:]:
        program.features.add("fed again")
