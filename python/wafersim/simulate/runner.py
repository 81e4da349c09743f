"""`run`: a library kernel by name, its values checked, its figures in one record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.record import Record
from wafersim.simulate.fidelity import AUTO, check_fidelity, check_threads, run_by_size
from wafersim.simulate.grain import chosen_grain
from wafersim.simulate.limits import did_you_mean
from wafersim.simulate.sampling import run_sampled
from wafersim.simulate.simulator import Simulator
from wafersim.simulate.watching import Watch

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.kernels.base import Kernel, KernelRun

#: widest and highest grid that is accepted at all, in PEs
MAX_GRID_SIDE = 4096

#: most characters of a parameter's text
_LONGEST_VALUE = 100


def run(
    kernel: str,
    arch: Arch | str = "wse2",
    grid: str | tuple[int, int] | None = None,
    params: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    max_cycles: int | None = None,
    max_seconds: float | None = None,
    max_events: int | None = None,
    raise_on_stuck: bool = True,
    progress: Callable[[int, int], None] | None = None,
    fidelity: str | None = None,
    values: bool = True,
    grain: int | None = None,
    threads: int = 1,
    **more_params: Any,
) -> Record:
    """Run a library kernel and check its values against NumPy.

    Parameters
    ----------
    kernel : str
        Name of a kernel, as ``wafersim kernels`` lists them.
    arch : Arch or str
        An arch, the name of a preset, or the path of a TOML file.
    grid : str or tuple, optional
        ``"WxH"`` or ``(width, height)`` in PEs; default the kernel's own.
    params, **more_params
        Parameters of the kernel; values or their text.
    seed : int
        Seed of the inputs and of the machine's random numbers.
    max_cycles, max_seconds, max_events, raise_on_stuck, progress
        As in `Simulator.run`.
    fidelity : {"wavelet", "stream"}
        Every wavelet, or runs of them (docs/fidelity.md). Default:
        wavelet; without values the one for the size of the grid (``info["fidelity_chosen"]`` says why).
    values : bool
        Whether array data has values; without them nothing can be verified.
    grain : int, optional
        At fidelity stream: wavelets that buffers hold at least; above 1 an approximation. Default:
        1, exact; on a large grid where that would take hours and small runs are hardly changed by
        it, coarse (``info["fidelity_chosen"]`` says so).
    threads : int
        At fidelity stream: threads of the run; the result is the same for every number.

    Returns
    -------
    Record
        With ``verified``, ``max_abs_error`` and ``metrics`` filled if the run finished.

    Raises
    ------
    ConfigError
        Unknown kernel, arch or parameter; a value or a grid that is not allowed.
    DeadlockError, FaultError
        As in `Simulator.run`.

    Examples
    --------
    >>> import wafersim as ws
    >>> record = ws.run("reduce", grid="4x1", words=8)
    >>> record.status, record.verified
    ('finished', True)
    """
    both = sorted((params or {}).keys() & more_params.keys())
    if both:
        raise ConfigError(f"{kernel}: parameter {both[0]!r} is given twice")
    chosen = check_fidelity(fidelity, values, grain)
    prepared = prepare(kernel, arch, grid, {**(params or {}), **more_params})
    return prepared.execute(
        seed=seed,
        fidelity=chosen,
        values=values,
        grain=grain,
        threads=check_threads(threads, chosen),
        max_cycles=max_cycles,
        max_seconds=max_seconds,
        max_events=max_events,
        raise_on_stuck=raise_on_stuck,
        progress=progress,
    )


@dataclass(frozen=True)
class PreparedRun:
    """A kernel built for one arch, grid and set of parameters; nothing has run yet."""

    kernel: Kernel
    arch: Arch
    width: int
    height: int
    params: dict[str, Any]
    built: KernelRun

    def execute(
        self,
        seed: int = 0,
        fidelity: str = "wavelet",
        values: bool = False,
        grain: int | None = None,
        watch: Watch | None = None,
        frames: int | None = None,
        threads: int = 1,
        **limits: Any,
    ) -> Record:
        """Write the inputs, launch, run, check; with ``frames`` sample the run (`run_sampled`).

        ``values``, ``grain`` (None: `chosen_grain`) and ``threads`` are for fidelity stream; at wavelet
        arrays always have values.
        """
        if fidelity == AUTO:
            return run_by_size(
                self.built.program,
                watch is not None or frames is not None,
                lambda chosen: self.execute(seed, chosen, values, grain, watch, frames, threads, **limits),
            )
        sim: Any
        why: str | None = None
        if fidelity == "stream":
            from wafersim.simulate.stream import StreamSimulator, refuse_watch, write_without_values

            refuse_watch(watch, frames)
            if grain is None:
                grain, why = chosen_grain(self, values)
            sim = StreamSimulator(self.built.program, self.arch, seed, grain, values=values, threads=threads)
            if values:
                self.built.setup(sim, np.random.default_rng(seed))
            else:
                write_without_values(sim, self.built.setup)
            self._launch(sim)
        else:
            sim = self.start(seed, watch)
        raise_on_stuck = limits.pop("raise_on_stuck", True)
        try:
            limits["raise_on_stuck"] = raise_on_stuck
            record: Record = sim.run(**limits) if frames is None else run_sampled(sim, frames, **limits)
        except Exception as error:
            partial = getattr(error, "record", None)
            if isinstance(partial, Record):
                self._complete(partial, sim)
            raise
        self._complete(record, sim)
        if why is not None:
            record.info["fidelity_chosen"] = f"stream, {why}"
        return record

    def start(self, seed: int = 0, watch: Watch | None = None) -> Simulator:
        """A simulator at fidelity wavelet, inputs written and functions launched; nothing has run."""
        sim = Simulator(self.built.program, self.arch, seed)
        if watch is not None:
            sim.timeline(watch.rect, watch.window, watch.most, watch.kinds)
        self.built.setup(sim, np.random.default_rng(seed))
        self._launch(sim)
        return sim

    def _launch(self, sim: Any) -> None:
        for launch in self.built.launches:
            sim.launch(launch.function, **launch.args)

    def _complete(self, record: Record, sim: Any) -> None:
        built, info = self.built, record.info
        info["kernel"] = self.kernel.name
        info["params"] = dict(self.params)
        self._judge(info)
        info["not_modelled"] = [*built.not_modelled, *info["not_modelled"]]
        if built.formula is not None:
            formula = built.formula
            info["formula"] = {"name": formula.name, "source": formula.source, "cycles": formula.cycles}
        if record.status == "finished":
            if info["values"] and built.check is not None:
                error, verified = built.check(sim)
                info["max_abs_error"], info["verified"] = float(error), bool(verified)
            info["metrics"] = built.metrics(sim, record)

    def _judge(self, info: dict[str, Any]) -> None:
        """The error statement: by the nearest published rows, or by the kernel where no row runs it."""
        from wafersim.kernels.nearest import NO_SUPPORT, of_parts, support

        preset = self.arch.name in self.arch.names() and self.arch.base == self.arch.name
        grid = (self.width, self.height)
        found = support(self.kernel.name, self.arch.name, grid, self.params) if preset else None
        if found is None:
            validity = self.built.validity
            found = of_parts(validity.status, validity.nearest) if preset else NO_SUPPORT
        info["validity"], info["validity_detail"] = found.status, found.as_json()
        info["validity_rows"] = [row["id"] for row in found.rows]
        if info.get("approximate"):
            info["validity"] = "approximate"


def prepare(
    kernel: str, arch: Arch | str, grid: str | tuple[int, int] | None, params: Mapping[str, Any]
) -> PreparedRun:
    """Look everything up, check it, and build the machine program."""
    from wafersim.arch import Arch as ArchClass

    found = find_kernel(kernel)
    loaded = arch if isinstance(arch, ArchClass) else ArchClass.load(arch)
    width, height = found.default_grid if grid is None else parse_grid(grid)
    check_fits(loaded, width, height)
    values = resolve_params(found, params)
    return PreparedRun(found, loaded, width, height, values, found.build(loaded, width, height, values))


def find_kernel(name: str) -> Kernel:
    """The library kernel of that name."""
    from wafersim import kernels

    if name not in kernels.names():
        raise ConfigError(f"kernel {name!r} is unknown; {did_you_mean(name, kernels.names())}")
    return kernels.get(name)


def resolve_params(kernel: Kernel, params: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of the kernel: those given, checked, and the defaults of the others."""
    for name, value in params.items():
        if isinstance(value, str) and len(value) > _LONGEST_VALUE:
            found = f"a value of {len(value)} characters ({value[:20]}...)"
            raise ConfigError(f"{kernel.name}: parameter {name!r}: {found}, at most {_LONGEST_VALUE} wanted")
        if name not in kernel.parameters:
            hint = did_you_mean(name, kernel.parameters)
            raise ConfigError(f"{kernel.name}: parameter {name!r} is unknown; {hint}")
    return kernel.resolve(params)


def parse_grid(grid: Any) -> tuple[int, int]:
    """``(width, height)`` from ``"WxH"`` or a pair."""
    sides = grid.lower().split("x") if isinstance(grid, str) else grid
    problem = ConfigError(
        f"grid {grid!r}: WIDTHxHEIGHT with sides 1 .. {MAX_GRID_SIDE} wanted, for example 32x32"
    )
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        raise problem
    numbers = []
    for side in sides:
        if isinstance(side, str) and side.isascii() and side.isdigit() and len(side) < 10:
            side = int(side)
        if isinstance(side, bool) or not isinstance(side, int | np.integer) or not 1 <= side <= MAX_GRID_SIDE:
            raise problem
        numbers.append(int(side))
    return numbers[0], numbers[1]


def check_fits(arch: Arch, width: int, height: int) -> None:
    """Raise for a grid that is larger than the arch."""
    most_x, most_y = int(arch.usable_width), int(arch.usable_height)
    if width > most_x or height > most_y:
        raise ConfigError(
            f"grid {width}x{height} does not fit on {arch.name}: at most {most_x}x{most_y} PEs are usable"
        ).because("does_not_fit", grid=[width, height], usable=[most_x, most_y])
