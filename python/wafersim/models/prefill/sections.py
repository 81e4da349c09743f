"""A program as a sequence of sections, each a stretch of code or a product that runs in tasks of its own.

One local task starts them in turn and stamps the time before each, so that one run tells what every section
took.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.program import TileProgram


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a program.

    Attributes
    ----------
    name : str
        What it does.
    start : callable
        ``start(next_task)`` emits its code; with `goes_on` the code activates the local task ``next_task``
        when it is over, otherwise it is over where the code ends.
    goes_on : bool
        See `start`.
    """

    name: str
    start: Callable[[Any], None]
    goes_on: bool = False


class Sections:
    """The task that starts the sections of a tile; declare it before the sections, `emit` behind them."""

    def __init__(self, pe: TileProgram) -> None:
        self.pe = pe
        self.task = pe.local_task("next_section")
        self.number = pe.array("section_number", "i16", init=0, export=False)

    def emit(self, sections: Sequence[Section], room: int = 0) -> None:
        """Function ``main`` and the body of the task: a stamp before each section and one at the end.

        ``room``: sections that the array of stamps has room for, where tiles with fewer stand beside others.
        """
        pe = self.pe
        stamps = stamp_array(pe, max(room, len(sections)) + 1)
        with self.task:
            number = pe.load(self.number, 0)
            pe.store(self.number, 0, number + 1)
            for i, section in enumerate(sections):
                with pe.if_(number == i):
                    pe.store(stamps, i, pe.timestamp())
                    section.start(self.task)
                    if not section.goes_on:
                        pe.activate(self.task)
                    pe.return_()
            pe.store(stamps, len(sections), pe.timestamp())
            pe.done()
        with pe.function("main"):
            pe.activate(self.task)


def section_cycles(
    sim: Any, rect: tuple[int, int, int, int], names: Sequence[str]
) -> tuple[int, dict[str, int]]:
    """Cycles of all sections together, and of each by name: from the latest stamp before it to the latest
    behind it, so that they add up to a little less than the whole (which begins with the earliest stamp).
    """
    stamps = read_stamps(sim, rect)[..., : len(names) + 1]
    latest = stamps.reshape(-1, stamps.shape[-1]).max(axis=0)
    steps = np.diff(latest)
    found: dict[str, int] = {}
    for name, cycles in zip(names, steps.tolist(), strict=True):
        found[name] = found.get(name, 0) + cycles
    return int(latest[-1] - stamps[..., 0].min()), found
