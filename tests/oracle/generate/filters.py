"""Flows whose sinks filter, from the start or set at run time."""

from __future__ import annotations

from wafersim.program.schema import FilterField, FilterKind, Op, Type

from .context import ProgramGen
from .ends import INDEXED, Batch
from .flow import Flow
from .nets import control_payload, set_colors, set_positions
from .shapes import random_root, random_width
from .streams import switch_set


def filtered(program: ProgramGen) -> None:
    """A filter at every sink."""
    rng = program.rng
    flow = Flow(program, random_root(program), INDEXED if rng.random() < 0.6 else random_width(program))
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
        switch_set(pe, node.color, 1)
        for field in FilterField:
            if rng.random() < 0.4:
                pe.emit(Op.FILTER_GET, dst=pe.regs[5], imm=node.color, imm2=field)
                pe.keep(pe.regs[5], int(Type.U32))

    flow.steps(pe).append(emit)
