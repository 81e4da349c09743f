"""The simulator as a user sees it: write arrays, launch functions by name, run, read arrays, get a record."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError, DeadlockError, FaultError, InternalError, SimulationError
from wafersim.record import Record
from wafersim.simulate import places, stuck
from wafersim.simulate.baseline import Baseline
from wafersim.simulate.footprint import check_memory, peak_rss_bytes
from wafersim.simulate.launch import FunctionTable
from wafersim.simulate.memory import Rect, SymbolTable
from wafersim.simulate.printing import Printed, printed

if TYPE_CHECKING:
    from wafersim import _core
    from wafersim.arch import Arch
    from wafersim.program import MachineProgram

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]

#: what no run models, whatever the program
NOT_MODELLED = (
    "host link and host copies: writes, reads and launches take no cycles",
    "power, heat and clock throttling",
    "defective PEs and the routes around them",
    "instruction fetch; the size of the code in SRAM is estimated",
)

#: a record keeps so many prints; `Simulator.prints` has them all
MOST_PRINTS = 1000

#: the core's numbers of how a run ended
STATUS = {0: "finished", 1: "stuck", 2: "limit", 3: "interrupted", 4: "paused", 5: "fault"}


class Simulator:
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
        from wafersim.arch import Arch as ArchClass

        self.program = program
        self.arch = arch if isinstance(arch, ArchClass) else ArchClass.load(arch)
        self.seed = checked_int("seed", seed, 0, (1 << 63) - 1)
        program.check(self.arch)
        check_memory(program)
        tables = program.tables
        self._machine = _new_machine(tables, self.arch, self.seed)
        self._symbols = SymbolTable(program.meta.get("symbols", {}), tables["tile_map"])
        self._functions = FunctionTable(program.meta.get("functions", {}))
        self._has_tile = tables["tile_map"] >= 0
        self._start = Baseline()
        self._paused = False
        self._wall_s = 0.0

    # -- host side -----------------------------------------------------------------------------------------

    @property
    def symbols(self) -> list[str]:
        """Names of the exported arrays."""
        return self._symbols.names

    @property
    def functions(self) -> list[str]:
        """Names of the functions that can be launched."""
        return self._functions.names

    @property
    def cycle(self) -> int:
        """Cycle that the machine has reached."""
        return int(self._machine.cycle)

    def rectangle(self, name: str) -> Rect:
        """Smallest rectangle ``(x, y, width, height)`` that holds every PE with the symbol."""
        return self._symbols.rectangle(name)

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

    def launch(self, function: str, *args: Any, **kwargs: Any) -> None:
        """Launch a function on every PE that exports it; arguments by place or by name."""
        number, arguments = self._functions.call(function, args, kwargs)
        if self._machine.launch(number, arguments) == 0:
            raise ConfigError(f"function {function!r}: no placed tile exports it, so nothing would run")

    # -- running -------------------------------------------------------------------------------------------

    def run(
        self,
        max_cycles: int | None = None,
        max_seconds: float | None = None,
        max_events: int | None = None,
        raise_on_stuck: bool = True,
        progress: Progress | None = None,
        pause_at: int | None = None,
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
        if raise_on_stuck and status in ("stuck", "fault"):
            raise self._error(record)
        return record

    def inspect(self, x: int, y: int) -> dict[str, Any]:
        """Queues, tasks, threads and registers of PE (x, y) between two runs or at a pause."""
        self._check_pe(x, y)
        return dict(self._machine.inspect(x, y))

    def prints(self) -> list[Printed]:
        """What the PEs printed so far, as (cycle, x, y, text), in the order of cycles and places."""
        meta = self.program.meta
        return printed(self._machine.prints(), self.program.tables["code"], list(meta.get("strings", [])))

    def _check_pe(self, x: int, y: int) -> None:
        height, width = self._has_tile.shape
        if not (0 <= x < width and 0 <= y < height):
            raise ConfigError(f"PE ({x}, {y}) is outside the {width}x{height} grid")

    # -- record --------------------------------------------------------------------------------------------

    def _record(self, status: str) -> Record:
        machine, meta = self._machine, self.program.meta
        cycles = int(machine.cycle) - self._start.cycle
        clock = self.arch.clock_hz
        height, width = self._has_tile.shape
        info = {
            "kernel": None,
            "program": meta.get("name"),
            "arch": self.arch.name,
            "arch_fingerprint": self.arch.fingerprint(),
            "clock_hz": clock,
            "grid": f"{width}x{height}",
            "params": {},
            "fidelity": "wavelet",
            "values": True,
            "seed": self.seed,
            "status": status,
            "cycles": cycles,
            "seconds": cycles / clock if clock else None,
            "verified": None,
            "max_abs_error": None,
            "events": int(machine.events_processed) - self._start.events_processed,
            "wall_s": self._wall_s,
            "peak_rss_bytes": peak_rss_bytes(),
            "metrics": {},
            "validity": "unvalidated",
            "validity_rows": [],
            "not_modelled": list(NOT_MODELLED),
            "warnings": self._warnings(status),
            "program_warnings": list(self.program.warnings),
            "prints": [line._asdict() for line in self.prints()[:MOST_PRINTS]],
        }
        if status == "stuck":
            info["waits"] = stuck.describe(machine.waits(), meta, self.program.tables)
        if status == "fault":
            info["fault"] = places.describe_fault(machine.fault(), meta)
        record = Record(*self._start.since(machine), self._has_tile, color_entries(self.program), info)
        record.check_complete()
        return record

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


def color_entries(program: MachineProgram) -> list[dict[str, Any]]:
    """Number and name of every color that the program routes."""
    names = program.meta.get("color_names", {})
    return [{"number": int(c), "name": str(names.get(str(int(c)), ""))} for c in program.tables["colors"]]


def run_limits(
    max_cycles: int | None, max_seconds: float | None, max_events: int | None, pause_at: int | None
) -> tuple[int, float, int, int]:
    """The limits as the core takes them, checked."""
    top = (1 << 63) - 1
    seconds = 0.0 if max_seconds is None else max_seconds
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e15:
        raise ConfigError(f"max_seconds: {max_seconds!r} given, a positive number of seconds wanted")
    if max_seconds is not None and seconds == 0:
        raise ConfigError("max_seconds: 0 given, a positive number of seconds wanted")
    return (
        -1 if max_cycles is None else checked_int("max_cycles", max_cycles, 1, top),
        float(seconds),
        0 if max_events is None else checked_int("max_events", max_events, 1, top),
        -1 if pause_at is None else checked_int("pause_at", pause_at, 0, top),
    )


def checked_int(name: str, value: Any, low: int, high: int) -> int:
    """The value as a whole number of the given range, or `ConfigError`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ConfigError(f"{name}: {value!r} given, a whole number {low} .. {high} wanted")
    return int(value)
