"""Sum or maximum over a rectangle, known to all its PEs, as the vendor's public solvers do it.

One color, one queue each way, three phases.  Row: the PEs send one after another to the last PE of the row;
a control wavelet behind the words of each turns the next router from passing on to sending; the last PE
takes the words of one PE per task.  Column: the same in the last column.  Broadcast: the last PE sends to
all.  Behind each phase a teardown command stops the color at every router; its task sets the routes of the
next phase in the configuration words, as the public program does, and lets it go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wafersim.kernels.solver.states import StateMachine
from wafersim.program.control import control_payload

SUM_PHASES = ("row", "column", "spread", "over")
NORM_PHASES = ("row", "column", "spread", "square", "row", "column", "spread", "root", "over")
CONTROL_ID, DATA_ID, STATE_ID, LOCK_ID = 8, 9, 10, 11
_BIT = {"WEST": 0, "EAST": 1, "SOUTH": 2, "NORTH": 3, "RAMP": 4}
_ROUTES, _TEARDOWN, _CURRENT, _POSITIONS, _NO_POSITIONS, _RAMP_IN = 0x3FF, 0x4000, 0x6000, 0xFFF, 0x555, 0xC
#: Every command bars its wavelet from the compute elements.
_TEARDOWN_COMMAND = control_payload(0, [("teardown", True), *[("nop", True)] * 7])
_ADVANCE_TWO = control_payload(0, [("advance", True), ("advance", True), *[("nop", True)] * 6])


def near_power(pe: Any, value: Any) -> tuple[Any, Any]:
    """The power of two of a float32 number's exponent, and its inverse; 1 for zero, infinities and NaN."""
    bits = value.bitcast("u32")
    exponent = pe.let("u32", (bits & 0x7F800000) >> 23)
    with pe.if_(exponent == 0):
        with pe.if_((bits & 0x007FFFFF) == 0):
            exponent.set(127)
        with pe.else_():
            exponent.set(1)
    with pe.if_(exponent == 255):
        exponent.set(127)
    inverse = pe.let("u32", 254) - exponent
    return (exponent << 23).bitcast("f32"), (inverse << 23).bitcast("f32")


def add_turn_color(layout: Any) -> Any:
    """The color with its first route: in teardown until the first call."""
    color = layout.color("turns")
    layout.route(
        color, x=0, y=0, width=None, height=None, rx="WEST", tx="EAST", switches=[{"rx": "RAMP"}], ring=True,
        pop="on_advance", teardown=True,
    )  # fmt: skip
    return color


class TurnAllReduce:
    """The code of one PE.

    Parameters
    ----------
    pe : TileProgram
        The tile.
    color : Color
        From `add_turn_color`.
    place, size : tuple of int
        A place (x, y) of the PE's kind, and the rectangle; both sides 2 or more.
    queues : tuple of int
        Input and output queue.
    done : callable
        Emits what follows.
    """

    def __init__(
        self, pe: Any, color: Any, place: tuple[int, int], size: tuple[int, int],
        queues: tuple[int, int], done: Callable[[], None],
    ) -> None:  # fmt: skip
        self.pe, self.color, self.size, self.done = pe, color, size, done
        self.first = (place[0] == 0, place[1] == 0)
        self.last = (place[0] == size[0] - 1, place[1] == size[1] - 1)
        into, out = pe.input_queue(queues[0], color), pe.output_queue(queues[1], color)
        self.words = pe.mem_dsd(pe.array("turn_dummy", "f32", init=0.0, export=False), extent=1)
        commands = pe.array("turn_commands", "u32", 2, init=[_ADVANCE_TWO, _TEARDOWN_COMMAND], export=False)
        self.advance, self.tear = (pe.mem_dsd(commands, extent=1, offset=k) for k in (0, 1))
        self.commands = commands
        self.send = pe.fabout_dsd(out, extent=1, type="f32")
        self.control = pe.fabout_dsd(out, extent=1, control=True)
        self.receive = pe.fabin_dsd(into, extent=1, type="f32")
        self.count = pe.array("turn_count", "i16", init=0)
        self.others = pe.array("turn_others", "i16", init=0)
        self.is_first = pe.array("turn_first", "i16", init=0)
        self.is_last = pe.array("turn_last", "i16", init=0)
        self.maximum = pe.array("turn_max", "i16", init=0)
        self.send_control = pe.local_task("turn_control", id=CONTROL_ID)
        self.data = pe.local_task("turn_data", id=DATA_ID)
        self.lock = pe.local_task("turn_lock", id=LOCK_ID)
        self.teardown = pe.teardown_task()
        self.value: Any = None  # of norms
        self.values = pe.array("turn_value", "u16", init=0, export=False)
        self.length = pe.array("turn_length", "u16", init=1, export=False)
        self.sequence = pe.array("turn_sequence", "i16", len(NORM_PHASES), init=0, export=False)
        self.own, self.alpha, self.inverse = (
            pe.array(f"turn_{name}", "f32", init=0.0, export=False) for name in ("own", "alpha", "inverse")
        )
        self.position = pe.array("turn_position", "i16", init=0, export=False)
        self.clock = pe.array("turn_clock", "u64", init=0, align=8)
        self.begin = pe.function("turn_begin", args=[("n", "u16")], export=False)
        self.states = StateMachine(pe, "turn", STATE_ID)
        for name, body in (
            ("row", lambda: self._reduce(0)), ("column", lambda: self._reduce(1)), ("spread", self._spread),
            ("square", self._square), ("root", self._root), ("over", self._over),
        ):  # fmt: skip
            self.states.state(name, body)

    def call(self, value: Any, maximum: bool = False) -> None:
        """Start for an array of one float32 number; its sum (maximum) is there when ``done`` is called."""
        self._start(value, maximum, SUM_PHASES)

    def call_norm(self, value: Any) -> None:
        """The same for the root of the sum of squares; the largest size is found first, against overflow."""
        pe = self.pe
        size = abs(pe.load(value, 0))
        pe.store(value, 0, size)
        pe.store(self.own, 0, size)
        self.value = value
        self._start(value, True, NORM_PHASES)

    def _start(self, value: Any, maximum: bool, phases: tuple[str, ...]) -> None:
        pe = self.pe
        pe.store(self.values, 0, pe.address_of(value))
        pe.store(self.maximum, 0, int(maximum))
        pe.store(self.length, 0, 1)
        for k, name in enumerate(phases):
            pe.store(self.sequence, k, self.states.number(name))
        pe.store(self.position, 0, 0)
        self.states.start(phases[0])

    def _square(self) -> None:
        """Divide the own size by a power of two near the largest one, square it; sums come next."""
        pe = self.pe
        if self.value is not None:
            alpha, inverse = near_power(pe, pe.load(self.value, 0))
            pe.store(self.alpha, 0, alpha)
            pe.store(self.inverse, 0, inverse)
            scaled = pe.load(self.own, 0) * inverse
            pe.store(self.value, 0, scaled * scaled)
        pe.store(self.maximum, 0, 0)
        self._step()

    def _root(self) -> None:
        pe = self.pe
        if self.value is not None:
            pe.store(self.value, 0, pe.load(self.value, 0).math("sqrt") * pe.load(self.alpha, 0))
        self._step()

    def _step(self) -> None:
        """Go to the next phase at once."""
        self._follow()
        self.states.go_on()

    def emit(self) -> None:
        """All tasks, the tile's teardown task among them."""
        pe = self.pe
        with self.begin as (count,):
            pe.block(self.lock)
            pe.store(self.count, 0, 0)
            pe.set_dsd_base_addr(self.advance, self.commands)
            self._aim(count)
            pe.activate(self.data)
        self.states.emit()
        with self.data:
            self._emit_data()
        with self.send_control:
            spread = self.states.number("spread")
            with pe.if_(pe.load(self.states.current, 0) == spread):
                pe.mov32(self.control, self.tear, async_=True, unblock=self.lock)
            with pe.else_():
                pe.mov32(self.control, self.advance, async_=True, activate=self.data)
        with self.lock:
            self.states.go_on()
        with self.teardown:
            pe.activate(self.lock)

    def _aim(self, count: Any) -> None:
        """Base and length of the descriptors of a phase."""
        pe = self.pe
        pe.set_dsd_base_addr(self.words, pe.load(self.values, 0))
        for dsd in (self.words, self.receive, self.send):
            pe.set_dsd_length(dsd, count)

    def _follow(self) -> None:
        """The next phase of the sequence comes next."""
        pe = self.pe
        position = pe.load(self.position, 0) + 1
        pe.store(self.position, 0, position)
        pe.store(self.states.following, 0, pe.load(self.sequence, position))

    def _over(self) -> None:
        """Keep the time, as a reference between PEs, and call back."""
        self.pe.store(self.clock, 0, self.pe.timestamp())
        self.done()

    def _reduce(self, axis: int) -> None:
        """Set the routes of a phase and start it."""
        pe = self.pe
        toward, away = (("EAST", "WEST"), ("SOUTH", "NORTH"))[axis]
        if self.first[axis]:
            self._configure(("RAMP",), (toward,), switch=True)
        elif self.last[axis]:
            self._configure((away,), ("RAMP",), switch=False)
        else:
            self._configure((away,), (toward,), switch=True)
        pe.store(self.others, 0, self.size[axis] - 1)
        pe.store(self.is_first, 0, int(self.first[axis]))
        pe.store(self.is_last, 0, int(self.last[axis]))
        pe.call(self.begin, pe.load(self.length, 0))
        self._follow()

    def _spread(self) -> None:
        pe = self.pe
        if not self.last[0]:
            tx: tuple[str, ...] = ("RAMP",) if self.first[0] else ("WEST", "RAMP")
            self._configure(("EAST",), tx, switch=False)
        elif self.last[1]:
            self._configure(("RAMP",), ("WEST", "NORTH"), switch=False)
        else:
            tx = ("WEST", "RAMP") if self.first[1] else ("WEST", "RAMP", "NORTH")
            self._configure(("SOUTH",), tx, switch=False)
        pe.block(self.lock)
        self._aim(pe.load(self.length, 0))
        if self.last == (True, True):
            pe.mov32(self.send, self.words, async_=True, activate=self.send_control)
        else:
            pe.mov32(self.words, self.receive, async_=True, unblock=self.lock)
        self._follow()

    def _configure(self, rx: tuple[str, ...], tx: tuple[str, ...], switch: bool) -> None:
        """Read, change and write the words of the color, one field after the other; leave teardown last."""
        pe = self.pe
        color, position = pe.color_config_address(self.color), pe.switch_config_address(self.color)
        routes = sum(1 << _BIT[d] + 5 for d in rx) | sum(1 << _BIT[d] for d in tx)
        self._change(color, 0xFFFF ^ _ROUTES, routes)
        self._change(position, 0xFFFF ^ _CURRENT, 0)
        self._change(position, 0xFFFF ^ _POSITIONS, _NO_POSITIONS)
        if switch:
            self._change(position, 0xFFFF ^ 0xF, _RAMP_IN)
        word = pe.load_at("u16", color)
        pe.store_at("u16", color, word ^ _TEARDOWN)

    def _change(self, address: int, keep: int, bits: int) -> None:
        pe = self.pe
        word = pe.load_at("u16", address) & keep
        pe.store_at("u16", address, word | bits if bits else word)

    def _emit_data(self) -> None:
        """The last PE takes the words of the next PE; another one sends its own once."""
        pe = self.pe
        with pe.if_(pe.load(self.is_last, 0)):
            count = pe.load(self.count, 0)
            with pe.if_(count < pe.load(self.others, 0)):
                with pe.if_(pe.load(self.maximum, 0) == 0):
                    pe.fadds(self.words, self.words, self.receive, async_=True, activate=self.data)
                with pe.else_():
                    pe.fmaxs(self.words, self.words, self.receive, async_=True, activate=self.data)
                pe.store(self.count, 0, count + 1)
            with pe.else_():
                pe.unblock(self.lock)
        with pe.else_():
            count = pe.load(self.count, 0)
            with pe.if_(count < 1):
                pe.mov32(self.send, self.words, async_=True, activate=self.send_control)
                pe.store(self.count, 0, count + 1)
            with pe.else_():
                pe.unblock(self.lock)
                with pe.if_(pe.load(self.is_first, 0)):
                    pe.mov32(self.control, self.tear, async_=True)
