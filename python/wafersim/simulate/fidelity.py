"""Which fidelity a run is at: as asked for, or, without values and a wish, chosen by the size of the grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wafersim.errors import ConfigError, UnsupportedError
from wafersim.simulate.limits import checked_int, did_you_mean

if TYPE_CHECKING:
    from wafersim.program import MachineProgram
    from wafersim.record import Record

FIDELITIES = ("wavelet", "stream")

#: no wish, no values: the one that `by_size` finds
AUTO = "auto"

#: threads of a run, at most
MOST_THREADS = 256

#: PEs from which fidelity stream is chosen: below, every wavelet takes seconds and the record is complete
STREAM_FROM_PES = 4096


def check_fidelity(fidelity: str | None, values: bool, grain: int | None) -> str:
    """The fidelity to run at, `AUTO` to choose by size, or `ConfigError` for what does not exist."""
    if fidelity not in (None, *FIDELITIES):
        raise ConfigError(f"fidelity {fidelity!r} is unknown; {did_you_mean(str(fidelity), FIDELITIES)}")
    if fidelity == "wavelet" and not values:
        raise ConfigError("fidelity 'wavelet' always computes values; without them: fidelity 'stream'")
    if grain is not None and fidelity != "stream" and (values or fidelity == "wavelet"):
        raise ConfigError("grain belongs to fidelity 'stream'")
    if fidelity is None and not values:
        return AUTO if grain is None else "stream"
    return fidelity or "wavelet"


def check_threads(threads: Any, fidelity: str) -> int:
    """The number of threads, or `ConfigError` for one that a run at this fidelity cannot have."""
    count = 1 if threads is None else checked_int("threads", threads, 1, MOST_THREADS)
    if count > 1 and fidelity == "wavelet":
        raise ConfigError(
            f"threads={count}: fidelity 'wavelet' runs on 1 thread; several belong to fidelity 'stream'"
        )
    return count


def by_size(program: MachineProgram, watched: bool = False) -> tuple[str, str]:
    """The fidelity for a program of this size, and a line that says why."""
    pes = program.width * program.height
    if watched:
        return "wavelet", "wavelet: only it has a timeline and frames"
    if pes < STREAM_FROM_PES:
        return "wavelet", f"wavelet, chosen by size: {pes} PEs; stream from {STREAM_FROM_PES} PEs on"
    return (
        "stream",
        f"stream, chosen by size: {pes} PEs, {STREAM_FROM_PES} or more; --fidelity overrides",
    )


def run_by_size(program: MachineProgram, watched: bool, run: Callable[[str], Record]) -> Record:
    """Run at the fidelity of its size; at wavelet if stream cannot represent the program, which is said."""
    fidelity, line = by_size(program, watched)
    try:
        record = run(fidelity)
    except UnsupportedError as error:
        if fidelity != "stream":
            raise
        record = run("wavelet")
        line = f"wavelet: {error}"
    why_so_coarse = record.info.get("fidelity_chosen")  # with a grain chosen by `chosen_grain`
    record.info["fidelity_chosen"] = line if why_so_coarse is None else f"{line}; {why_so_coarse}"
    return record
