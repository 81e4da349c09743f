"""The simulator as a user sees it: write arrays, launch functions by name, run, read arrays, get a record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError, DeadlockError, FaultError, InternalError, SimulationError
from wafersim.program.hostmem import check_host_memory
from wafersim.program.schema import ArrayCol, ArrayFlag
from wafersim.record import Record
from wafersim.record.source import Source
from wafersim.record.timeline import KINDS, from_core
from wafersim.simulate import places, stuck
from wafersim.simulate.baseline import Baseline
from wafersim.simulate.footprint import check_memory
from wafersim.simulate.limits import checked_int, run_limits
from wafersim.simulate.loaded import STATUS, LoadedProgram
from wafersim.simulate.memory import Rect
from wafersim.simulate.streams import Arrival, HostPorts
from wafersim.simulate.watching import (
    MOST_TIMELINE_ENTRIES,
    checked_kinds,
    checked_rect,
    checked_window,
)

if TYPE_CHECKING:
    from wafersim import _core
    from wafersim.arch import Arch
    from wafersim.program import MachineProgram

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]


class Simulator(LoadedProgram):
    """One program on one fabric.

    Parameters
    ----------
    program : MachineProgram
    arch : Arch or str
        An arch, the name of a preset, or the path of a TOML file.
    seed : int
        Seed of the machine's random numbers, 0 .. 2**63 - 1.

    Raises
    ------
    ProgramError
        The program breaks a rule of the arch.
    """

    def __init__(self, program: MachineProgram, arch: Arch | str = "wse2", seed: int = 0) -> None:
        super().__init__(program, arch, seed)
        check_host_memory(program.tables)
        check_memory(program)
        self._machine = _new_machine(program.tables, self.arch, self.seed)
        self._read_only = _read_only(program)
        self._ports = HostPorts(program, self._machine)
        self._start = Baseline()
        self._watched: tuple[Rect, tuple[int, int]] | None = None
        self._without_timeline = False

    # -- host side -----------------------------------------------------------------------------------------

    def write(self, name: str, value: Any, rect: Rect | None = None) -> None:
        """Write a symbol on every PE of a rectangle.

        Parameters
        ----------
        name : str
            Exported symbol of shape ``shape``.
        value : number or array
            ``[H, W, *shape]`` over the rectangle, or ``[*shape]`` or a number for all PEs alike. Numbers that
            the symbol's type cannot hold are refused, never wrapped.
        rect : tuple of int, optional
            ``(x, y, width, height)``; default the smallest rectangle with the symbol.
        """
        if name in self._read_only:
            raise ConfigError(
                f"symbol {name!r}: the program does not let the host write it (host_write=False)"
            )
        self._symbols.write(self._machine, name, value, rect)

    def read(self, name: str, rect: Rect | None = None) -> Array:
        """Values ``[H, W, *shape]`` of a symbol over a rectangle (see `write`); a fresh array."""
        return self._symbols.read(self._machine, name, rect)

    def view(self, name: str, x: int, y: int) -> Array:
        """A symbol of one PE as an array on the simulator's own memory, without a copy."""
        from wafersim.simulate import values

        place = self._symbols.place(name, x, y)
        raw = self._machine.sram(x, y)[place.address : place.address + place.num_bytes]
        return np.asarray(raw).view(values.sram_dtype(place.type)).reshape(place.shape)

    def read_bytes(self, rect: Rect, address: int, num_bytes: int) -> Array:
        """SRAM ``[H, W, num_bytes]`` of a rectangle of PEs from a byte address on; a fresh array."""
        raw: Array = self._machine.read(*rect, address, num_bytes)
        return raw

    def write_bytes(self, rect: Rect, address: int, raw: Array) -> None:
        """Write ``raw`` (uint8 ``[H, W, bytes]``) to the SRAM of a rectangle of PEs, from an address on."""
        self._machine.write(*rect, address, np.ascontiguousarray(raw))

    @property
    def open_launches(self) -> int:
        """PEs on which a launched function has not signalled completion."""
        return int(self._machine.open_launches)

    def feed(self, values: Any, *, control: Any = None, **place: Any) -> None:
        """Give wavelets to a router port; they enter it in this order, one a cycle, as the router has room.

        Parameters
        ----------
        values : uint32 array
            Payloads ``[n]`` (for every PE alike) or ``[H, W, n]``.
        control : bool array, optional
            Which of them are control wavelets; shape of ``values``, or ``[n]``.
        **place
            ``color`` (name or number), ``port`` (RAMP, or one that looks out of the fabric), and
            ``pe=(x, y)`` or ``rect=(x, y, width, height)``; or ``stream``, the name of a declared one.

        Notes
        -----
        They are there from the machine's present cycle on. What the program does not take stays with the
        host; a run that ends with some left says so in its warnings.
        """
        self._ports.feed(values, control, place)

    def collect(
        self, count: int | None = None, *, with_control: bool = False, **place: Any
    ) -> tuple[Array, ...]:
        """Take the wavelets that have arrived at the host from a sink (``sink`` of `Layout.route`), in order.

        Parameters
        ----------
        count : int, optional
            So many from each PE, default all; fewer is an error.
        with_control : bool
            Return a third array that says which are control wavelets.
        **place
            As for `feed`; the port is the output.

        Returns
        -------
        values : uint32 array
            ``[n]`` for ``pe=``, ``[H, W, n]`` for ``rect=``.
        cycles : int64 array
            Cycle in which each arrived; same shape.
        """
        return self._ports.collect(count, with_control, place)

    def arrived(self, **place: Any) -> Array:
        """How many wavelets wait to be collected: int64 ``[H, W]`` of a place (see `collect`)."""
        return self._ports.arrived(place)

    def arrival(self, count: int, **place: Any) -> Arrival:
        """What `run` can stop for: ``count`` uncollected wavelets from each PE of a place (see `collect`)."""
        return self._ports.arrival(count, place)

    # -- running -------------------------------------------------------------------------------------------

    def run(
        self,
        max_cycles: int | None = None,
        max_seconds: float | None = None,
        max_events: int | None = None,
        raise_on_stuck: bool = True,
        progress: Progress | None = None,
        pause_at: int | None = None,
        until: Arrival | Iterable[Arrival] | None = None,
    ) -> Record:
        """Run until nothing can happen any more, or until a limit.

        Parameters
        ----------
        max_cycles, max_events : int, optional
            Limits counted from the start of this run.
        max_seconds : float, optional
            Limit of host time in seconds.
        raise_on_stuck : bool
            Raise on a stuck run or a fault; otherwise the record's status says so.
        progress : callable, optional
            Called now and then with the cycle and the number of events so far.
        pause_at : int, optional
            Cycle of the machine before which the run pauses; call `run` again to go on.
        until : Arrival or list of Arrival, optional
            Pause as soon as all this has arrived at the host (see `arrival`): in the cycle of the last one.

        Returns
        -------
        Record
            Status ``finished``, ``limit``, ``interrupted`` (Ctrl-C) or ``paused``; ``stuck`` or ``fault``
            if ``raise_on_stuck`` is off.

        Raises
        ------
        DeadlockError, FaultError
            With the record up to that point in ``record``.
        """
        limits = run_limits(max_cycles, max_seconds, max_events, pause_at)
        if until is not None:
            self._ports.watch(until)
        if not self._paused:
            self._start, self._wall_s = Baseline(self._machine), 0.0
        began = time.perf_counter()
        try:
            code = self._machine.run(*limits, progress)
        except KeyboardInterrupt:
            code = 3
        except RuntimeError as error:
            if "another thread" in str(error):
                raise SimulationError(f"this simulator runs in another thread: {error}") from None
            raise
        self._wall_s += time.perf_counter() - began
        status = STATUS.get(int(code))
        if status is None:
            raise InternalError(f"the core returned status {code!r}")
        self._paused = status == "paused"
        record = self._record(status)
        if raise_on_stuck:
            self.raise_if_stuck(record)
        return record

    def raise_if_stuck(self, record: Record) -> None:
        """Raise what `run` raises for a stuck or faulty record of this simulator."""
        if record.status in ("stuck", "fault"):
            raise self._error(record)

    @contextmanager
    def no_timeline(self) -> Iterator[None]:
        """Records made meanwhile have no timeline: for many pauses, each of which would copy it."""
        self._without_timeline = True
        try:
            yield
        finally:
            self._without_timeline = False

    def timeline(
        self,
        rect: Rect | None = None,
        window: tuple[int, int] | None = None,
        most: int = MOST_TIMELINE_ENTRIES,
        kinds: Iterable[str] | None = None,
    ) -> None:
        """Record from now on what the PEs of a rectangle do; the next records have it as ``timeline``.

        Figures of the run stay the same to the bit, but for ``events``: in the window these PEs are simulated
        cycle by cycle.

        Parameters
        ----------
        rect : tuple of int, optional
            ``(x, y, width, height)``; default all PEs.
        window : tuple of int, optional
            First cycle of the machine, and the first one behind; default all cycles.
        most : int
            Most entries, 1 .. 100,000,000 (about 130 bytes each); what does not fit is counted and said.
        kinds : iterable of str, optional
            Kinds of entries (``wafersim.record.timeline.KINDS``); default all but ``link``, the wavelets that
            leave each router, hop by hop.

        Raises
        ------
        ConfigError
            The rectangle is not on the grid, the window is empty, or a kind is unknown.
        """
        height, width = self._has_tile.shape
        corner, cycles = checked_rect(rect, width, height), checked_window(window)
        most = checked_int("most", most, 1, 100_000_000)
        wanted = checked_kinds(None if kinds is None else list(kinds))
        self._machine.watch_timeline(*corner, *cycles, most, sum(1 << KINDS.index(kind) for kind in wanted))
        self._watched = corner, cycles

    def inspect(self, x: int, y: int) -> dict[str, Any]:
        """Queues, tasks, threads and registers of PE (x, y) between two runs or at a pause."""
        self._check_pe(x, y)
        return dict(self._machine.inspect(x, y))

    def _check_pe(self, x: int, y: int) -> None:
        height, width = self._has_tile.shape
        if not (0 <= x < width and 0 <= y < height):
            raise ConfigError(f"PE ({x}, {y}) is outside the {width}x{height} grid")

    # -- record --------------------------------------------------------------------------------------------

    def _record(self, status: str) -> Record:
        machine, meta = self._machine, self.program.meta
        events = int(machine.events_processed) - self._start.events_processed
        info = self._head(status, int(machine.cycle) - self._start.cycle, events) | {
            "task_cycles": int(self.arch.task_start_cycles) + int(self.arch.task_end_cycles),
            "warnings": self._warnings(status),
        }
        if status == "stuck":
            info["waits"] = stuck.describe(machine.waits(), meta, self.program.tables)
        if status == "fault":
            info["fault"] = places.describe_fault(machine.fault(), meta)
        record = Record(*self._start.since(machine), self._has_tile, color_entries(self.program), info)
        record.check_complete()
        record.source = Source.of(self.program, self.arch)
        if self._watched is not None and not self._without_timeline:
            self.add_timeline(record)
        return record

    def add_timeline(self, record: Record) -> None:
        """Give a record of this run the timeline as it stands, if one was asked for."""
        if self._watched is None:
            return
        rows, dropped, until = self._machine.timeline()
        meta, tables = self.program.meta, self.program.tables
        record.timeline = from_core(rows, dropped, until, *self._watched, meta, tables)
        record.info["timeline"] = record.timeline.summary()

    def _warnings(self, status: str) -> list[str]:
        if status != "finished":
            return []
        return [places.leftover_text(entry, self.program.meta) for entry in self._machine.leftovers()]

    def _error(self, record: Record) -> DeadlockError | FaultError:
        if record.status == "fault":
            fault = record.info["fault"]
            return FaultError(fault["text"], fault.get("pe"), fault, record=record)
        waits = record.info["waits"]
        return DeadlockError(stuck.headline(waits, record.cycles), waits, record=record)


def _new_machine(tables: dict[str, Array], arch: Arch, seed: int) -> _core.Machine:
    try:
        from wafersim import _core as core
    except ImportError as error:
        raise InternalError(
            f"the compiled core cannot be loaded ({error}); reinstall: pip install ."
        ) from None
    return core.Machine(tables, arch.ints(), arch.vop_costs(), seed)


def _read_only(program: MachineProgram) -> set[str]:
    """Exported arrays that the host may not write on some tile."""
    rows = program.tables["arrays"]
    flags = rows[:, ArrayCol.FLAGS]
    closed = (flags & ArrayFlag.EXPORTED != 0) & (flags & ArrayFlag.HOST_WRITTEN == 0)
    return {str(program.meta["strings"][name]) for name in rows[closed, ArrayCol.NAME]}


def color_entries(program: MachineProgram) -> list[dict[str, Any]]:
    """Number and name of every color that the program routes."""
    names = program.meta.get("color_names", {})
    return [{"number": int(c), "name": str(names.get(str(int(c)), ""))} for c in program.tables["colors"]]
