"""What a simulator is at either fidelity: a program on an arch, its names, the head of a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.errors import ConfigError
from wafersim.kernels.nearest import NO_SUPPORT
from wafersim.simulate.footprint import peak_rss_bytes
from wafersim.simulate.launch import FunctionTable
from wafersim.simulate.limits import checked_int
from wafersim.simulate.memory import Rect, SymbolTable
from wafersim.simulate.printing import Printed, printed

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import MachineProgram

#: a record keeps so many prints; `LoadedProgram.prints` has them all
MOST_PRINTS = 1000

#: the core's numbers of how a run ended
STATUS = {0: "finished", 1: "stuck", 2: "limit", 3: "interrupted", 4: "paused", 5: "fault"}

#: what no run models, whatever the program
NOT_MODELLED = (
    "host link and host copies: writes, reads and launches take no cycles",
    "power, heat and clock throttling",
    "defective PEs and the routes around them",
    "instruction fetch; the size of the code in SRAM is estimated",
)


class LoadedProgram:
    """A checked program and the core that runs it; the base of `Simulator` and `StreamSimulator`.

    A subclass makes ``_machine`` in its constructor.
    """

    _machine: Any

    def __init__(self, program: MachineProgram, arch: Arch | str, seed: int) -> None:
        from wafersim.arch import Arch as ArchClass

        self.program = program
        self.arch = arch if isinstance(arch, ArchClass) else ArchClass.load(arch)
        self.seed = checked_int("seed", seed, 0, (1 << 63) - 1)
        program.check_once(self.arch)
        self._symbols = SymbolTable(program.meta.get("symbols", {}), program.tables["tile_map"])
        self._functions = FunctionTable(program.meta.get("functions", {}))
        self._has_tile = program.tables["tile_map"] >= 0
        self._paused = False
        self._wall_s = 0.0

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

    def launch(self, function: str, *args: Any, **kwargs: Any) -> None:
        """Launch a function on every PE that exports it; arguments by place or by name."""
        number, arguments = self._functions.call(function, args, kwargs)
        if self._machine.launch(number, arguments) == 0:
            raise ConfigError(f"function {function!r}: no placed tile exports it, so nothing would run")

    def prints(self) -> list[Printed]:
        """What the PEs printed so far, as (cycle, x, y, text), in the order of cycles and places."""
        meta = self.program.meta
        return printed(self._machine.prints(), self.program.tables["code"], list(meta.get("strings", [])))

    def _not_modelled(self) -> list[str]:
        """What any run leaves out, behind what this program's compiler left out."""
        return [*self.program.meta.get("csl", {}).get("not_modelled", []), *NOT_MODELLED]

    def _head(self, status: str, cycles: int, events: int) -> dict[str, Any]:
        """What every record says of its run."""
        clock = self.arch.clock_hz
        height, width = self._has_tile.shape
        return {
            "kernel": None,
            "program": self.program.meta.get("name"),
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
            "events": events,
            "wall_s": self._wall_s,
            "peak_rss_bytes": peak_rss_bytes(),
            "metrics": {},
            "validity": "unvalidated",
            "validity_rows": [],
            "validity_detail": NO_SUPPORT.as_json(),
            "not_modelled": self._not_modelled(),
            "warnings": [],
            "program_warnings": list(self.program.warnings),
            "prints": [line._asdict() for line in self.prints()[:MOST_PRINTS]],
        }
