"""A run looked at before every cycle: in which cycle does what happen?

A count that is lower before cycle n and higher before cycle n + 1 has risen *in* cycle n: so every cycle named by a probe says
both that the thing was not ready in n - 1 and that it was in n.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import wafersim as ws
from small_programs import same, snapshot
from wafersim.arch import Arch
from wafersim.program.schema import Counter, Event, Port

#: a profile with round numbers and no paces, so that one constant at a time can be looked at
PLAIN = Arch.load("wse2-sdk").replace(
    name="plain", hop_cycles=1, ramp_out_cycles=2, ramp_in_cycles=2, link_buffer=2, ramp_buffer=4, ramp_pace_num=1,
    ramp_pace_den=1, fabric_write_cycles=1, completion_cycles=1, task_start_cycles=1, task_end_cycles=1,
    ut_start_cycles=1, vector_raw_cycles=3, vector_drain_cycles=3, dsr_load_use_cycles=4, read_bytes_per_cycle=8,
    conflict_cycles=1, conflict_period_bytes=16, conflict_class_bytes=0, latency_alu=1, latency_fp=2, latency_load=1,
    map_call_cycles=6, scalar_dest_cycles=1,
    **{f"cost_{name}": 1 for name in (
        "alu", "mul", "div", "fp", "fdiv", "math", "load", "store", "jump", "branch_taken", "branch_not_taken", "call", "ret",
        "loop", "loop_back", "loop_exit", "dsd_set", "load_dsr", "task_control", "config", "timestamp", "random", "done")},
)  # fmt: skip


def arch_with(**values: Any) -> Arch:
    """The plain arch with some constants set."""
    return PLAIN.replace(**values)


class Trace:
    """The counts before every cycle of a run that launches ``main`` everywhere at cycle 0."""

    def __init__(self, layout: ws.Layout, limit: int = 400) -> None:
        program = layout.build()
        machine = self._launched(program, layout.arch)
        states = [self._counts(machine)]
        for cycle in range(1, limit):
            paused = machine.run(-1, 0.0, 0, cycle, None) == 4
            states.append(self._counts(machine))
            if not paused:
                break
        self.cycles = int(machine.cycle)
        counters, events, links = zip(*states, strict=True)
        self._counters, self._events, self._links = np.array(counters), np.array(events), np.array(links)
        self._colors = program.tables["colors"].tolist()
        self.sim = self._sim
        # looking changes nothing
        whole = self._launched(program, layout.arch)
        whole.run(limit, 0.0, 0, -1, None)
        assert same(snapshot(self._sim), snapshot(self.sim)) == []

    def _launched(self, program: Any, arch: Arch) -> Any:
        self._sim = ws.Simulator(program, arch)
        self._sim.launch("main")
        return self._sim._machine

    @staticmethod
    def _counts(machine: Any) -> tuple[Any, Any, Any]:
        return machine.counters(), machine.events(), machine.link_wavelets()

    @staticmethod
    def _rises(series: Any) -> list[int]:
        steps = np.diff(series)
        return [int(c) for c in np.repeat(np.arange(len(steps)), np.maximum(steps, 0))]

    def events(self, event: Event, x: int = 0, y: int = 0) -> list[int]:
        """The cycles in which a count of PE (x, y) rose; one that rose by two stands twice."""
        return self._rises(self._events[:, y, x, event])

    def issues(self, x: int = 0, y: int = 0) -> list[int]:
        """Cycles in which an instruction issued."""
        return self.events(Event.INSTRUCTIONS, x, y)

    def picks(self, x: int = 0, y: int = 0) -> list[int]:
        """Cycles in which a task (or the launch) was picked."""
        return self.events(Event.TASK_STARTS, x, y)

    def moves(self, x: int = 0, y: int = 0) -> list[int]:
        """Cycles in which a wavelet went from an output queue to the router."""
        return self.events(Event.WAVELETS_SENT, x, y)

    def beats(self, x: int = 0, y: int = 0) -> list[int]:
        """Cycles in which a beat of a vector op issued."""
        found = sorted({c for c in self.events(Event.VECTOR_ELEMENTS, x, y)})
        return found

    def grants(self, color: ws.Layout, port: Port, x: int = 0, y: int = 0) -> list[int]:
        """Cycles in which PE (x, y)'s router let a wavelet of the color out through the port."""
        return self._rises(self._links[:, self._colors.index(color.id), y, x, port])

    def classes(self, x: int = 0, y: int = 0) -> list[str]:
        """The class of every cycle of PE (x, y)."""
        steps = np.diff(self._counters[:, y, x, :], axis=0)
        names = [Counter(int(row.argmax())).name for row in steps if row.any()]
        assert all(row.sum() in (0, 1) for row in steps)
        return names


class Row:
    """A row of PEs with one tile each and a color that flows east from the first to the last."""

    def __init__(self, width: int, arch: Arch, color: int = 4) -> None:
        self.lay = ws.Layout(width, 1, arch=arch, name="probe")
        self.tiles = [self.lay.tile(f"pe{x}") for x in range(width)]
        for x, pe in enumerate(self.tiles):
            self.lay.place(pe, x=x)
        self.color = self.lay.color("red", color)
        if width > 1:
            self.lay.route(self.color, x=0, rx="RAMP", tx="EAST")
            self.lay.route(self.color, x=width - 1, rx="WEST", tx="RAMP")
        if width > 2:
            self.lay.route(self.color, x=1, width=width - 2, rx="WEST", tx="EAST")

    def sender(self, words: int, queue: int = 3, **settings: Any) -> None:
        """``main`` of PE 0 sends ``words`` words; its first beat can issue in cycle ``task_start_cycles``."""
        pe = self.tiles[0]
        out, x = pe.dsr("dest", 0), pe.dsr("src0", 0)
        pe.preload_dsr(out, pe.fabout_dsd(pe.output_queue(queue, self.color), extent=words, type="u32"))
        pe.preload_dsr(x, pe.mem_dsd(pe.array("x", "u32", words, init=np.arange(words))))
        with pe.function("main"):
            pe.mov32(out, x, **settings)
            pe.done()

    def data_task(self, queue: int = 2, body: Any = None) -> None:
        """The last PE takes every word with a data task that does nothing, or ``body``."""
        pe = self.tiles[-1]
        with pe.data_task("take", pe.input_queue(queue, self.color)):
            if body is not None:
                body(pe)


def one_pe(arch: Arch) -> tuple[ws.Layout, ws.TileProgram]:
    """A layout of one PE and its tile."""
    row = Row(1, arch)
    return row.lay, row.tiles[0]
