"""Figures per PE as layers of a map: small integers for the colors, whole values where the map is small."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.comparison.routes import routes_by_color
from wafersim.program.locate import Locator
from wafersim.program.schema import Counter, Event, Port, RouteCol, TileCol
from wafersim.record.dictionary import COUNTER_COLUMNS, TERMS
from wafersim.record.frames import LAYERS
from wafersim.record.limiting import WORDS

if TYPE_CHECKING:
    from wafersim.program import MachineProgram
    from wafersim.record import Record

Array = np.ndarray[Any, Any]

#: maps of at most so many PEs carry every value; larger ones 254 steps from the lowest to the highest
MOST_EXACT = 1 << 14

#: colors of the map: 0 stands for "no tile", 1 to 255 for values
STEPS = 254


@dataclass(frozen=True)
class Layer:
    """One figure per PE.

    Attributes
    ----------
    name, title, unit : str
        ``name`` is unique; ``title`` is for people.
    values : int64 array [H, W]
    shown : bool array [H, W]
        PEs that have the figure.
    measured : bool
        Counted in the run; else a property of the program.
    per_cycle : bool
        Also shown as a share of the run's cycles.
    names : list of str
        Of a layer of categories: the words for its values.
    frames : int
        Place in `Frames.layers`, -1 none.
    """

    name: str
    title: str
    unit: str
    values: Array
    shown: Array
    measured: bool = True
    per_cycle: bool = False
    names: list[str] = field(default_factory=list)
    frames: int = -1

    def range(self) -> tuple[int, int]:
        """Lowest and highest value that is shown."""
        inside = self.values[self.shown]
        return (int(inside.min()), int(inside.max())) if inside.size else (0, 0)

    def steps(self) -> Array:
        """Colors uint8 [H, W]: 0 not shown, else 1 to 255 from the lowest to the highest value."""
        low, high = self.range()
        place = (self.values - low).astype(np.float64) * (STEPS / max(1, high - low))
        return np.where(self.shown, 1 + np.rint(place), 0).astype(np.uint8)

    def about(self) -> dict[str, Any]:
        """What the page has to know beside the colors; ``values`` only of small maps."""
        low, high = self.range()
        found: dict[str, Any] = {
            "name": self.name, "title": self.title, "unit": self.unit, "low": low, "high": high,
            "measured": self.measured, "per_cycle": self.per_cycle, "names": self.names,
            "frames": self.frames,
            "exact": high - low <= STEPS or self.values.size <= MOST_EXACT,
        }  # fmt: skip
        if high - low > STEPS and self.values.size <= MOST_EXACT:
            found["values"] = np.where(self.shown, self.values, 0).ravel().tolist()
        return found


def layers_of(record: Record, program: MachineProgram | None) -> list[Layer]:
    """Every layer that the record and its program have, in the order of the picker."""
    found = _counted(record) if record.counted else []
    return found + (_of_program(program, record) if program is not None else [])


def _counted(record: Record) -> list[Layer]:
    tile, everywhere = record.has_tile, np.ones_like(record.has_tile)
    cycles: dict[str, Any] = {"unit": "cycles", "shown": tile, "per_cycle": True}
    busy, stall = record["pe"]["busy_cycles"], record["pe"]["stall_cycles"]
    found = [
        Layer("busy", "busy", values=busy, frames=LAYERS.index("busy"), **cycles),
        Layer("stall", "stalled", values=stall, frames=LAYERS.index("stall"), **cycles),
    ]
    for counter in Counter:
        name = counter.name.lower()
        column = COUNTER_COLUMNS[counter]
        if counter < Counter.STALL_BANK or not record.counters[:, :, counter].any():
            continue
        frames = LAYERS.index(name) if name in LAYERS else -1
        title = "idle" if counter == Counter.IDLE else f"stalled: {WORDS[name]}"
        found.append(Layer(column, title, values=record.counters[:, :, counter], frames=frames, **cycles))
    found += _traffic(record, everywhere)
    if record.frames is not None and len(record.frames) > 1:
        found.append(_last_busy(record))
    for event in (Event.VECTOR_ELEMENTS, Event.TASK_STARTS, Event.IQ_HIGH_WATER):
        term = TERMS[{Event.IQ_HIGH_WATER: "iq_high_water_wavelets"}.get(event, event.name.lower())]
        values = record.event_counts[:, :, event]
        if values.any():
            found.append(Layer(term.name, term.name.replace("_", " "), term.unit, values, tile))
    return found


def _traffic(record: Record, everywhere: Array) -> list[Layer]:
    """Wavelets through each output of the routers, all colors together."""
    if not record.links.size:
        return []
    per_port = record.links.sum(axis=0)
    found = [
        Layer("wavelets", "wavelets, all outputs", "wavelets", per_port.sum(axis=2), everywhere,
              frames=LAYERS.index("wavelets"))
    ]  # fmt: skip
    for port in Port:
        words = "down the ramp" if port == Port.RAMP else f"link {port.name.lower()}"
        values = per_port[:, :, port]
        if values.any():
            found.append(Layer(f"link_{port.name}", words, "wavelets", values, everywhere, per_cycle=True))
    return found


def _last_busy(record: Record) -> Layer:
    """End of the last frame in which a block was busy: when its last event was, as finely as was sampled."""
    frames = record.frames
    assert frames is not None
    busy = frames.layers[LAYERS.index("busy")] > 0
    last = np.where(busy.any(axis=0), len(frames) - np.argmax(busy[::-1], axis=0), 0)
    blocks = frames.edges[last]
    ys, xs = (
        np.arange(size) // side for size, side in zip(record.has_tile.shape, frames.block[::-1], strict=True)
    )
    return Layer(
        "last_busy", "last busy before cycle (by frames)", "cycle", blocks[ys][:, xs], record.has_tile
    )


def _of_program(program: MachineProgram, record: Record) -> list[Layer]:
    """Which tile, SRAM, and how many colors use each output: what the program says without a run."""
    tables = program.tables
    if tables["tile_map"].shape != record.has_tile.shape:
        return []
    tile, everywhere = record.has_tile, np.ones_like(record.has_tile)
    locator = Locator(tables, program.meta)
    numbers = tables["tile_map"].astype(np.int64)
    names = [locator.string(int(row[TileCol.NAME])) for row in tables["tiles"]]
    sram = (tables["tiles"][:, TileCol.DATA_BYTES] + tables["tiles"][:, TileCol.CODE_BYTES]).astype(np.int64)
    found = [
        Layer("program", "program (tile)", "", np.maximum(numbers, 0), tile, measured=False, names=names),
        Layer("sram", "SRAM used (code estimated)", "bytes", sram[numbers] * tile, tile, measured=False),
    ]
    colors = np.zeros((len(Port) + 1, *tile.shape), np.int64)
    for rows in routes_by_color(program).values():
        routed = rows[:, :, RouteCol.NUM_POSITIONS] > 0
        first = np.maximum(rows[:, :, RouteCol.INITIAL], 0)
        outs = np.take_along_axis(rows, 2 * first[:, :, None] + 1, axis=2)[:, :, 0]
        for port in Port:
            colors[port] += routed & (outs >> port & 1 != 0)
        colors[len(Port)] += routed
    found.append(Layer("colors", "colors routed", "colors", colors[len(Port)], everywhere, measured=False))
    for port in Port:
        words = "down the ramp" if port == Port.RAMP else port.name.lower()
        found.append(
            Layer(
                f"colors_{port.name}",
                f"colors routed {words}",
                "colors",
                colors[port],
                everywhere,
                measured=False,
            )
        )
    return found
