"""Runs a saved machine program: launches one of its exported functions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wafersim.errors import ConfigError
from wafersim.record import Record
from wafersim.simulate.fidelity import AUTO, run_by_size
from wafersim.simulate.launch import FunctionTable
from wafersim.simulate.limits import did_you_mean
from wafersim.simulate.runner import parse_grid
from wafersim.simulate.sampling import run_sampled
from wafersim.simulate.simulator import Simulator
from wafersim.simulate.watching import Watch

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import MachineProgram

#: arch of a program that names a generation and nothing else
_DEFAULT_ARCH = {0: "wse2", 2: "wse2", 3: "wse3"}


def execute_file(
    path: Path,
    *,
    arch: str | None = None,
    grid: str | None = None,
    function: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
    fidelity: str = "wavelet",
    grain: int | None = None,
    progress: Any = None,
    watch: Watch | None = None,
    **limits: Any,
) -> Record:
    """Load a program file, launch a function, run; a stuck run comes back as a record.

    Parameters
    ----------
    function : str, optional
        Exported function; may be left out if there is at most one.
    arguments : mapping, optional
        Its arguments by name, as numbers or their text.

    Raises
    ------
    ConfigError, ProgramError
        Unreadable file, unknown function, bad argument, grid other than the program's.
    """
    return execute_opened(
        path,
        open_program(path, arch, grid),
        function=function,
        arguments=arguments,
        seed=seed,
        fidelity=fidelity,
        grain=grain,
        progress=progress,
        watch=watch,
        **limits,
    )


def execute_opened(
    path: Path,
    opened: tuple[MachineProgram, Arch],
    *,
    function: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
    fidelity: str = "wavelet",
    values: bool = False,
    grain: int | None = None,
    threads: int = 1,
    progress: Any = None,
    watch: Watch | None = None,
    frames: int | None = None,
    **limits: Any,
) -> Record:
    """`execute_file` for a program that `open_program` gave."""
    program, loaded = opened
    if fidelity == AUTO:
        return run_by_size(
            program,
            watch is not None or frames is not None,
            lambda chosen: execute_opened(
                path, opened, function=function, arguments=arguments, seed=seed, fidelity=chosen,
                values=values, grain=grain, threads=threads, progress=progress, watch=watch, frames=frames,
                **limits,
            ),
        )  # fmt: skip
    functions = FunctionTable(program.meta.get("functions", {}))
    chosen = choose_function(functions, function, path)
    sim: Any
    if fidelity == "stream":
        from wafersim.simulate.stream import StreamSimulator, refuse_watch

        refuse_watch(watch, frames)
        sim = StreamSimulator(program, loaded, seed, grain, values=values, threads=threads)
    else:
        sim = Simulator(program, loaded, seed)
        if watch is not None:
            sim.timeline(watch.rect, watch.window, watch.most, watch.kinds)
    if chosen is not None:
        sim.launch(chosen, **parse_arguments(functions, chosen, arguments or {}))
    elif arguments:
        raise ConfigError(
            f"{path}: no function is launched, so argument {next(iter(arguments))!r} has no place"
        )
    limits |= {"raise_on_stuck": False, "progress": progress}
    record: Record = sim.run(**limits) if frames is None else run_sampled(sim, frames, **limits)
    record.info["params"] = dict(arguments or {})
    record.info["program_file"] = str(path)
    record.info["launch"] = chosen
    return record


def open_program(path: Path, arch: str | Arch | None, grid: str | None) -> tuple[MachineProgram, Arch]:
    """The program of a file and the arch it is to run on; a given grid has to be the program's."""
    from wafersim.arch import Arch as ArchClass
    from wafersim.program import MachineProgram as ProgramClass

    program = ProgramClass.load(path)
    generation = int(program.meta.get("generation", 0))
    loaded = ArchClass.load(arch if arch is not None else _DEFAULT_ARCH.get(generation, "wse2"))
    if grid is not None and parse_grid(grid) != (program.width, program.height):
        raise ConfigError(
            f"grid {grid}: the program of {path} was placed on {program.width}x{program.height} PEs"
        )
    return program, loaded


def choose_function(functions: FunctionTable, name: str | None, path: Path) -> str | None:
    """The function to launch: the named one, the only one, or None if the program exports none."""
    if name is not None:
        if name not in functions.names:
            raise ConfigError(
                f"{path}: function {name!r} is not exported; {did_you_mean(name, functions.names)}"
            )
        return name
    if len(functions.names) > 1:
        raise ConfigError(f"{path}: choose a function with --launch; there are: {', '.join(functions.names)}")
    return functions.names[0] if functions.names else None


def parse_arguments(functions: FunctionTable, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Texts of arguments as numbers; numbers stay."""
    kinds = dict(functions.arguments(name))
    return {
        key: _number(value, kinds[key], key) if isinstance(value, str) and key in kinds else value
        for key, value in arguments.items()
    }


def _number(text: str, kind: str, name: str) -> int | float:
    try:
        return int(text, 0) if kind[0] in "iu" else float(text)
    except ValueError:
        raise ConfigError(f"argument {name}={text!r}: a number of type {kind} wanted") from None
