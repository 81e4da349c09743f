"""All-to-all along lines of PEs: blocks are relayed from PE to PE, first away from PE 0, then towards it.

Every PE forwards the blocks of the PEs behind it and adds its own, destination by destination, the farthest
first; those for itself come last and stay.  Routes are fixed, two colors in turn for each direction.  Routers
hold few words, so the PEs take one destination after the other: each one costs the time of a gather.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels.exchange import lines
from wafersim.kernels.exchange.lines import LineCode, PeLine, Registers, Step

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram

NUM_COLORS, NUM_IN_QUEUES, NUM_OUT_QUEUES = 4, 2, 2


@dataclass(frozen=True)
class Relays:
    """An all-to-all.

    Attributes
    ----------
    layout : Layout
        The layout.
    name : str
        Prefix of the parameter.
    line : PeLine
        Where.
    colors : tuple
        Two away from PE 0, two towards it.
    words : int
        32-bit words of a block.
    in_queues, out_queues : tuple of int
        Away from PE 0 and towards it.
    """

    layout: Layout
    name: str
    line: PeLine
    colors: tuple[Any, ...]
    words: int
    in_queues: tuple[int, ...]
    out_queues: tuple[int, ...]
    algorithm: ClassVar[str] = "relay"

    def kind(self, index: int) -> str:
        """PEs of one kind can share a tile."""
        last = self.line.pes - 1
        return "first" if index == 0 else f"last{index % 2}" if index == last else f"middle{index % 2}"

    def params(self, first: int = 0, count: int | None = None) -> dict[str, Any]:
        """The PEs' numbers, for `Layout.place`."""
        number = self.line.pes - first if count is None else count
        values = np.broadcast_to(np.arange(first, first + number), (self.line.across, number))
        return {f"{self.name}_number": values if self.line.along == "x" else values.T}

    def add_routes(self) -> None:
        """The routes of all lines."""
        line, last = self.line, self.line.pes - 1
        for index in range(line.pes):
            place, here, before = line.place(index), index % 2, (index - 1) % 2
            if index < last:
                self.layout.route(self.colors[here], rx="RAMP", tx=line.away, **place)
                self.layout.route(self.colors[2 + before], rx=line.away, tx="RAMP", **place)
            if index > 0:
                self.layout.route(self.colors[before], rx=line.toward, tx="RAMP", **place)
                self.layout.route(self.colors[2 + here], rx="RAMP", tx=line.toward, **place)

    def code(self, pe: TileProgram, index: int, source: Any, target: Any, registers: Registers) -> RelayCode:
        """What PE ``index`` does: block j of ``source`` goes to PE j, block j of ``target`` is from PE j."""
        return RelayCode(self, pe, index, source, target, registers)


class RelayCode(LineCode):
    """Two loops over the destinations, one after the other or at a time."""

    def __init__(
        self, relays: Relays, pe: TileProgram, index: int, source: Any, target: Any, registers: Registers
    ) -> None:
        self.relays, self.pe, self.registers = relays, pe, registers
        self.source, self.target, self.pes, self.words = source, target, relays.line.pes, relays.words
        name = f"{relays.name}_number"
        known = next((array for array in pe.arrays if array.name == name), None)
        self.param = known or pe.param(name, "u16", default=0)
        self.away = self._way(index, 0, index > 0, index < self.pes - 1)
        self.toward = self._way(index, 1, index < self.pes - 1, index > 0)
        self.own = registers.hold("src0", pe.mem_dsd(source, extent=self.words))
        self.mine = registers.hold("dest", pe.mem_dsd(target, extent=self.words))

    def _way(self, index: int, way: int, receives: bool, sends: bool) -> dict[str, Any]:
        """Operands of one direction."""
        relays, pe, hold = self.relays, self.pe, self.registers.hold
        here, before = index % 2, (index - 1) % 2
        colors = relays.colors[2 * way : 2 * way + 2]
        found: dict[str, Any] = {}
        if receives:
            color = colors[before]
            into = lines.queue(pe, "input", relays.in_queues[way], color)
            found["fabric"] = hold("src1", pe.fabin_dsd(into, extent=self.words))
            found["kept"] = hold("dest", self._kept(way))
        if sends:
            color = colors[here]
            out = lines.queue(pe, "output", relays.out_queues[way], color)
            found["out"] = hold("dest", pe.fabout_dsd(out, extent=self.words))
            block = (self.pes - 1) * self.words if way == 0 else 0
            found["start"] = pe.mem_dsd(self.source, extent=self.words, offset=block)
            found["block"] = hold("src0", found["start"])
        return found

    def _kept(self, way: int) -> Any:
        """Blocks come in the order of their senders, the farthest first; the fabric gives the length."""
        if way == 0:
            return self.pe.mem_dsd(self.target)
        last, words = self.pes - 1, self.words
        shape: dict[str, Any] = {"extents": (last, words), "strides": (-words, 1)}
        return self.pe.mem_dsd(self.target, offset=last * words, **shape)

    def setup(self) -> None:
        """Lengths that depend on the PE's number; once before the first call."""
        pe = self.pe
        number = pe.load(self.param)
        size = number * (4 * self.words)
        pe.set_dsd_base_addr(self.own, pe.address_of(self.source) + size)
        pe.set_dsd_base_addr(self.mine, pe.address_of(self.target) + size)
        behind = number * self.words
        if "fabric" in self.away:
            pe.set_dsd_length(self.away["fabric"], behind)
        if "fabric" in self.toward:
            pe.set_dsd_length(self.toward["fabric"], pe.let("u16", (self.pes - 1) * self.words) - behind)

    def steps(self) -> list[Step]:
        """An all-to-all has loops."""
        raise ConfigError(f"{self.relays.name}: an all-to-all has no list of ops; allowed: emit(), launch()")

    def emit(self) -> None:
        """Its own block, then both directions one after the other."""
        number = self._begin()
        self._run(self.away, self._rest(number), -self.words)
        self._run(self.toward, number, self.words)

    def _begin(self) -> Any:
        """Registers, and the block of the PE for itself; gives the PE's number."""
        pe = self.pe
        self.load()
        for way in (self.away, self.toward):
            if "out" in way:
                pe.load_to_dsr(way["block"], way["start"])
        number = pe.load(self.param)
        pe.fmovs(self.mine, self.own)
        return number

    def _rest(self, number: Any) -> Any:
        return self.pe.let("u16", self.pes - 1) - number

    def _run(self, way: dict[str, Any], groups: Any, step: int) -> None:
        pe = self.pe
        if "out" in way:
            with pe.for_range(groups):
                if "fabric" in way:
                    pe.fmovs(way["out"], way["fabric"])
                pe.fmovs(way["out"], way["block"])
                pe.increment_dsd_offset(way["block"], step)
        if "fabric" in way:
            pe.fmovs(way["kept"], way["fabric"])

    # --- both directions at a time -----------------------------------------------------------------------

    def start(self, done: Any, name: str) -> None:
        """Declare the tasks of both directions; `launch` starts them, the end activates ``done``."""
        pe = self.pe
        through = pe.array(f"{name}_through", "u16", init=0, export=False)
        self.left: list[Any] = []
        self.first: list[Any] = []
        for way, key, step in ((self.away, "away", -self.words), (self.toward, "toward", self.words)):
            self.left.append(pe.array(f"{name}_{key}_left", "u16", init=0, export=False))
            tasks = [pe.local_task(f"{name}_{key}_{what}") for what in ("forward", "own", "end")]
            self.first.append(tasks[0])
            self._tasks_of(way, tasks, self.left[-1], step)
            with tasks[2]:
                parts = pe.load(through) + 1
                pe.store(through, 0, parts)
                with pe.if_(parts == 2):
                    pe.store(through, 0, 0)
                    pe.activate(done)

    def _tasks_of(self, way: dict[str, Any], tasks: list[Any], left: Any, step: int) -> None:
        """Forward what comes for a destination, then add the own block; at last keep what is for this PE."""
        pe = self.pe
        forward, own, end = tasks
        with forward:
            groups = pe.load(left)
            with pe.if_(groups == 0):
                if "fabric" in way:
                    pe.fmovs(way["kept"], way["fabric"], async_=True, activate=end)
                else:
                    pe.activate(end)
                pe.return_()
            pe.store(left, 0, groups - 1)
            if "fabric" in way and "out" in way:
                pe.fmovs(way["out"], way["fabric"], async_=True, activate=own)
            else:
                pe.activate(own)
        with own:
            if "out" in way:
                pe.fmovs(way["out"], way["block"], async_=True, activate=forward)
                pe.increment_dsd_offset(way["block"], step)

    def launch(self) -> None:
        """Start both directions on microthreads."""
        pe = self.pe
        number = self._begin()
        if "out" in self.away:
            pe.store(self.left[0], 0, self._rest(number))
        if "out" in self.toward:
            pe.store(self.left[1], 0, number)
        for task in self.first:
            pe.activate(task)
