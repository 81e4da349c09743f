"""All-to-all along one axis of a rectangle, one direction: every PE in turn multicasts, filters pick.

The protocol is that of the vendor's public row transposition (fft-1d-2d, 2-D program): the PEs of a line send
one after another; each one multicasts its bricks to all PEs ahead of it and a counting filter in front of
every ramp lets one brick pass.  There every PE sends bricks for the whole line, because a filter that is
written at run time needs the teardown state, which the language had not; as its comments say, only the
bricks for the PEs ahead are needed.  Here only those are sent: behind its words the sender closes its turn
with a teardown command, and the teardown task of every PE ahead sets its filter for the next turn.

Two such directions, each on a color of its own, make the exchange; they run at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.program.control import control_payload

if TYPE_CHECKING:
    from wafersim.program import Layout


@dataclass(frozen=True)
class Direction:
    """One direction of travel along an axis.

    Attributes
    ----------
    name : str
        Prefix of colors, tasks and arrays.
    ahead, behind : str
        Where words go to and where they come from.
    rising : bool
        True if the place of a PE grows in this direction, so that PE 0 has the first turn.
    out_queue, in_queue : int
        Queue numbers (also the microthreads on generation 2, so all that run together differ).
    """

    name: str
    ahead: str
    behind: str
    rising: bool
    out_queue: int
    in_queue: int


#: East and west, south and north, with the queues of a PE that does one axis at a time.
ROW = (Direction("east", "EAST", "WEST", True, 2, 4), Direction("west", "WEST", "EAST", False, 3, 5))
COLUMN = (Direction("south", "SOUTH", "NORTH", True, 4, 6), Direction("north", "NORTH", "SOUTH", False, 5, 7))


def kind_of(place: int, pes: int, rising: bool) -> str:
    """``first`` sends in turn 0, ``last`` never sends, ``middle`` does both."""
    turn = place if rising else pes - 1 - place
    return "first" if turn == 0 else "last" if turn == pes - 1 else "middle"


def add_routes(layout: Layout, direction: Direction, color: Any, pes: int, brick: int, along_x: bool) -> None:
    """Routes of turn 0, whose sender is the first PE of the direction, on all lines of the rectangle."""
    across = layout.height if along_x else layout.width
    parts = [(0, 1), (1, pes - 2), (pes - 1, 1)] if pes > 2 else [(0, 1), (1, 1)]
    for start, count in parts:
        kind = kind_of(start, pes, direction.rising)
        place: dict[str, Any] = {"x": start, "y": 0, "width": count, "height": across}
        if not along_x:
            place = {"x": 0, "y": start, "width": across, "height": count}
        layout.route(color, **route_options(direction, kind == "first", kind == "last", pes, brick), **place)


def route_options(direction: Direction, sends: bool, last: bool, pes: int, brick: int) -> dict[str, Any]:
    """Ports and filter of a PE that sends, or of one ahead of the sender."""
    if sends:
        return {"rx": "RAMP", "tx": direction.ahead}
    span = (pes - 1) * brick
    ports = ("RAMP",) if last else ("RAMP", direction.ahead)
    return {
        "rx": direction.behind,
        "tx": ports,
        "filter": {"kind": "counter", "limit1": span - 1, "max": brick - 1, "init": 0},
    }


class TurnExchange:
    """The code of one direction in one tile.

    Parameters
    ----------
    pe : TileProgram
        The tile.
    direction, color, pes, brick
        The direction, its color, the PEs of a line, and the 32-bit words from one PE to another.
    kind : str
        ``first``, ``middle`` or ``last`` (`kind_of`).
    place : Array
        Parameter of the tile with the PE's place on the axis (i16).
    source, target : Array
        ``pes`` bricks each, in the order of the PEs they go to, and come from; ``[pes * brick]`` f32.
    done : callable
        Emits what follows a part of this direction; after `parts` of them it is through on this PE.
    """

    def __init__(
        self, pe: Any, direction: Direction, color: Any, pes: int, brick: int, kind: str, place: Any,
        source: Any, target: Any, done: Callable[[], None],
    ) -> None:  # fmt: skip
        self.pe, self.direction, self.color, self.pes, self.brick = pe, direction, color, pes, brick
        self.kind, self.place, self.done = kind, place, done
        name, span = direction.name, (pes - 1) * brick
        self.turn = pe.array(f"{name}_turn", "i16", init=0)
        if kind != "last":
            queue = pe.output_queue(direction.out_queue, color)
            self.send = pe.fabout_dsd(queue, extent=span)
            self.close = pe.fabout_dsd(queue, extent=1, control=True)
            self.outgoing = pe.mem_dsd(source, extent=span, offset=brick if direction.rising else 0)
            self.sent = pe.local_task(f"{name}_sent")
        if kind != "first":
            queue = pe.input_queue(direction.in_queue, color)
            self.receive = pe.fabin_dsd(queue, extent=span)
            self.incoming = self._incoming(target)
            self.received = pe.local_task(f"{name}_received")

    def _incoming(self, target: Any) -> Any:
        """Bricks come in the order of the turns: from PE 0 on, or from the last PE on."""
        pe, pes, brick = self.pe, self.pes, self.brick
        if self.direction.rising:
            return pe.mem_dsd(target, extent=(pes - 1) * brick)
        return pe.mem_dsd(target, extents=(pes - 1, brick), strides=(-brick, 1), offset=(pes - 1) * brick)

    def _turn_of_place(self) -> Any:
        """The turn in which this PE sends."""
        place = self.pe.load(self.place, 0)
        return place if self.direction.rising else (self.pes - 1) - place

    def emit(self) -> None:
        """Functions and tasks (outside of any other body)."""
        pe = self.pe
        if self.kind != "last":
            with self.sent:
                pe.mov32(self.close, control_payload(0, [("teardown", True)]))
        if self.kind != "first":
            with self.received:
                self.done()

    @property
    def parts(self) -> int:
        """How often ``done`` is called: for the words that came, and for the end of the last turn seen."""
        return 1 if self.kind == "first" else 2

    def _emit_aim(self) -> None:
        """What the own turn will send: the bricks for the PEs ahead."""
        pe, brick = self.pe, self.brick
        pe.set_dsd_length(self.outgoing, ((self.pes - 1) - self._turn_of_place()) * brick)
        if self.direction.rising:
            pe.increment_dsd_offset(self.outgoing, pe.load(self.place, 0) * brick)

    def _emit_send(self) -> None:
        self.pe.fmovs(self.send, self.outgoing, async_=True, activate=self.sent)

    def emit_prepare(self) -> None:
        """At the program's start, before anything can arrive: the filter of turn 0."""
        if self.kind != "first":
            self._set_filter(self.pe.let("i16", 0))

    def emit_start(self) -> None:
        """The PE is ready to send and receive."""
        pe = self.pe
        if self.kind != "last":
            self._emit_aim()
        if self.kind == "first":
            self._emit_send()
            return
        pe.set_dsd_length(self.receive, self._turn_of_place() * self.brick)
        pe.fmovs(self.incoming, self.receive, async_=True, activate=self.received)
        if self.kind == "middle":
            with pe.if_(pe.load(self.turn, 0) == self._turn_of_place()):
                self._emit_send()

    def emit_teardown(self, ready: Any) -> None:
        """Inside the teardown task: the turn is over; ``ready`` is an array that is 1 after `emit_start`."""
        pe = self.pe
        with pe.if_(pe.teardown_get(self.color)):
            if self.kind == "first":
                pe.teardown_exit(self.color)
                self.done()
                return
            turn = pe.load(self.turn, 0) + 1
            pe.store(self.turn, 0, turn)
            mine = self._turn_of_place()
            with pe.if_(turn < mine):
                self._set_filter(turn)
                pe.teardown_exit(self.color)
            with pe.else_():
                if self.kind == "middle":
                    self._emit_own_turn(turn, mine, ready)
                else:
                    pe.teardown_exit(self.color)
                    self.done()

    def _emit_own_turn(self, turn: Any, mine: Any, ready: Any) -> None:
        """The next turn is this PE's, or it was and is over."""
        pe = self.pe
        with pe.if_(turn == mine):
            options = route_options(self.direction, True, False, self.pes, self.brick)
            pe.route_set(self.color, pe.layout.route_class(**options))
            pe.teardown_exit(self.color)
            with pe.if_(pe.load(ready, 0)):
                self._emit_send()
        with pe.else_():
            pe.teardown_exit(self.color)
            self.done()

    def _set_filter(self, turn: Any) -> None:
        """Let the brick for this PE pass: number ``mine - turn - 1``, or always number ``place``."""
        pe, brick, span = self.pe, self.brick, (self.pes - 1) * self.brick
        before = pe.load(self.place, 0)
        if self.direction.rising:
            before = before - turn - 1
        counter = pe.let("i16", 0)
        with pe.if_(before > 0):
            counter.set(span - before * brick)
        pe.filter_set(self.color, "counter", counter)
