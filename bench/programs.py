"""The programs that the benchmarks run; each comes with what its answer has to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import wafersim as ws

#: direction -> (step in x, step in y, port behind)
STEPS = {"EAST": (1, 0, "WEST"), "WEST": (-1, 0, "EAST"), "SOUTH": (0, 1, "NORTH"), "NORTH": (0, -1, "SOUTH")}

#: what the end of a stream does with its wavelets: the filter lets none pass, so the router drops them
DROP = {"kind": "range", "min": 1, "max": 0}


def streaming(side: int, words: int) -> ws.MachineProgram:
    """Two colors stream ``words`` wavelets through every link of a ``side`` x ``side`` fabric."""
    lay = ws.Layout(side, side, arch="wse2", name="streaming")
    colors = {d: [lay.color(f"{d.lower()}{i}") for i in range(2)] for d in STEPS}
    for direction in STEPS:
        for color in colors[direction]:
            _line(lay, color, direction, side)
    last = side - 1
    edges: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for y in range(side):
        for x in range(side):
            at = {"EAST": x == 0, "WEST": x == last, "SOUTH": y == 0, "NORTH": y == last}
            starts = tuple(direction for direction, here in at.items() if here)
            if starts:
                edges.setdefault(starts, []).append((x, y))
    for starts, places in edges.items():
        mask = np.zeros((side, side), bool)
        mask[tuple(np.array(places).T[::-1])] = True
        tile = _source(lay, "_".join(starts), [color for d in starts for color in colors[d]], words)
        lay.place(tile, width=None, height=None, mask=mask)
    return lay.build()


def _line(lay: ws.Layout, color: Any, direction: str, side: int) -> None:
    """Routes from one edge to the other; the far end drops."""
    dx, dy, behind = STEPS[direction]
    position = np.arange(side)
    along = position if dx + dy > 0 else side - 1 - position
    order = np.broadcast_to(along if dx else along[:, None], (side, side))
    whole = {"width": None, "height": None}
    lay.route(color, **whole, rx="RAMP", tx=direction, mask=order == 0)
    lay.route(color, **whole, rx=behind, tx=direction, mask=(order > 0) & (order < side - 1))
    lay.route(color, **whole, rx=behind, tx="RAMP", filter=DROP, mask=order == side - 1)


def _source(lay: ws.Layout, name: str, colors: list[Any], words: int) -> ws.TileProgram:
    pe = lay.tile(name)
    word = pe.array("word", "f32", 1)
    with pe.function("main"):
        for queue, color in enumerate(colors[:6]):
            out = pe.fabout_dsd(pe.output_queue(queue, color), extent=words)
            pe.fmovs(out, pe.mem_dsd(word, extent=words, stride=0), async_=True)
        pe.done()
    return pe


@dataclass
class Traffic:
    """Random traffic: the program and its flows as (source, sink)."""

    program: ws.MachineProgram
    flows: list[tuple[tuple[int, int], tuple[int, int]]]
    hops: int


def random_traffic(side: int, words: int, seed: int = 1) -> Traffic:
    """Flows between random PEs, column after row; half of the sinks take a task per wavelet: queues fill."""
    rng = np.random.default_rng(seed)
    lay = ws.Layout(side, side, arch="wse2", name="random_traffic")
    free = np.ones((24, side, side), bool)
    ports: dict[tuple[int, str, str], list[tuple[int, int]]] = {}
    sends: dict[tuple[int, int], int] = {}
    takes: dict[tuple[int, int], int] = {}
    flows, hops = [], 0
    for _ in range(side * side):
        source, sink = (tuple(int(v) for v in rng.integers(0, side, 2)) for _ in range(2))
        if source == sink or source in sends or sink in takes:
            continue
        steps = _path(source, sink)
        xs, ys = np.array([[x, y] for x, y, _, _ in steps]).T
        fitting = np.flatnonzero(free[:, ys, xs].all(axis=1))
        if fitting.size == 0:
            continue
        color = int(fitting[0])
        free[color, ys, xs] = False
        for x, y, rx, tx in steps:
            ports.setdefault((color, rx, tx), []).append((x, y))
        sends[source], takes[sink] = color, color
        flows.append((source, sink))
        hops += len(steps) - 1
    colors = [lay.color(f"c{number}", number) for number in range(24)]
    for (color, rx, tx), places in ports.items():
        lay.route(colors[color], width=None, height=None, rx=rx, tx=tx, mask=_mask(side, places))
    kinds: dict[tuple[int | None, int | None, bool], list[tuple[int, int]]] = {}
    for place in {*sends, *takes}:
        slow = (place[0] + place[1]) % 2 == 0
        kinds.setdefault((sends.get(place), takes.get(place), slow), []).append(place)
    for number, ((out, into, slow), places) in enumerate(kinds.items()):
        tile = _node(lay, f"node{number}", words, _pick(colors, out), _pick(colors, into), slow)
        lay.place(tile, width=None, height=None, mask=_mask(side, places))
    return Traffic(lay.build(), flows, hops * words)


def _pick(colors: list[Any], number: int | None) -> Any:
    return None if number is None else colors[number]


def _mask(side: int, places: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
    mask = np.zeros((side, side), bool)
    xs, ys = np.array(places).T
    mask[ys, xs] = True
    return mask


def _path(source: tuple[int, int], sink: tuple[int, int]) -> list[tuple[int, int, str, str]]:
    """(x, y, input, output) of every router on the way."""
    (x, y), steps, came = source, [], "RAMP"
    while (x, y) != sink:
        if x != sink[0]:
            direction = "EAST" if sink[0] > x else "WEST"
        else:
            direction = "SOUTH" if sink[1] > y else "NORTH"
        steps.append((x, y, came, direction))
        dx, dy, came = STEPS[direction]
        x, y = x + dx, y + dy
    return [*steps, (x, y, came, "RAMP")]


def _node(lay: ws.Layout, name: str, words: int, out: Any, into: Any, slow: bool) -> ws.TileProgram:
    pe = lay.tile(name)
    if into is not None:
        received = pe.array("received", "u32", words, export=True)
        queue = pe.input_queue(0, into)
        if slow:
            place = pe.array("place", "u16", 1)
            task = pe.data_task("take", queue=queue, args=("data",))
            with task as value:
                index = pe.load(place)
                pe.store(received, index, value)
                pe.store(place, 0, index + 1)
    if out is not None:
        sent = pe.array("sent", "u32", words, export=True)
        wavelets = pe.fabout_dsd(pe.output_queue(1, out), extent=words)
    with pe.function("main"):
        if out is not None:
            pe.mov32(wavelets, pe.mem_dsd(sent, extent=words), async_=True)
        if into is not None and not slow:
            pe.mov32(pe.mem_dsd(received, extent=words), pe.fabin_dsd(queue, extent=words), async_=True)
        pe.done()
    return pe


def tasks(side: int, count: int) -> ws.MachineProgram:
    """Every PE starts the same local task ``count`` times, one after the other."""
    lay = ws.Layout(side, side, arch="wse2", name="tasks")
    pe = lay.tile("worker")
    done = pe.array("count", "u32", 1, export=True)
    task = pe.local_task("again", id=8)
    with task:
        number = pe.load(done) + 1
        pe.store(done, 0, number)
        with pe.if_(number < count):
            pe.activate(task)
    with pe.function("main"):
        pe.activate(task)
        pe.done()
    lay.place(pe, width=None, height=None)
    return lay.build()


def vectors(side: int, length: int, rounds: int) -> ws.MachineProgram:
    """Every PE does ``rounds`` times c = c + a * 0.5 over vectors of ``length`` f32 elements."""
    lay = ws.Layout(side, side, arch="wse2", name="vectors")
    pe = lay.tile("worker")
    a = pe.array("a", "f32", length, align=16, export=True)
    c = pe.array("c", "f32", length, align=16, export=True)
    with pe.function("main"):
        half = pe.let("f32", 0.5)
        into, addend, factor = (
            pe.mem_dsd(c, extent=length),
            pe.mem_dsd(c, extent=length),
            pe.mem_dsd(a, extent=length),
        )
        with pe.for_range(rounds):
            pe.fmacs(into, addend, factor, half)
        pe.done()
    lay.place(pe, width=None, height=None)
    return lay.build()
