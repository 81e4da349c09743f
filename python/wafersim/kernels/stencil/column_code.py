"""The code of one PE of the column operator (`column_halo`): exchange and multiply-adds, in task chains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wafersim.kernels.stencil.column_halo import (
    IN_QUEUES,
    OPPOSITE,
    OUT_QUEUES,
    RECEIVE_ORDER,
    SEND_ORDER,
    SEND_UT,
    HaloColors,
    Kind,
)

SEND_ID, RECEIVE_ID, COMM_ID = 12, 13, 14
#: Order of the coefficients of a distance.
SIDES = ("WEST", "EAST", "SOUTH", "NORTH", "BOTTOM", "TOP")


class ColumnCode:
    """``y = A x`` for columns of a tile.

    Parameters
    ----------
    pe : TileProgram
        The tile.
    halo : HaloColors
        Colors of the layout.
    kind : Kind
        The PE's kind.
    radius, depth, block : int
        Distance of the farthest neighbor, cells of a column, cells of a block.
    done : callable
        Emits what follows when ``y`` is complete.
    places : tuple of Array, optional
        Parameters with the PE's x and y (i16); needed for a radius above 1.

    Notes
    -----
    ``apply`` is the function to call, with the byte addresses of x and y.  The coefficients lie in
    ``coefficients``: six per distance in the order of `SIDES`, then the center's.
    """

    def __init__(
        self, pe: Any, halo: HaloColors, kind: Kind, radius: int, depth: int, block: int,
        done: Callable[[], None], places: tuple[Any, Any] | None = None,
    ) -> None:  # fmt: skip
        self.pe, self.kind, self.radius, self.depth, self.block = pe, kind, radius, depth, block
        self.done, self.places = done, places
        self.size = (halo.layout.width, halo.layout.height)
        self._arrays()
        self._fabric(halo)
        self._columns()
        self.send = pe.local_task("send", id=SEND_ID)
        self.receive = pe.local_task("receive", id=RECEIVE_ID)
        self.comm = pe.local_task("comm", id=COMM_ID)
        self.apply = pe.function("apply", args=[("x", "u16"), ("y", "u16")], export=False)
        self.both_done = pe.function("both_done", export=False)
        self.set_lengths = pe.function("set_lengths", args=[("length", "i16")], export=False)

    # --- data ------------------------------------------------------------------------------------------

    def _arrays(self) -> None:
        pe, sets = self.pe, 1 if self.radius == 1 else 2
        self.coefficients = pe.array("coefficients", "f32", 6 * self.radius + 1, export=True)
        self.used = pe.array("used", "f32", 7, init=0.0, export=False) if self.radius == 1 else None
        self.halos = {
            d: pe.array(f"from_{d.lower()}", "f32", (sets, self.block), init=0.0, export=False)
            for d in RECEIVE_ORDER
        }
        names = ("count", "send_state", "receive_state", "start", "length", "rest", "round")
        self.var = {n: pe.array(f"halo_{n}", "i16", init=self.block * (n == "length")) for n in names}

    def _fabric(self, halo: HaloColors) -> None:
        pe, generation = self.pe, self.pe.layout.generation
        self.out, self.into = {}, {}
        for direction in self.kind.links:
            to, back = halo.of(self.kind, direction)
            out = pe.output_queue(OUT_QUEUES[generation][direction], to)
            self.out[direction] = pe.fabout_dsd(out, extent=self.block, type="f32")
            into = self.pe.input_queue(IN_QUEUES[direction], back)
            self.into[direction] = pe.fabin_dsd(into, extent=self.block, type="f32")
        self.send_settings = {"async_": True, **({"ut": SEND_UT} if generation == 3 else {})}

    def _columns(self) -> None:
        """Descriptors whose bases and lengths `apply` sets."""
        pe, block, r = self.pe, self.block, self.radius
        any_array = self.halos["WEST"]
        self.center = pe.mem_dsd(any_array, extent=block)
        self.y_block = pe.mem_dsd(any_array, extent=block)
        self.held = {d: pe.mem_dsd(a, extent=block) for d, a in self.halos.items()}
        self.passed = (
            {d: pe.mem_dsd(self.halos[OPPOSITE[d]], extent=block) for d in self.kind.links} if r > 1 else {}
        )
        wide = {f"{v}_{side}_{k}": None for v in "xy" for side in ("low", "high") for k in range(1, r + 1)}
        self.z: dict[str, Any] = {name: pe.mem_dsd(any_array, extent=1) for name in (*wide, "x", "y")}

    # --- code -----------------------------------------------------------------------------------------------

    def emit(self) -> None:
        """The function and its tasks."""
        with self.apply as (x, y):
            self._emit_apply(x, y)
        with self.set_lengths as (length,):
            self._set_lengths(length)
        with self.comm:
            self._emit_comm()
        with self.both_done, self.pe.if_(self.pe.load(self.var["count"], 0) >= 2):
            self._emit_both_done()
        with self.send:
            self._emit_chain("send_state", SEND_ORDER, self._emit_send, self.send)
        with self.receive:
            self._emit_chain("receive_state", RECEIVE_ORDER, self._emit_receive, self.receive)

    def _emit_apply(self, x: Any, y: Any) -> None:
        pe, depth = self.pe, self.depth
        if self.used is not None:
            for k in range(7):
                pe.store(self.used, k, pe.load(self.coefficients, k))
        pe.store(self.var["length"], 0, self.block)
        pe.set_dsd_base_addr(self.center, x)
        pe.set_dsd_base_addr(self.y_block, y)
        pe.call(self.set_lengths, self.block)
        for k in range(1, self.radius + 1):
            for name, base, high in ((f"y_high_{k}", y, True), (f"y_low_{k}", y, False),
                                     (f"x_low_{k}", x, False), (f"x_high_{k}", x, True)):  # fmt: skip
                pe.set_dsd_base_addr(self.z[name], base)
                if high:
                    pe.increment_dsd_offset(self.z[name], k)
                pe.set_dsd_length(self.z[name], depth - k)
        for name, base in (("y", y), ("x", x)):
            pe.set_dsd_base_addr(self.z[name], base)
            pe.set_dsd_length(self.z[name], depth)
        pe.store(self.var["start"], 0, 0)
        pe.fmovs(self.z["y"], 0.0)
        pe.activate(self.comm)

    def _set_lengths(self, length: Any) -> None:
        """Length of a block in all descriptors of the exchange."""
        for dsd in (
            *self.into.values(),
            *self.out.values(),
            self.center,
            *self.held.values(),
            *self.passed.values(),
            self.y_block,
        ):
            self.pe.set_dsd_length(dsd, length)

    def _emit_comm(self) -> None:
        """Start the next block, or end with the neighbors along z."""
        pe, var = self.pe, self.var
        rest = pe.let("i16", self.depth - pe.load(var["start"], 0))
        pe.store(var["rest"], 0, rest)
        with pe.if_(rest > 0):
            with pe.if_(rest < pe.load(var["length"], 0)):
                pe.store(var["length"], 0, rest)
                pe.call(self.set_lengths, rest)
            pe.store(var["count"], 0, 0)
            if self.radius > 1:
                pe.store(var["round"], 0, 1)
                self._aim(None)
            pe.activate(self.send)
            pe.activate(self.receive)
        with pe.else_():
            self._along_z()
            self.done()

    def _emit_chain(
        self, state: str, order: tuple[str, ...], step: Callable[[str], None], task: Any, k: int = 0
    ) -> None:
        """One direction after the other; the task is activated again when its op is over."""
        pe, var = self.pe, self.var[state]
        with pe.if_(pe.load(var, 0) == k):
            direction = order[k]
            if direction in self.kind.links:
                limit = self._limit(direction, sends=state == "send_state")
                if limit is None:
                    step(direction)
                else:
                    with pe.if_(pe.load(self.var["round"], 0) <= limit):
                        step(direction)
                    with pe.else_():
                        pe.activate(task)
            else:
                pe.activate(task)
            pe.store(var, 0, k + 1)
        with pe.else_():
            if k + 1 < len(order):
                self._emit_chain(state, order, step, task, k + 1)
            else:
                count = pe.load(self.var["count"], 0) + 1
                pe.store(self.var["count"], 0, count)
                pe.call(self.both_done)
                pe.store(var, 0, 0)

    def _limit(self, direction: str, sends: bool) -> Any:
        """Last round in which a PE sends in (gets from) a direction: how far it is from an edge."""
        if self.radius == 1 or self.places is None:
            return None
        pe, along_x = self.pe, direction in ("EAST", "WEST")
        place, size = pe.load(self.places[0 if along_x else 1], 0), self.size[0 if along_x else 1]
        rising = direction in ("EAST", "SOUTH")
        if sends:
            return place + 1 if rising else size - place
        return (size - 1) - place if rising else place

    def _emit_send(self, direction: str) -> None:
        source = self.center if self.radius == 1 else self.passed[direction]
        self.pe.mov32(self.out[direction], source, activate=self.send, **self.send_settings)

    def _emit_receive(self, direction: str) -> None:
        self.pe.mov32(self.held[direction], self.into[direction], async_=True, activate=self.receive)

    def _emit_both_done(self) -> None:
        """Add what came; then the next round, or the next block."""
        pe, var = self.pe, self.var
        self._add_halos()
        if self.radius > 1:
            number = pe.load(var["round"], 0)
            with pe.if_(number < self.radius):
                pe.store(var["round"], 0, number + 1)
                pe.store(var["count"], 0, 0)
                self._aim(number)
                pe.activate(self.send)
                pe.activate(self.receive)
            with pe.else_():
                self._next_block()
            return
        self._next_block()

    def _next_block(self) -> None:
        pe, start = self.pe, self.var["start"]
        pe.store(start, 0, pe.load(start, 0) + self.block)
        pe.increment_dsd_offset(self.center, self.block)
        pe.increment_dsd_offset(self.y_block, self.block)
        pe.activate(self.comm)

    def _aim(self, number: Any) -> None:
        """Before round ``number`` + 1: what is passed on and where the next words go (None: round 1)."""
        pe = self.pe
        if number is None:
            base = pe.get_dsd(self.center, "base")
            for direction, dsd in self.passed.items():
                pe.set_dsd_base_addr(dsd, base)
                pe.set_dsd_base_addr(self.held[direction], self.halos[direction], 0)
            return
        offset = ((number & 1) ^ 1).to("u16") * (4 * self.block)  # of the set that this round has filled
        other = pe.let("u16", 4 * self.block) - offset
        for direction, dsd in self.passed.items():
            pe.set_dsd_base_addr(dsd, pe.address_of(self.halos[OPPOSITE[direction]]) + offset)
            pe.set_dsd_base_addr(self.held[direction], pe.address_of(self.halos[direction]) + other)

    def _add_halos(self) -> None:
        pe = self.pe
        if self.used is not None:
            for k, direction in enumerate(RECEIVE_ORDER):
                pe.fmacs(self.y_block, self.y_block, self.held[direction], pe.load(self.used, k))
            return
        number = pe.load(self.var["round"], 0)
        first = (number - 1) * 6
        for k, direction in enumerate(RECEIVE_ORDER):
            if direction in self.kind.links:
                with pe.if_(number <= self._limit(direction, sends=False)):
                    factor = pe.load(self.coefficients, first + k)
                    pe.fmacs(self.y_block, self.y_block, self.held[direction], factor)

    def _along_z(self) -> None:
        pe, factors = self.pe, self.used if self.used is not None else self.coefficients
        for k in range(1, self.radius + 1):
            low, high = pe.load(factors, 6 * k - 2), pe.load(factors, 6 * k - 1)
            y_high, y_low = self.z[f"y_high_{k}"], self.z[f"y_low_{k}"]
            pe.fmacs(y_high, y_high, self.z[f"x_low_{k}"], low)
            pe.fmacs(y_low, y_low, self.z[f"x_high_{k}"], high)
        pe.fmacs(self.z["y"], self.z["y"], self.z["x"], pe.load(factors, 6 * self.radius))


def fused(addend: Any, values: Any, factor: Any) -> Any:
    """A multiply-add rounded once, in float32 (the product is exact in float64)."""
    return (addend.astype(np.float64) + values.astype(np.float64) * np.float64(factor)).astype(np.float32)


def expected(x: Any, coefficients: Any, radius: int) -> Any:
    """NumPy's ``A x`` for columns ``[height, width, depth]``, in the program's order; outside is zero."""
    height, width, depth = x.shape
    y = np.zeros_like(x, dtype=np.float32)
    padded = np.zeros((height + 2 * radius, width + 2 * radius, depth), np.float32)
    padded[radius : radius + height, radius : radius + width] = x
    for k in range(1, radius + 1):
        for side, (dy, dx) in enumerate(((0, -k), (0, k), (k, 0), (-k, 0))):
            view = padded[radius + dy : radius + dy + height, radius + dx : radius + dx + width]
            y = fused(y, view, coefficients[6 * (k - 1) + side])
    for k in range(1, radius + 1):
        y[..., k:] = fused(y[..., k:], x[..., : depth - k], coefficients[6 * k - 2])
        y[..., : depth - k] = fused(y[..., : depth - k], x[..., k:], coefficients[6 * k - 1])
    return fused(y, x, coefficients[6 * radius])
