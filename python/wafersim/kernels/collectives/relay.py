"""Messages along a row: a store-and-forward chain of relays, and a one-way message over several hops.

The two programs follow the probes described in the FABRICA repository's performance-model document.

*Chain* (``hops=0``): PE 0 sends ``words`` words to PE 1, which stores them all and sends them on, and so
forth to the last PE.  A receive is an asynchronous op; its completion activates the task that sends.

*Message* (``hops=h``): PE 0 sends to PE h straight through the routers between.  ``probe`` says where the
clock is read: ``software`` before the sender's descriptor set-up and in a function called by the receiver's
completion task, ``dispatch`` directly before the sending op and in the first instruction of the completion
task, ``arrival`` the same but behind a synchronous receive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels import formulas
from wafersim.kernels.base import Formula, Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

IN_QUEUE, OUT_QUEUE = 2, 3
PROBES = ("software", "dispatch", "arrival")


class Relay(Kernel):
    """Chain of N relays on N + 1 PEs, or one message over ``hops`` hops."""

    name: ClassVar[str] = "relay"
    description: ClassVar[str] = "store-and-forward chain along a row, or a one-way message over several hops"
    default_grid: ClassVar[tuple[int, int]] = (5, 1)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("words", int, 64, "32-bit words of the message", minimum=1, maximum=8192),
        Parameter(
            "hops", int, 0, "hops of a one-way message; 0: a chain of relays over the whole row", maximum=1000
        ),
        Parameter("probe", str, "software", "where a message's clock is read", allowed=PROBES),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        words, hops, probe = int(params["words"]), int(params["hops"]), str(params["probe"])
        if height != 1 or width < 2:
            raise self.refuse_grid(width, height, "Nx1 with N 2 or more")
        if hops >= width:
            raise self.refuse_grid(width, height, f"at least {hops + 1}x1 for hops={hops}")
        if hops:
            return self._finish(arch, words, hops, probe, _message(arch, width, words, hops, probe))
        return self._finish(arch, words, 0, probe, _chain(arch, width, words))

    def _finish(self, arch: Arch, words: int, hops: int, probe: str, layout: Layout) -> KernelRun:
        last = hops if hops else layout.width - 1
        given: dict[str, Any] = {}

        def setup(sim: Any, rng: np.random.Generator) -> None:
            given["data"] = rng.standard_normal(words, dtype=np.float32)
            sim.write("data", given["data"][None, None], rect=(0, 0, 1, 1))

        def check(sim: Any) -> tuple[float, bool]:
            error = float(np.max(np.abs(sim.read("data", rect=(last, 0, 1, 1))[0, 0] - given["data"])))
            return error, error == 0.0

        def metrics(sim: Any, record: Any) -> dict[str, Any]:
            start = int(read_stamps(sim, (0, 0, 1, 1))[0, 0, 0])
            end = int(read_stamps(sim, (last, 0, 1, 1))[0, 0, 1])
            return _figures(arch, words, hops, probe, last, start, end)

        formula = None
        if not hops and arch.name == "wse3-sdk":
            text = "1.001 N B + 16.1 N + 16.5"
            formula = Formula(text, formulas.FABRICA, formulas.relay_chain(words, last))
        launch = Launch("main", {"n": words} if hops else {})
        return KernelRun(layout.build(), setup, [launch], check, metrics, formula)


def _figures(
    arch: Arch, words: int, hops: int, probe: str, last: int, start: int, end: int
) -> dict[str, Any]:
    if not hops:
        return {"window_cycles": end - start, "words": words, "relays": last}
    if probe == "software":
        return {"window_cycles": end - start, "words": words, "hops": hops}
    dispatch = start + int(arch.cost_timestamp)
    if probe == "dispatch":
        return {"window_cycles": end - dispatch, "words": words, "hops": hops}
    window = end - int(arch.vector_drain_cycles) - dispatch
    at_router = window - int(arch.ramp_in_cycles)
    return {
        "window_cycles": window, "words": words, "hops": hops, "at_router_cycles": at_router,
        "first_on_link_cycles": at_router - hops * int(arch.hop_cycles) - (words - 1),
    }  # fmt: skip


def _chain(arch: Arch, width: int, words: int) -> Layout:
    from wafersim.program import Layout

    layout = Layout(width, 1, arch=arch, name="relay")
    colors = [layout.color("even"), layout.color("odd")]
    tiles: dict[str, Any] = {}
    for x in range(width):
        kind = (
            "source" if x == 0 else ("sink" if x == width - 1 else "relay") + ("_odd" if x % 2 else "_even")
        )
        if kind not in tiles:
            into = colors[(x + 1) % 2] if x > 0 else None
            out = colors[x % 2] if x < width - 1 else None
            tiles[kind] = _chain_tile(layout, kind, words, into, out)
        layout.place(tiles[kind], x=x, y=0, width=1, height=1)
        if x < width - 1:
            layout.route(colors[x % 2], x=x, y=0, width=1, height=1, rx="RAMP", tx="EAST")
            layout.route(colors[x % 2], x=x + 1, y=0, width=1, height=1, rx="WEST", tx="RAMP")
    return layout


def _chain_tile(layout: Layout, name: str, words: int, into: Any, out: Any) -> Any:
    pe = layout.tile(name)
    data = pe.array("data", "f32", words, align=16, export=True)
    stamps = stamp_array(pe)
    memory = pe.mem_dsd(data, extent=words)
    forward = pe.local_task("forward", id=8)
    read_clock = None if out is not None else _clock_function(pe, stamps)
    with forward:
        if out is not None:
            pe.fmovs(pe.fabout_dsd(pe.output_queue(OUT_QUEUE, out), extent=words), memory)
        elif read_clock is not None:
            pe.call(read_clock)
        pe.done()
    with pe.function("main"):
        if into is None:
            pe.store(stamps, 0, pe.timestamp())
            pe.activate(forward)
        else:
            pe.fmovs(
                memory,
                pe.fabin_dsd(pe.input_queue(IN_QUEUE, into), extent=words),
                async_=True,
                activate=forward,
            )
    return pe


def _clock_function(pe: Any, stamps: Any) -> Any:
    function = pe.function("read_clock", export=False)
    with function:
        pe.store(stamps, 1, pe.timestamp())
    return function


def _message(arch: Arch, width: int, words: int, hops: int, probe: str) -> Layout:
    from wafersim.program import Layout

    layout = Layout(width, 1, arch=arch, name="message")
    color = layout.color("message")
    layout.route(color, x=0, y=0, width=1, height=1, rx="RAMP", tx="EAST")
    if hops > 1:
        layout.route(color, x=1, y=0, width=hops - 1, height=1, rx="WEST", tx="EAST")
    layout.route(color, x=hops, y=0, width=1, height=1, rx="WEST", tx="RAMP")
    layout.place(_sender(layout, color, words, probe), x=0, y=0, width=1, height=1)
    layout.place(_receiver(layout, color, words, probe), x=hops, y=0, width=1, height=1)
    return layout


def _sender(layout: Layout, color: Any, words: int, probe: str) -> Any:
    pe = layout.tile("sender")
    data = pe.array("data", "f32", words, align=16, export=True)
    stamps = stamp_array(pe)
    memory = pe.mem_dsd(data, extent=words)
    fabric = pe.fabout_dsd(pe.output_queue(OUT_QUEUE, color), extent=words)
    if probe != "software":
        dst, src = pe.dsr("dest", 1), pe.dsr("src0", 1)
        pe.preload_dsr(dst, fabric)
        pe.preload_dsr(src, memory)
    with pe.function("main", args=[("n", "i16")]) as (n,):
        start = pe.timestamp()
        if probe == "software":
            pe.store(stamps, 0, start)
            pe.set_dsd_length(memory, n)
            pe.set_dsd_length(fabric, n)
            pe.fmovs(fabric, memory)
        else:
            pe.fmovs(dst, src)
            pe.store(stamps, 0, start)
        pe.done()
    return pe


def _receiver(layout: Layout, color: Any, words: int, probe: str) -> Any:
    pe = layout.tile("receiver")
    data = pe.array("data", "f32", words, align=16, export=True)
    stamps = stamp_array(pe)
    memory = pe.mem_dsd(data, extent=words)
    fabric = pe.fabin_dsd(pe.input_queue(IN_QUEUE, color), extent=words)
    if probe == "arrival":
        with pe.function("main", args=[("n", "i16")]):
            pe.fmovs(memory, fabric)
            pe.store(stamps, 1, pe.timestamp())
            pe.done()
        return pe
    arrived = pe.local_task("arrived", id=8)
    read_clock = _clock_function(pe, stamps)
    with arrived:
        if probe == "software":
            pe.call(read_clock)
        else:
            pe.store(stamps, 1, pe.timestamp())
        pe.done()
    with pe.function("main", args=[("n", "i16")]):
        pe.fmovs(memory, fabric, async_=True, activate=arrived)
    return pe
