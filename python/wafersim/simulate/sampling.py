"""Runs a simulator with pauses and samples it: frames of a run whose length nobody knows before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.program.schema import Port
from wafersim.record import Record
from wafersim.record.frames import LAYERS, Frames, block_size, count_pes, sample
from wafersim.simulate.limits import checked_int

if TYPE_CHECKING:
    from wafersim.simulate.simulator import Simulator

Array = np.ndarray[Any, Any]

#: cycles between the first samples
FIRST_STEP = 32

MOST_FRAMES = 256


def run_sampled(sim: Simulator, frames: int, cycles: int | None = None, **limits: Any) -> Record:
    """Run to the end as `Simulator.run` does, pausing to sample; the record has ``frames``.

    Parameters
    ----------
    sim : Simulator
        With its functions launched.
    frames : int
        About how many frames, 2 .. `MOST_FRAMES`; there are between half of them and all.
    cycles : int, optional
        Cycles that the run takes, if that is known: the frames are then equally long.
    **limits
        As `Simulator.run` takes them.

    Notes
    -----
    Pauses change no figure of the run but ``events``, the simulator's own work. Samples are taken every
    `FIRST_STEP` cycles; as soon as there are too many, every second one is forgotten and the step doubles.
    """
    frames = checked_int("frames", frames, 2, MOST_FRAMES)
    raises = limits.pop("raise_on_stuck", True)
    with sim.no_timeline():
        record, taken = _in_pieces(sim, frames, cycles, _Budget(sim.cycle, limits))
    sim.add_timeline(record)
    record.frames = _frames(record, taken)
    if raises:
        sim.raise_if_stuck(record)
    return record


def _in_pieces(
    sim: Simulator, frames: int, cycles: int | None, budget: _Budget
) -> tuple[Record, dict[int, tuple[Array, Array]]]:
    """The record of the whole run, and samples by the cycle of the run at which they were taken."""
    step = FIRST_STEP if cycles is None else max(1, -(-cycles // frames))
    taken: dict[int, tuple[Array, Array]] = {}
    now = 0
    while True:
        due = (now // step + 1) * step
        record = sim.run(raise_on_stuck=False, **budget.left(sim.cycle, due))
        budget.events = int(record.info["events"])
        now = min(record.cycles, sim.cycle - budget.first)
        if now:
            taken[now] = sample(record, block_size(record.width, record.height))
        if record.status != "paused":
            return record, taken
        while len(taken) > frames:
            step *= 2
            taken = {edge: sums for edge, sums in taken.items() if edge % step == 0}


def _frames(record: Record, taken: dict[int, tuple[Array, Array]]) -> Frames:
    block = block_size(record.width, record.height)
    pes = count_pes(record, block)
    layers = np.zeros((len(LAYERS), len(taken) + 1, *pes.shape), np.int64)
    ports = np.zeros((len(taken) + 1, len(Port)), np.int64)
    for place, (sums, through) in enumerate(taken.values(), start=1):
        layers[:, place], ports[place] = sums, through
    edges = np.array([0, *taken], np.int64)
    return Frames(edges, block, pes, np.diff(layers, axis=1), np.diff(ports, axis=0))


class _Budget:
    """What is left of the limits of a run that is done in pieces."""

    def __init__(self, first: int, limits: dict[str, Any]) -> None:
        self.first, self._limits = first, dict(limits)
        self._began, self.events = time.perf_counter(), 0

    def left(self, cycle: int, due: int) -> dict[str, Any]:
        """Limits for the next piece, with a pause at cycle ``due`` of the run unless it ends before."""
        limits = dict(self._limits)
        most = limits.get("max_cycles")
        if most is not None:
            limits["max_cycles"] = max(1, most - (cycle - self.first))
        if limits.get("max_seconds") is not None:
            limits["max_seconds"] = max(1e-3, limits["max_seconds"] - (time.perf_counter() - self._began))
        if limits.get("max_events") is not None:
            limits["max_events"] = max(1, limits["max_events"] - self.events)
        return limits if most is not None and due >= most else limits | {"pause_at": self.first + due}
