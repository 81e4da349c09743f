"""The simulator at fidelity ``stream``: runs of words instead of words, values of arrays on or off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError, DeadlockError, InternalError, UnsupportedError
from wafersim.program.schema import Counter, Event
from wafersim.record import Record
from wafersim.record.source import Source
from wafersim.simulate import places
from wafersim.simulate.fidelity import MOST_THREADS
from wafersim.simulate.footprint import available_bytes
from wafersim.simulate.limits import checked_int, run_limits
from wafersim.simulate.loaded import STATUS, LoadedProgram
from wafersim.simulate.memory import Rect
from wafersim.simulate.simulator import color_entries
from wafersim.simulate.stream_memory import check_stream_memory
from wafersim.simulate.streams import HostPorts

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import MachineProgram
    from wafersim.simulate.watching import Watch

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]

#: what a run at this fidelity leaves out, beside what any run does
STREAM_LEAVES_OUT = "fidelity stream: {values}cycles per class, events and link counts of each PE"

#: whether situations of PEs that occurred before are looked up; results do not depend on it
LOOK_UP = True

#: host memory for them, at most, and of what is free; when it is full those that no PE is in are forgotten;
#: so much holds all of `gemm` on 750 x 750 PEs with 46 x 46 tiles (2.2e9 bytes)
MEMO_BYTES, MEMO_SHARE = 11 << 28, 0.25
#: threads that get so much each; more share what four have
MEMO_THREADS = 4


class StreamSimulator(LoadedProgram):
    """One program on one fabric at fidelity ``stream``, with the face of `Simulator`.

    Parameters
    ----------
    program : MachineProgram
    arch : Arch or str
    seed : int
        Kept for the record; nothing at this fidelity is random.
    grain : int, optional
        Words that buffers of links and input queues hold at least; 1 (default): what the arch says, exact.
        Larger ones are an approximation (docs/fidelity.md): the record says so.
    most_words : int, optional
        Most words placed in one step; the result does not depend on it. Default: no limit. For tests.
    values : bool
        Whether array data has values. They change no cycle; control flow must not depend on them.
    threads : int
        Threads of a run, at most one per row of PEs; the result does not depend on it.

    Raises
    ------
    UnsupportedError
        The program needs something that this fidelity cannot represent (here or during `run`).
    """

    def __init__(
        self,
        program: MachineProgram,
        arch: Arch | str = "wse2",
        seed: int = 0,
        grain: int | None = None,
        most_words: int | None = None,
        values: bool = False,
        threads: int = 1,
    ) -> None:
        super().__init__(program, arch, seed)
        self.grain = 1 if grain is None else checked_int("grain", grain, 1, (1 << 31) - 1)
        most = 0 if most_words is None else checked_int("most_words", most_words, 1, (1 << 31) - 1)
        self.values = values
        count = checked_int("threads", threads, 1, MOST_THREADS)
        check_stream_memory(program, values, count)
        try:
            self._machine = _new_machine(program, self.arch, self.grain, most, values, count, self.seed)
        except UnsupportedError as error:
            raise self._placed(error) from None
        self._ports = HostPorts(program, self._machine)
        self._start_cycle = self._start_events = 0

    def write(self, name: str, value: Any, rect: Rect | None = None) -> None:
        """Write a symbol; without values only what scalar code uses as its state is kept."""
        self._symbols.write(_Memory(self._machine, name), name, value, rect)

    def write_unknown(self, name: str, rect: Rect | None = None) -> None:
        """Say that the host writes a symbol, without the values; what depends on it is then refused."""
        self._symbols.write(_Memory(self._machine, name, known=False), name, 0, rect)

    def read(self, name: str, rect: Rect | None = None) -> Array:
        """Values ``[H, W, *shape]`` of a symbol; without values of one that scalar code writes.

        Raises
        ------
        UnsupportedError
            The symbol is array data, and there are no values, or the run is not at its end.
        """
        return self._symbols.read(_Memory(self._machine, name), name, rect)

    def read_bytes(self, rect: Rect, address: int, num_bytes: int) -> Array:
        """SRAM ``[H, W, num_bytes]`` of a rectangle of PEs from a byte address on; see `read`."""
        return _Memory(self._machine, f"at address {address}").read(*rect, address, num_bytes)

    def write_bytes(self, rect: Rect, address: int, raw: Array) -> None:
        """Write ``raw`` (uint8 ``[H, W, bytes]``) to the SRAM of a rectangle of PEs, from an address on."""
        self._machine.write(*rect, address, np.ascontiguousarray(raw), True)

    @property
    def open_launches(self) -> int:
        """PEs on which a launched function has not signalled completion."""
        return int(self._machine.open_launches)

    def feed(self, values: Any, *, control: Any = None, **place: Any) -> None:
        """Give wavelets to a router port; see `Simulator.feed`."""
        self._ports.feed(values, control, place)

    def collect(
        self, count: int | None = None, *, with_control: bool = False, **place: Any
    ) -> tuple[Array, ...]:
        """Take the wavelets that have arrived at the host from a sink; see `Simulator.collect`.

        Raises
        ------
        UnsupportedError
            There are no values, or the run is not at its end.
        """
        return self._ports.collect(count, with_control, place)

    def arrived(self, **place: Any) -> Array:
        """How many wavelets wait to be collected: int64 ``[H, W]`` of a place; see `Simulator.arrived`."""
        return self._ports.arrived(place)

    def run(
        self,
        max_cycles: int | None = None,
        max_seconds: float | None = None,
        max_events: int | None = None,
        raise_on_stuck: bool = True,
        progress: Progress | None = None,
        pause_at: int | None = None,
        max_work: int | None = None,
    ) -> Record:
        """Run until nothing can happen any more, or until a limit; see `Simulator.run`.

        Parameters
        ----------
        max_work : int, optional
            Placements of words, one or many at once, as ``info["work"]["placed"]`` counts them: what this
            fidelity does on the host, but the same on every one that has room for what is looked up, with
            so many threads.
        """
        limits = run_limits(max_cycles, max_seconds, max_events, pause_at)
        most = 0 if max_work is None else checked_int("max_work", max_work, 1, (1 << 63) - 1)
        if not self._paused:
            self._start_cycle, self._start_events = self.cycle, int(self._machine.events_processed)
            self._wall_s = 0.0
        began = time.perf_counter()
        try:
            status = STATUS[self._machine.run(*limits, progress, most)]
        except KeyboardInterrupt:
            status = "interrupted"
        except UnsupportedError as error:
            raise self._placed(error) from None
        finally:
            self._wall_s += time.perf_counter() - began
        self._paused = status == "paused"
        record = self._record(status)
        if status == "stuck" and raise_on_stuck:
            raise DeadlockError(_STUCK, record.info["waits"], record=record)
        return record

    def _placed(self, error: UnsupportedError) -> UnsupportedError:
        """The error with the line of source that it stands for."""
        source = places.source_of({"line": error.line}, self.program.meta).get("source")
        text = f"fidelity stream cannot represent this program: {error}" + (
            f" (at {source})" if source else ""
        )
        return UnsupportedError(f"{text}; run at fidelity wavelet", error.line)

    def _leaves_out(self) -> str:
        return STREAM_LEAVES_OUT.format(values="" if self.values else "values of arrays; ")

    def _record(self, status: str) -> Record:
        height, width = self._has_tile.shape
        events = int(self._machine.events_processed) - self._start_events
        info = self._head(status, self.cycle - self._start_cycle, events) | {
            "fidelity": "stream",
            "values": self.values,
            "counted": False,
            "not_modelled": [*self._not_modelled(), self._leaves_out(), *_coarse(self.grain)],
            "approximate": self.grain > 1,
            "stream": {"grain": self.grain, **self._machine.figures()},
            "work": self._machine.work(),
        }
        if self.grain > 1:
            info["validity"] = "approximate"
        if status == "stuck":
            info["waits"] = [{"text": _STUCK}]
        if info["stream"]["late"]:
            raise InternalError(
                f"fidelity stream: {info['stream']['late']} words passed before they were looked at"
            )
        colors = color_entries(self.program)
        return Record(
            _zeros(height, width, len(Counter)),
            _zeros(height, width, len(Event)),
            _zeros(len(colors), height, width, 5),
            self._has_tile,
            colors,
            info,
            source=Source.of(self.program, self.arch),
        )


def write_without_values(sim: StreamSimulator, setup: Callable[[Any, Any], None]) -> None:
    """Run a kernel's setup for its effect on scalar state: which symbols the host writes, not with what."""
    setup(_Host(sim), _NoNumbers())


def refuse_watch(watch: Watch | None, frames: int | None = None) -> None:
    """Raise `ConfigError` if a timeline or frames are asked for."""
    if frames is not None:
        raise ConfigError("--frames: a run at fidelity stream counts nothing per PE that could be sampled")
    if watch is not None:
        raise ConfigError(
            "--trace: a run at fidelity stream has no timeline; leave it out, or run at fidelity wavelet"
        )


class _Host:
    """What a kernel's setup sees of the simulator."""

    def __init__(self, sim: StreamSimulator) -> None:
        self._sim = sim

    def write(self, name: str, value: Any, rect: Rect | None = None) -> None:
        self._sim.write_unknown(name, rect)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sim, name)


class _NoNumbers:
    """Stands for a random generator: arrays of the right shape that take no memory."""

    def standard_normal(self, size: Any = None, dtype: Any = np.float64) -> Array:
        return np.broadcast_to(np.zeros((), dtype), size if size is not None else ())

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Array:
        return self.standard_normal(size)

    def integers(self, low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64) -> Array:
        return self.standard_normal(size, dtype)


_STUCK = "nothing can happen any more and something waits; a run at fidelity wavelet says who waits on what"


class _Memory:
    """SRAM as `SymbolTable` sees it."""

    def __init__(self, machine: Any, name: str, known: bool = True) -> None:
        self._machine, self._name, self._known = machine, name, known

    def write(self, x: int, y: int, w: int, h: int, address: int, data: Array) -> None:
        self._machine.write(x, y, w, h, address, data, self._known)

    def read(self, x: int, y: int, w: int, h: int, address: int, num_bytes: int) -> Array:
        raw = self._machine.read(x, y, w, h, address, num_bytes)
        if raw is None:
            raise UnsupportedError(
                f"symbol {self._name!r}: array data has no values at fidelity stream without values, "
                "and none before the run's end; run with values or at fidelity wavelet"
            )
        return np.asarray(raw)


def _coarse(grain: int) -> list[str]:
    """What a grain above 1 leaves out."""
    if grain == 1:
        return []
    return [
        f"fidelity stream at grain {grain}: back-pressure of links and input queues in which fewer than "
        f"{grain} words wait"
    ]


def _zeros(*shape: int) -> Array:
    return np.broadcast_to(np.int64(0), shape)


def memo_limit(threads: int) -> int:
    """Bytes that the memos of a run's threads may take together; a full one is begun anew."""
    return min(MEMO_BYTES * min(threads, MEMO_THREADS), int(MEMO_SHARE * available_bytes()))


def _new_machine(
    program: MachineProgram, arch: Arch, grain: int, most_words: int, values: bool, threads: int, seed: int
) -> Any:
    from wafersim import _core as core

    tables = (program.tables, arch.ints(), arch.vop_costs())
    return core.StreamMachine(
        *tables, grain, most_words, LOOK_UP, memo_limit(threads), values, threads, seed=seed
    )
