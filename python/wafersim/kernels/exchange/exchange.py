"""Reductions and allreduces that a program can call as often as it likes, along lines.

Routes are set once.  `line_reduce` and `line_allreduce` make an exchange (`grid_exchange`: over rectangles);
its ``code`` gives what one PE does in its tile.  No barrier is needed between calls: words of a later call
wait where they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wafersim.errors import ConfigError
from wafersim.kernels import formulas
from wafersim.kernels.exchange import ktree, lines, ring
from wafersim.kernels.exchange.axis import Axis, AxisCode, num_colors
from wafersim.kernels.exchange.lines import LineCode, PeLine, Registers
from wafersim.kernels.exchange.spread import Spread
from wafersim.kernels.exchange.trees import ALGORITHMS

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram

ALLREDUCE_ALGORITHMS = (*ALGORITHMS, "ring", "ktree")


class Exchange(ABC):
    """An exchange along the lines of a layout.

    Attributes
    ----------
    algorithm : str
        The one that is used (``auto`` has been decided).
    line : PeLine
        Where.
    words : int
        Most elements of one call.
    """

    layout: Layout
    line: PeLine
    algorithm: str
    words: int

    @abstractmethod
    def add_routes(self) -> None:
        """Set the routes of all lines; once."""

    @abstractmethod
    def kind(self, index: int) -> str:
        """PEs of a line with equal kinds can share a tile program."""

    def params(self, first: int = 0, count: int | None = None) -> dict[str, Any]:
        """Parameters for `Layout.place` of a tile on PEs ``first`` .. of all lines; most exchanges have none.

        Without ``count``: of all PEs, also those whose tile has no parameter.
        """
        return {}

    def code(
        self, pe: TileProgram, index: int, array: Any, words: int | None = None, offset: int = 0,
        dsr: int = 1, preload: bool = True,
    ) -> LineCode:  # fmt: skip
        """What PE ``index`` does.

        Parameters
        ----------
        pe : TileProgram
            A tile; several codes in one are fine.
        index : int
            PE of the line, or another one of its kind.
        array : Array
            Its elements ``offset`` .. ``offset + words`` are reduced in place.
        words, offset : int
            Elements; default all of the exchange.
        dsr : int
            First descriptor register in each file (trees and ktree use up to 5, a ring 8).
        preload : bool
            Hold the descriptors in these registers for good; without, they are loaded at each call, and
            several codes may share the numbers.
        """
        count = self.words if words is None else words
        if not 1 <= count <= self.words:
            raise ConfigError(f"exchange of {count} elements; allowed: 1..{self.words}")
        return self.part(pe, index, array, count, offset, Registers(pe, dsr, preload))

    @abstractmethod
    def part(
        self, pe: TileProgram, index: int, array: Any, words: int, offset: int, registers: Registers
    ) -> LineCode:
        """The same with given registers, as a part of a larger exchange."""


class TreeReduce(Exchange):
    """A reduction by a tree into PE 0 of each line."""

    def __init__(self, layout: Layout, line: PeLine, axis: Axis) -> None:
        self.layout, self.line, self.axis = layout, line, axis
        self.algorithm, self.words = axis.algorithm, axis.words

    def add_routes(self) -> None:
        """See `Exchange`."""
        line = self.line
        self.axis.add_routes(self.layout, line.along == "x", line.across, line.x, line.y)

    def kind(self, index: int) -> str:
        """See `Exchange`."""
        return self.axis.kind(index)

    def part(
        self, pe: TileProgram, index: int, array: Any, words: int, offset: int, registers: Registers
    ) -> LineCode:
        """See `Exchange`."""
        return AxisCode(pe, self.axis, index, array, registers, offset, words)


class TreeAllReduce(TreeReduce):
    """The same, and PE 0 sends the result along the line."""

    def __init__(self, layout: Layout, line: PeLine, axis: Axis, spread: Spread) -> None:
        super().__init__(layout, line, axis)
        self.spread = spread

    def add_routes(self) -> None:
        """See `Exchange`."""
        super().add_routes()
        self.spread.add_routes(self.layout)

    def part(
        self, pe: TileProgram, index: int, array: Any, words: int, offset: int, registers: Registers
    ) -> LineCode:
        """See `Exchange`."""
        reduce = super().part(pe, index, array, words, offset, registers)
        return lines.Series([reduce, self.spread.code(pe, index, array, words, registers, offset)])


class KTreeAllReduce(Exchange):
    """The K-tree of `ktree`."""

    algorithm = "ktree"

    def __init__(self, layout: Layout, tree: ktree.KTree, words: int) -> None:
        self.layout, self.tree, self.line, self.words = layout, tree, tree.line, words

    def add_routes(self) -> None:
        """See `Exchange`."""
        self.tree.add_routes(self.layout)

    def kind(self, index: int) -> str:
        """See `Exchange`."""
        return self.tree.kind(index)

    def part(
        self, pe: TileProgram, index: int, array: Any, words: int, offset: int, registers: Registers
    ) -> LineCode:
        """See `Exchange`."""
        return self.tree.code(pe, index, array, words, registers, offset)


class RingAllReduce(Exchange):
    """The ring of `ring`; PEs in the middle have a parameter, and `setup` comes before the first call."""

    algorithm = "ring"

    def __init__(self, layout: Layout, around: ring.Ring, words: int) -> None:
        self.layout, self.ring, self.line, self.words = layout, around, around.line, words

    def add_routes(self) -> None:
        """See `Exchange`."""
        self.ring.add_routes(self.layout)

    def kind(self, index: int) -> str:
        """See `Exchange`."""
        return self.ring.kind(index)

    def params(self, first: int = 0, count: int | None = None) -> dict[str, Any]:
        """See `Exchange`: the PEs' numbers on the ring."""
        if count is not None and self.ring.role(first) != "middle":
            return {}
        return self.ring.params(first, self.line.pes - first if count is None else count)

    def part(
        self, pe: TileProgram, index: int, array: Any, words: int, offset: int, registers: Registers
    ) -> LineCode:
        """See `Exchange`."""
        return self.ring.code(pe, index, array, words, registers, offset)


def choose(algorithm: str, words: int, pes: int, ramp: int, dtype: str, allreduce: bool) -> str:
    """The algorithm, ``auto`` decided by the published formulas for so many 32-bit words and PEs."""
    if algorithm != "auto":
        return algorithm
    wavelets = words if dtype == "f32" else -(-words // 2)
    return formulas.best(formulas.costs(wavelets, pes, ramp, allreduce))


def line_reduce(
    layout: Layout, name: str, along: str, pes: int, across: int = 1, algorithm: str = "chain",
    words: int = 1, dtype: str = "f32", op: str = "add", in_queues: Sequence[int] = (2, 4),
    out_queues: Sequence[int] = (2,), colors: Sequence[Any] | None = None, x: int = 0, y: int = 0,
    rearm: bool = True,
) -> TreeReduce:  # fmt: skip
    """A reduction of all PEs' words into PE 0 of each line (the arguments of `line_allreduce`)."""
    line, axis = _tree_axis(
        layout, name, along, pes, across, algorithm, words, dtype, op, in_queues, out_queues, colors, x, y,
        rearm, allreduce=False,
    )  # fmt: skip
    return TreeReduce(layout, line, axis)


def line_allreduce(
    layout: Layout, name: str, along: str, pes: int, across: int = 1, algorithm: str = "chain",
    words: int = 1, dtype: str = "f32", op: str = "add", in_queues: Sequence[int] = (2, 3, 4, 5),
    out_queues: Sequence[int] = (2, 3, 5), colors: Sequence[Any] | None = None, groups: int = 1, x: int = 0,
    y: int = 0, rearm: bool = True,
) -> Exchange:  # fmt: skip
    """A reduction of all PEs' words, known to all PEs of each line.

    Parameters
    ----------
    layout : Layout
        The layout.
    name : str
        Prefix of colors, arrays and parameters.
    along : str
        ``x``: rows, ``y``: columns.
    pes, across, x, y : int
        PEs of a line, lines side by side, and PE 0 of the first one.
    algorithm : str
        chain, star, tree, two_phase, ring, ktree, or auto (by formula, without ktree).
    words : int
        Most elements of one call; for a ring a multiple of ``pes`` (f16: of twice ``pes``).
    dtype, op : str
        ``f32`` or ``f16``; ``add`` or ``max``.
    in_queues, out_queues : sequence of int
        Queues to use: trees 2 and 1, ring 3 and 3, ktree 4 and 1.
    colors : sequence, optional
        Colors to use (star 2, other trees 3, ring 5, ktree 5); default new ones.
    groups : int
        Groups of a ktree; divides ``pes``.
    rearm : bool
        False: one call only; routers of a star, tree or two_phase are not put back behind it.

    Raises
    ------
    ConfigError
        A value that is not allowed, too few colors or queues.
    """
    algorithm = choose(algorithm, words, pes, int(layout.arch.ramp_out_cycles), dtype, allreduce=True)
    line = _line(name, along, pes, across, x, y, dtype, op)
    if algorithm in ("ktree", "ring"):
        of: Any = ktree if algorithm == "ktree" else ring
        wires: dict[str, Any] = {
            "line": line,
            "colors": lines.take_colors(layout, [f"{name}{i}" for i in range(of.NUM_COLORS)], colors),
            "in_queues": lines.take_queues(name, in_queues, of.NUM_IN_QUEUES),
            "out_queues": lines.take_queues(name, out_queues, of.NUM_OUT_QUEUES),
            "dtype": dtype,
            "op": op,
        }
        if algorithm == "ring":
            return RingAllReduce(layout, ring.Ring(name=name, **wires), words)
        ktree.check_groups(name, pes, groups)
        return KTreeAllReduce(layout, ktree.KTree(groups=groups, **wires), words)
    line, axis = _tree_axis(
        layout, name, along, pes, across, algorithm, words, dtype, op, in_queues, out_queues, colors, x, y,
        rearm, allreduce=True,
    )  # fmt: skip
    back = layout.color(f"{name}_back") if colors is None else colors[num_colors(algorithm)]
    queues = lines.take_queues(name, in_queues, 2)
    return TreeAllReduce(layout, line, axis, Spread(line, 0, back, queues[1], out_queues[0], dtype))


def _line(name: str, along: str, pes: int, across: int, x: int, y: int, dtype: str, op: str) -> PeLine:
    for what, value, allowed in (
        ("along", along, ("x", "y")),
        ("dtype", dtype, lines.DTYPES),
        ("op", op, lines.OPERATIONS),
    ):
        if value not in allowed:
            raise ConfigError(f"{name}: {what} {value!r} is unknown; allowed: {', '.join(allowed)}")
    if pes < 2:
        raise ConfigError(f"{name}: a line of {pes} PE(s); allowed: 2 or more")
    return PeLine(along, pes, across, x, y)


def _tree_axis(
    layout: Layout, name: str, along: str, pes: int, across: int, algorithm: str, words: int, dtype: str,
    op: str, in_queues: Sequence[int], out_queues: Sequence[int], colors: Sequence[Any] | None, x: int,
    y: int, rearm: bool, *, allreduce: bool,
) -> tuple[PeLine, Axis]:  # fmt: skip
    line = _line(name, along, pes, across, x, y, dtype, op)
    algorithm = choose(algorithm, words, pes, int(layout.arch.ramp_out_cycles), dtype, allreduce)
    if algorithm not in ALGORITHMS:
        known = ALLREDUCE_ALGORITHMS if allreduce else ALGORITHMS
        raise ConfigError(f"{name}: algorithm {algorithm!r} is unknown; allowed: {', '.join(known)}, auto")
    taken = lines.take_colors(layout, [f"{name}{i}" for i in range(num_colors(algorithm))], colors)
    into, out = lines.take_queues(name, in_queues, 1), lines.take_queues(name, out_queues, 1)
    axis = Axis(name, pes, words, algorithm, line.toward, line.away, taken, into[0], out[0], dtype, op, rearm)
    return line, axis
