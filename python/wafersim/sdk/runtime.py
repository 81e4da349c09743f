"""``SdkRuntime``: what a host script does with a compiled program.

Every command is carried out when it is called, in the order of the calls: a copy changes SRAM at once, a
launch runs the machine until nothing can happen any more. This is what the device's command stream
promises: a command begins when the one before it is complete on the PE, and a launched function is
complete when it unblocks the stream. Only a stream towards the host may be asked for before its words can
exist.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError, DeadlockError, SimulationError
from wafersim.sdk import copies, cores, debug, launching
from wafersim.sdk.device import Device
from wafersim.sdk.folder import Folder
from wafersim.sdk.regions import Region, copy_options
from wafersim.sdk.streams import Pending, Streams
from wafersim.sdk.symbols import Symbols, find_array
from wafersim.sdk.types import PathLike, SdkCompileArtifacts, SdkExecutionPlatform, Task, refuse_system

Array = npt.NDArray[Any]

_KNOWN_OPTIONS = {
    "cmaddr", "suppress_simfab_trace", "simfab_numthreads", "msg_level", "memcpy_required",
    "setup_phase_only", "run_phase_only", "wio_flows", "worker",
}  # fmt: skip
LOG_NAME = "sim.log"


class SdkRuntime:
    """Loads a compiled program, copies data, launches functions.

    Parameters
    ----------
    bindir : path or SdkCompileArtifacts
        The compiler's output folder.
    platform : SdkExecutionPlatform, optional
        Its target has to be the program's.
    **kwargs
        The vendor's options; an address of a system (``cmaddr``) is refused, the others change nothing here.

    Raises
    ------
    ConfigError
        No compiled program in the folder, unknown option, a system is asked for.
    """

    def __init__(
        self,
        bindir: PathLike | SdkCompileArtifacts,
        platform: SdkExecutionPlatform | None = None,
        **kwargs: Any,
    ) -> None:
        unknown = sorted(kwargs.keys() - _KNOWN_OPTIONS)
        if unknown:
            raise ConfigError(
                f"SdkRuntime: option {unknown[0]!r} is unknown; known: {', '.join(sorted(_KNOWN_OPTIONS))}"
            )
        refuse_system(kwargs.get("cmaddr"))
        path = bindir.path if isinstance(bindir, SdkCompileArtifacts) else Path(bindir)
        self._folder = Folder.load(path)
        if platform is not None and platform.target.arch != self._folder.arch:
            raise ConfigError(
                f"{path}: compiled for {self._folder.arch}, the platform is {platform.target.arch}; "
                "compile with "
                f"--arch={platform.target.arch}"
            )
        self._platform = platform
        self._symbols = Symbols(self._folder)
        self._loaded: Device | None = None
        self._streams: Streams | None = None
        self._state = "new"

    # -- life ----------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Put the program on the machine."""
        self._expect_state("load", "new")
        self._loaded = Device(self._folder, Path(LOG_NAME))
        if os.environ.get("WAFERSIM_SDK", "").startswith("0"):
            Path("simfab_traces").mkdir(exist_ok=True)  # scripts of those releases move it away at the end
        self._streams = Streams(self._loaded)
        launching.write_start_values(self._loaded)
        self._state = "loaded"

    def run(self) -> None:
        """Start the machine: tasks that are active at the start run until they wait for the host."""
        self._expect_state("run", "loaded")
        self._state = "running"
        begin = self._device.sim.cycle
        self._moving.advance("start")
        self._device.note_command("start", self._folder.path.name, begin, 0.0)

    def stop(self, *_: Any) -> None:
        """Wait for every command, then end the session; SRAM stays readable for ``debug_util``."""
        if self._state == "stopped":
            return
        self._expect_state("stop", "running")
        self._state = "stopped"
        try:
            self._require_unblocked("stop")
            self._moving.require_all()
        finally:
            self._device.close()
            debug.remember(self._device)
            config = self._platform.config if self._platform is not None else None
            if config is not None and config.dump_core:
                cores.write(self._device, Path(config.core_path or "out.core"))

    # -- names ---------------------------------------------------------------------------------------------

    def get_id(self, symbol: str) -> int | None:
        """Number of an exported name; None (with a warning) if the program exports no such name."""
        export = self._symbols.find(symbol)
        if export is None:
            warnings.warn(
                f"get_id({symbol!r}): the program exports no such name; {self._symbols.suggestion(symbol)}",
                stacklevel=2,
            )
            return None
        return export.id

    get_symbol = get_id

    def get_port_id(self, port_name: str) -> int | None:
        """Number of a stream of a layout made in Python; None if there is none of that name."""
        names = list(self._folder.ports)
        return names.index(port_name) if port_name in names else None

    def report_port_infos(self) -> None:
        """Write every stream with its color and place to the log."""
        for name, port in self._folder.ports.items():
            self._device.log.note(f"port {name}: {port}")

    def coord_logical_to_physical(self, logical_coords: tuple[int, int]) -> tuple[int, int]:
        """Place on the fabric of a place in the program's rectangle."""
        (x, y), (dx, dy) = logical_coords, self._folder.offsets
        return x + dx, y + dy

    # -- copies --------------------------------------------------------------------------------------------

    def memcpy_h2d(
        self, dest: int, src: Array, px: int, py: int, w: int, h: int, elem_per_pe: int, **kwargs: Any
    ) -> Task:
        """Copy ``A[h][w][elem_per_pe]`` to a symbol of the PEs of a rectangle, or stream it on a color."""
        region = Region(px, py, w, h, int(elem_per_pe))
        return self._host_to_device("memcpy_h2d", dest, src, (h, w), region, kwargs)

    def memcpy_h2d_rowbcast(
        self, dest: int, src: Array, px: int, py: int, w: int, h: int, elem_per_pe: int, **kwargs: Any
    ) -> Task:
        """Copy ``A[h][elem_per_pe]``: every PE of a row gets the row's data."""
        region = Region(px, py, w, h, int(elem_per_pe))
        return self._host_to_device("memcpy_h2d_rowbcast", dest, src, (h, 1), region, kwargs)

    def memcpy_h2d_colbcast(
        self, dest: int, src: Array, px: int, py: int, w: int, h: int, elem_per_pe: int, **kwargs: Any
    ) -> Task:
        """Copy ``A[w][elem_per_pe]``: every PE of a column gets the column's data."""
        region = Region(px, py, w, h, int(elem_per_pe))
        return self._host_to_device("memcpy_h2d_colbcast", dest, src, (1, w), region, kwargs)

    def memcpy_h2d_stride(
        self,
        dest: int,
        src: Array,
        px: int,
        py: int,
        w: int,
        h: int,
        elem_per_pe: int,
        row_stride: int,
        col_stride: int,
        **kwargs: Any,
    ) -> Task:
        """Copy ``A[rows][columns][elem_per_pe]`` to each ``row_stride``-th PE of ``col_stride``-th rows."""
        if row_stride < 1 or col_stride < 1:
            raise ConfigError(
                f"memcpy_h2d_stride: strides {row_stride} and {col_stride} given, at least 1 wanted"
            )
        region = Region(px, py, w, h, int(elem_per_pe), int(row_stride), int(col_stride))
        return self._host_to_device(
            "memcpy_h2d_stride", dest, src, (region.rows, region.columns), region, kwargs
        )

    def _host_to_device(
        self, what: str, dest: Any, src: Array, given: tuple[int, int], region: Region, kwargs: dict[str, Any]
    ) -> Task:
        options = copy_options(what, kwargs)
        self._require_unblocked(what)
        region.check(self._folder.program.width, self._folder.program.height, what)
        count = given[0] * given[1] * region.elements
        words = copies.unwrap(copies.host_words(src, count, what), (*given, region.elements), options.order)
        words = np.broadcast_to(words, (region.rows, region.columns, region.elements))
        begin, device = self._device.sim.cycle, self._device
        if options.streaming:
            name = f"color {int(dest)}"
            for part, place in region.pieces(words):
                self._moving.feed(int(dest), *place, part)
            self._moving.advance(f"{what}-color-{int(dest)}")
        else:
            export = self._symbols.variable(dest, what)
            name = export.name
            raw = copies.to_bytes(words, options.data_type)
            for part, (x, y) in region.pieces(raw):
                at = self._symbols.addresses(device.sim, name, (x, y, part.shape[1], part.shape[0]), what)
                copies.write_region(device.sim, x, y, at, part)
        device.note_command(what, name, begin, device.link.copy_seconds(count, not options.nonblock), count)
        return Task()

    def memcpy_d2h(
        self, dest: Array, src: int, px: int, py: int, w: int, h: int, elem_per_pe: int, **kwargs: Any
    ) -> Task:
        """Copy a symbol of the PEs of a rectangle, or words that they stream on a color, to ``dest``."""
        what = "memcpy_d2h"
        options = copy_options(what, kwargs)
        self._require_unblocked(what)
        region = Region(px, py, w, h, int(elem_per_pe))
        region.check(self._folder.program.width, self._folder.program.height, what)
        count = w * h * region.elements
        flat = copies.host_words(dest, count, what)
        shape = (h, w, region.elements)
        target = copies.unwrap(flat, shape, options.order)
        begin, device = self._device.sim.cycle, self._device
        seconds = device.link.copy_seconds(count, not options.nonblock)
        if not options.streaming:
            export = self._symbols.variable(src, what)
            at = self._symbols.addresses(device.sim, export.name, (px, py, w, h), what)
            size = region.elements * copies.ELEMENT_BYTES[options.data_type]
            raw = copies.read_region(device.sim, px, py, at, size)
            target[...] = copies.from_bytes(raw, options.data_type)
            device.note_command(what, export.name, begin, seconds, count, {"crc32": copies.checksum(flat)})
            return Task()

        def deliver(words: Array) -> None:
            target[...] = words.reshape(shape)

        pending = Pending(int(src), (px, py, w, h), region.elements, f"{what} of color {int(src)}", deliver)
        task = self._receive(pending, options.nonblock)
        device.note_command(what, f"color {int(src)}", begin, seconds, count, pending.row)
        return task

    # -- functions -----------------------------------------------------------------------------------------

    def launch(self, symbol: str, *args: Any, nonblock: bool = False) -> Task:
        """Run an exported function on every PE that has it, with these arguments."""
        return self._launch("launch", symbol, args, nonblock)

    def call(self, symbol: str, args: Sequence[Any] | Array, nonblock: bool = False) -> Task:
        """As `launch`, with the arguments as 32-bit words."""
        values = launching.values_of_words(self._folder, symbol, args)
        return self._launch("call", symbol, values, nonblock)

    def _launch(self, kind: str, symbol: str, args: Sequence[Any], nonblock: bool) -> Task:
        self._require_unblocked(f"{kind} {symbol}")
        device = self._device
        begin = device.sim.cycle
        device.sim.launch(symbol, *args)
        self._moving.advance(f"{kind}-{symbol}")
        seconds = device.link.launch_seconds if not nonblock else 0.0
        device.note_command(kind, symbol, begin, seconds)
        if not nonblock:
            self._require_unblocked(f"{kind} {symbol}")
        return Task()

    # -- streams of layouts made in Python -----------------------------------------------------------------

    def send(
        self, port: int | str, src: Array, n_wavelets: int | None = None, nonblock: bool = False
    ) -> Task:
        """Stream words to an input stream."""
        name, entry = self._port(port, to_host=False)
        self._expect_state("send", "running")
        count = int(src.size) if n_wavelets is None else int(n_wavelets)
        words = copies.host_words(src.reshape(-1)[:count], count, f"send to {name}")
        begin = self._device.sim.cycle
        self._moving.feed(int(entry["color"]), int(entry["x"]), int(entry["y"]), words.reshape(1, 1, -1))
        self._moving.advance(f"send-{name}")
        seconds = self._device.link.copy_seconds(count, not nonblock)
        self._device.note_command("send", name, begin, seconds, count)
        return Task()

    def receive(self, port: int | str, dest: Array, n_wavelets: int, nonblock: bool = False) -> Task:
        """Take words from an output stream into ``dest``."""
        count = int(n_wavelets)
        target = copies.host_words(dest.reshape(-1)[:count], count, f"receive from {port}")
        return self._take(port, count, lambda words: np.copyto(target, words.reshape(-1)), nonblock)

    def receive_tofile(
        self, port: int | str, outfile: PathLike, n_wavelets: int | None = None, nonblock: bool = False
    ) -> Task:
        """As `receive`, into a file of little-endian 32-bit words; without a number, all that come."""
        return self._take(port, n_wavelets, lambda words: words.astype("<u4").tofile(outfile), nonblock)

    def _take(
        self, port: int | str, count: int | None, deliver: Callable[[Array], None], later: bool
    ) -> Task:
        name, entry = self._port(port, to_host=True)
        self._expect_state("receive", "running")
        begin = self._device.sim.cycle
        rect = (int(entry["x"]), int(entry["y"]), 1, 1)
        pending = Pending(int(entry["color"]), rect, 0, f"receive from {name}", deliver)
        pending.count = self._moving.arrived(pending) if count is None else int(count)
        task = self._receive(pending, later)
        seconds = self._device.link.copy_seconds(pending.count, not later)
        self._device.note_command("receive", name, begin, seconds, pending.count, pending.row)
        return task

    def _port(self, port: int | str, to_host: bool) -> tuple[str, dict[str, Any]]:
        names = list(self._folder.ports)
        name = names[port] if isinstance(port, int) and 0 <= port < len(names) else str(port)
        entry = self._folder.ports.get(name)
        if entry is None or bool(entry["to_host"]) != to_host:
            wanted = [n for n, e in self._folder.ports.items() if bool(e["to_host"]) == to_host]
            kind = "output" if to_host else "input"
            raise ConfigError(
                f"port {port!r} is no {kind} stream of the program; there are: {', '.join(wanted) or 'none'}"
            )
        return name, dict(entry)

    def _receive(self, pending: Pending, nonblock: bool) -> Task:
        self._moving.expect(pending)
        if not nonblock and not pending.is_done:
            self._moving.advance("receive")
            self._moving.require(pending)
        return Task(pending)

    # -- tasks and debugging -------------------------------------------------------------------------------

    def task_wait(self, task_handle: Task) -> None:
        """Wait until the command is complete."""
        if not task_handle.is_done and task_handle.pending is not None:
            self._moving.advance("task_wait")
            self._moving.require(task_handle.pending)

    def is_task_done(self, task_handle: Task) -> bool:
        """Whether the command is complete."""
        return task_handle.is_done

    def read_symbol(self, x: int, y: int, symbol_name: str, dtype: npt.DTypeLike = "uint8") -> Array:
        """A variable of one PE (place in the program's rectangle), exported or not, as this NumPy type."""
        address, num_bytes = find_array(self._folder, int(x), int(y), symbol_name)
        raw = self._device.sim.read_bytes((int(x), int(y), 1, 1), address, num_bytes)
        values: Array = np.ascontiguousarray(raw.reshape(-1)).view(np.dtype(dtype))
        return values

    def dump_core(self, corefile: PathLike) -> None:
        """Write the SRAM of all PEs to a file that ``debug_util`` of a later process can read."""
        cores.write(self._device, Path(corefile))

    dump_elf_core = dump_core

    # -- checks --------------------------------------------------------------------------------------------

    @property
    def _device(self) -> Device:
        if self._loaded is None:
            raise SimulationError("SdkRuntime: load() and run() come before this call")
        return self._loaded

    @property
    def _moving(self) -> Streams:
        if self._streams is None:
            raise SimulationError("SdkRuntime: load() and run() come before this call")
        return self._streams

    def _expect_state(self, what: str, wanted: str) -> None:
        if self._state != wanted:
            order = "load(), run(), commands, stop()"
            raise SimulationError(
                f"SdkRuntime: {what} while the runtime is {self._state}; the order is {order}"
            )

    def _require_unblocked(self, what: str) -> None:
        """Raise if an earlier function still holds the command stream: nothing will ever end it."""
        if what != "stop":
            self._expect_state(what, "running")
        blocked = self._device.sim.open_launches
        if blocked:
            raise self._blocked(what, blocked)

    def _blocked(self, what: str, blocked: int) -> DeadlockError:
        return self._device.stuck_error(
            f"{what}: the launched function never called unblock_cmd_stream() on {blocked} PEs, and "
            "nothing more "
            "can happen"
        )
