"""Reductions along one axis of a rectangle towards its first PE: star, chain, binary tree and two phases.

All are trees on a line (`trees`).  A PE adds what its children send to its own words; the words of its last
child it adds word by word on their way to its parent, in one vector op with a fabric source and a fabric
destination.  Routes take the ramp first, and with the last word of the PE (or with the command that its child
sends behind it) the switch lets the words of PEs farther out pass.

With ``rearm`` a command behind the last words puts all switches back, so that the next call may follow at
once: its words wait in their own ramp until the command has passed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wafersim.kernels.exchange import lines
from wafersim.kernels.exchange.lines import LineCode, Registers, Step
from wafersim.kernels.exchange.trees import ALGORITHMS, Member, members, parents
from wafersim.program.control import control_payload

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram

__all__ = ["ALGORITHMS", "Axis", "AxisCode", "axis_code", "num_colors"]

#: Words of one vector op: below the 15-bit length that means endless.
MAX_OP_WORDS = 32_000
#: Partial sums that a star keeps in flight, so that an add never waits for the one before it.
MIN_LANES = 4
#: Registers of an axis lie this far apart, so that several axes can take neighbouring numbers.
REGISTER_STEP = 4


def num_colors(algorithm: str) -> int:
    """Colors of a reduction: one for a star, two for the other trees."""
    return 1 if algorithm == "star" else 2


@dataclass(frozen=True)
class Axis:
    """One axis of a reduction.

    Attributes
    ----------
    name : str
        Prefix of colors and tiles.
    pes : int
        PEs along the axis; PE 0 is the root.
    words : int
        Elements per PE.
    algorithm : str
        ``chain``, ``star``, ``tree`` or ``two_phase``.
    toward, away : str
        Directions to and from the root.
    colors : tuple
        `num_colors` colors.
    in_queue, out_queue : int
        Queue numbers.
    dtype, op : str
        ``f32`` or ``f16``; ``add`` or ``max``.
    rearm : bool
        Put the switches back behind every call.
    group : int
        PEs of a group of ``two_phase``; 0: the square root of ``pes``.
    """

    name: str
    pes: int
    words: int
    algorithm: str
    toward: str
    away: str
    colors: tuple[Any, ...]
    in_queue: int
    out_queue: int
    dtype: str = "f32"
    op: str = "add"
    rearm: bool = False
    group: int = 0

    def member(self, index: int) -> Member:
        """What PE ``index`` does in the tree."""
        return members(parents(self.algorithm, self.pes, self.group))[index]

    def kind(self, index: int) -> str:
        """Which program PE ``index`` runs; PEs of one kind can share a tile."""
        return self.member(index).kind()

    def add_routes(self, layout: Layout, along_x: bool, across: int, x: int = 0, y: int = 0) -> None:
        """Routes of the axis for ``across`` parallel rows (or the first column, if 1), from (x, y) on."""
        line = lines.PeLine("x" if along_x else "y", self.pes, across, x, y)
        for index in range(self.pes):
            self._route_pe(layout, index, line.place(index))

    def _route_pe(self, layout: Layout, index: int, place: dict[str, Any]) -> None:
        member = self.member(index)
        opened: dict[str, Any] = {"switches": [{"tx": self.toward}]} if member.passes_in else {}
        if member.children:
            layout.route(self.color_in(index), rx=self.away, tx="RAMP", **opened, **place)
        elif member.passes_in:
            layout.route(self.color_in(index), rx=self.away, tx=self.toward, **place)
        if index > 0:
            opened = {"switches": [{"rx": self.away}]} if member.passes_out else {}
            layout.route(self.color_out(index), rx="RAMP", tx=self.toward, **opened, **place)

    def color_in(self, index: int) -> Any:
        """Color on which PE ``index`` receives."""
        return self.colors[self.member(index).parity % len(self.colors)]

    def color_out(self, index: int) -> Any:
        """Color on which it sends."""
        return self.colors[(self.member(index).parity + 1) % len(self.colors)]


def axis_code(pe: TileProgram, axis: Axis, index: int, array: Any, dsr: int | Registers = 1) -> AxisCode:
    """The code of PE ``index`` of an axis over an array of its tile; uses DSRs ``dsr``, + 4 and + 8."""
    registers = dsr if isinstance(dsr, Registers) else Registers(pe, dsr, step=REGISTER_STEP)
    return AxisCode(pe, axis, index, array, registers)


class AxisCode(LineCode):
    """A PE collects its children's words, adds the last child's on their way on, and opens the switches."""

    def __init__(
        self, pe: TileProgram, axis: Axis, index: int, array: Any, registers: Registers, offset: int = 0,
        words: int | None = None,
    ) -> None:  # fmt: skip
        axis = axis if words is None else replace(axis, words=words)
        self.pe, self.axis, self.index, self.array, self.registers = pe, axis, index, array, registers
        self.offset = offset
        self.member = axis.member(index)
        self.into: Any = None
        self.groups = 1
        kept = self.member.children - (0 if self.member.is_root else 1)
        if self.member.children:
            self.into = lines.queue(pe, "input", axis.in_queue, axis.color_in(index))
        self.target = array
        self._dsds: dict[Any, Any] = {}
        self.collects = [self._collect(*op) for op in self._plan(kept)] if kept > 0 else []
        self.sends = [] if self.member.is_root else self._send()
        self.folds = self._folds()
        self.trailing = len(self.folds)

    # --- collecting ------------------------------------------------------------------------------------

    def _plan(self, messages: int) -> list[tuple[int, int]]:
        """(rounds, elements per round) of the ops that collect messages, as few as lengths allow.

        With very few words per message a root adds into lanes of partial sums, which are folded into the
        array at the end.  A message of an odd number of 16-bit elements ends with half a wavelet, and gets an
        op of its own.
        """
        words = self.axis.words
        if self.axis.dtype == "f16" and words % 2:
            return [(1, words)] * messages
        lanes = words
        if self.member.is_root and self.axis.algorithm == "star" and words < MIN_LANES:
            self.groups = -(-MIN_LANES // words)
            lanes = self.groups * words
            kind, start = self.axis.dtype, [self._identity()] * lanes
            same = sum(known.name.startswith(f"{self.axis.name}_lanes") for known in self.pe.arrays)
            name = f"{self.axis.name}_lanes{same or ''}"
            self.target = self.pe.array(name, kind, lanes, init=start)
        per_op = max(1, MAX_OP_WORDS // lanes)
        rounds, rest = divmod(messages * words, lanes)
        ops = [(per_op, lanes)] * (rounds // per_op)
        ops += [(rounds % per_op, lanes)] if rounds % per_op else []
        return [*ops, (1, rest)] if rest else ops

    def _identity(self) -> float:
        return 0.0 if self.axis.op == "add" else -math.inf

    def _memory(self, array: Any, rounds: int, lanes: int) -> Any:
        """A descriptor that goes ``rounds`` times over ``lanes`` elements; each is made once."""
        offset = self.offset if array is self.array else 0
        if (array.name, rounds, lanes) not in self._dsds:
            shape: dict[str, Any] = {"extents": (rounds, lanes), "strides": (0, 1)}
            if rounds == 1:
                shape = {"extent": lanes}
            self._dsds[array.name, rounds, lanes] = self.pe.mem_dsd(array, offset=offset, **shape)
        return self._dsds[array.name, rounds, lanes]

    def _fabric(self, words: int) -> Any:
        if words not in self._dsds:
            self._dsds[words] = self.pe.fabin_dsd(self.into, extent=words)
        return self._dsds[words]

    def _collect(self, rounds: int, lanes: int) -> Step:
        """An op that adds; its operands are in registers from the start as far as these go."""
        memory = self._memory(self.target, rounds, lanes)
        operands = [("dest", memory), ("src0", memory), ("src1", self._fabric(rounds * lanes))]
        most = 3 if self.member.is_root else 2
        held = [self.registers.hold(*operand, most=most) for operand in operands]
        return self._op(self.axis.op, *held)

    def _op(self, what: str, *operands: Any) -> Step:
        return lines.op_step(self.pe, what, self.axis.dtype, *operands)

    # --- sending -----------------------------------------------------------------------------------------

    def _send(self) -> list[Step]:
        pe, axis, member = self.pe, self.axis, self.member
        out = lines.queue(pe, "output", axis.out_queue, axis.color_out(self.index))
        advance = member.passes_out and not member.opens_parent
        target = self.registers.hold("dest", pe.fabout_dsd(out, extent=axis.words, advance_switch=advance))
        own = self.registers.hold("src0", self._memory(self.array, 1, axis.words))
        if member.children:
            last = self.registers.hold("src1", self._fabric(axis.words))
            steps = [self._op(axis.op, target, own, last)]
        else:
            steps = [self._op("mov", target, own)]
        commands = ["advance"] if member.opens_parent else []
        commands += ["reset"] if member.resets and axis.rearm else []
        if commands:
            close = self.registers.hold("dest", pe.fabout_dsd(out, extent=1, control=True))
            steps += [self._command(close, command) for command in commands]
        return steps

    def _command(self, close: Any, command: str) -> Step:
        """A command for the routers on the way; the PE that it reaches does not get it."""
        payload = control_payload(0, [(command, True)])
        return lambda **settings: self.pe.mov32(close, payload, **settings)

    # --- what callers use ----------------------------------------------------------------------------------

    def steps(self) -> list[Step]:
        """All vector ops; the last `trailing` ones fold lanes."""
        return [*self.collects, *self.sends, *self.folds]

    def _folds(self) -> list[Step]:
        """The lanes of partial sums go into the array, and are emptied for the next call."""
        if self.groups == 1:
            return []
        words, pe, axis = self.axis.words, self.pe, self.axis
        own = self._memory(self.array, 1, words)
        lanes = [pe.mem_dsd(self.target, extent=words, offset=g * words) for g in range(self.groups)]
        folds = []
        for lane in lanes:
            operands = (("dest", own), ("src0", own), ("src1", lane))
            held = [self.registers.hold(file, dsd, most=4) for file, dsd in operands]
            folds.append(self._op(axis.op, *held))
        if axis.rearm:
            clear = pe.mem_dsd(self.target, extent=self.groups * words)
            folds.append(self._op("mov", clear, self._identity()))
        return folds
