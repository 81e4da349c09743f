"""The record of a run: one object with its figures, its per-PE columns and its link counts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wafersim._version import __version__
from wafersim.errors import ConfigError, InternalError
from wafersim.program.schema import Counter, Event, Port
from wafersim.record import analysis
from wafersim.record.dictionary import COUNTER_COLUMNS, EVENT_COLUMNS
from wafersim.record.frames import Frames
from wafersim.record.plain import plain
from wafersim.record.source import Source
from wafersim.record.table import Table
from wafersim.record.timeline import Timeline

#: version of the record's fields and of its directory; raised when a reader has to change
RECORD_SCHEMA = 1

STATUSES = ("finished", "stuck", "limit", "interrupted", "paused", "fault")

Array = np.ndarray[Any, Any]

_NUM_BUSY = sum(1 for counter in Counter if counter.name.startswith("BUSY"))
_NUM_STALL = sum(1 for counter in Counter if counter.name.startswith("STALL"))


@dataclass
class Record:
    """What a run did: cycles, values checked, where every cycle of every PE went.

    Attributes
    ----------
    counters : int64 array [H, W, len(Counter)]
        Cycles per class; for a PE with a tile they add up to ``cycles``.
    event_counts : int64 array [H, W, len(Event)]
    links : int64 array [K, H, W, 5]
        Wavelets per used color and output port (`Port` order), K as in ``colors``.
    has_tile : bool array [H, W]
    info : dict
        The other fields, as `summary` gives them.
    timeline : Timeline or None
        What `Simulator.timeline` asked for; a record that was loaded has none.
    frames : Frames or None
        The run over time, if it was sampled (``--frames``).
    source : Source or None
        The program and the constants it ran with.
    """

    counters: Array
    event_counts: Array
    links: Array
    has_tile: Array
    colors: list[dict[str, Any]] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    timeline: Timeline | None = None
    frames: Frames | None = None
    source: Source | None = None

    def __post_init__(self) -> None:
        self.counters, self.event_counts = _read_only(self.counters), _read_only(self.event_counts)
        self.links, self.has_tile = _read_only(self.links), _read_only(self.has_tile)

    # -- single figures ------------------------------------------------------------------------------------

    @property
    def cycles(self) -> int:
        """Cycles from the launch to the last event."""
        return int(self.info["cycles"])

    @property
    def status(self) -> str:
        """How the run ended, one of ``STATUSES``."""
        return str(self.info["status"])

    @property
    def seconds(self) -> float | None:
        """Cycles at the arch's clock, in seconds; None if the arch has no clock."""
        value = self.info.get("seconds")
        return None if value is None else float(value)

    @property
    def counted(self) -> bool:
        """Whether cycles per class, events and wavelets were counted per PE (not at fidelity stream)."""
        return self.info.get("counted") is not False

    @property
    def metrics(self) -> dict[str, Any]:
        """The kernel's own figures."""
        return dict(self.info.get("metrics") or {})

    @property
    def width(self) -> int:
        return int(self.counters.shape[1])

    @property
    def height(self) -> int:
        return int(self.counters.shape[0])

    def __getattr__(self, name: str) -> Any:
        info = self.__dict__.get("info")
        if info is not None and name in info:
            return info[name]
        raise AttributeError(f"a record has no field {name!r}")

    # -- tables --------------------------------------------------------------------------------------------

    def __getitem__(self, table: str) -> Table:
        """``record["pe"]`` (columns [H, W]) or ``record["links"]`` (a row per used link and color)."""
        if not self.counted:
            raise ConfigError(
                f"table {table!r}: a run at fidelity {self.info['fidelity']} does not count per PE"
            )
        if table == "pe":
            return self._pe_table
        if table == "links":
            return self._link_table
        raise KeyError(f"a record has tables 'pe' and 'links', not {table!r}")

    @functools.cached_property
    def _pe_table(self) -> Table:
        rows, cols = self.height, self.width
        columns: dict[str, Array | Callable[[], Array]] = {
            "x": lambda: np.broadcast_to(np.arange(cols, dtype=np.int32), (rows, cols)).copy(),
            "y": lambda: np.broadcast_to(np.arange(rows, dtype=np.int32)[:, None], (rows, cols)).copy(),
        }
        columns |= {name: self.counters[:, :, counter] for counter, name in COUNTER_COLUMNS.items()}
        columns["busy_cycles"] = lambda: self._sum("BUSY")
        columns["stall_cycles"] = lambda: self._sum("STALL")
        columns |= {name: self.event_counts[:, :, event] for event, name in EVENT_COLUMNS.items()}
        return Table("pe", columns)

    def _sum(self, prefix: str) -> Array:
        which = [counter for counter in Counter if counter.name.startswith(prefix)]
        return np.asarray(self.counters[:, :, min(which) : max(which) + 1].sum(axis=2))

    @functools.cached_property
    def _link_table(self) -> Table:
        k, y, x, port = np.nonzero(self.links)
        numbers = np.array([color["number"] for color in self.colors], np.int32)
        columns: dict[str, Array] = {
            "x": x.astype(np.int32),
            "y": y.astype(np.int32),
            "color": numbers[k] if k.size else np.empty(0, np.int32),
            "port": port.astype(np.int32),
            "wavelets": self.links[k, y, x, port],
        }
        return Table("links", columns)

    def link_wavelets(self, color: int | str, port: Port | str) -> Array:
        """Wavelets [H, W] of one color (number or name) that each PE's router sent through ``port``."""
        name = port.upper() if isinstance(port, str) else Port(port).name
        for index, entry in enumerate(self.colors):
            if color in (entry["number"], entry["name"]):
                return np.asarray(self.links[index, :, :, Port[name]])
        used = [entry["name"] or entry["number"] for entry in self.colors]
        raise KeyError(f"color {color!r} is not used; used: {used}")

    # -- what it means -------------------------------------------------------------------------------------

    @functools.cached_property
    def bottleneck_detail(self) -> dict[str, Any]:
        """What limited the run: ``kind``, ``share`` of the cycles, the PE, and a sentence."""
        if not self.counted:
            return {"kind": None, "text": f"not counted at fidelity {self.info['fidelity']}"}
        return analysis.bottleneck(self)

    @property
    def bottleneck(self) -> str | None:
        """Name of the class of cycles (or 'link') that limited the run; None if nothing ran."""
        kind = self.bottleneck_detail["kind"]
        return None if kind is None else str(kind)

    @property
    def utilisation(self) -> float | None:
        """Busy cycles over all cycles of the PEs that have a tile; None if nothing ran."""
        return analysis.utilisation(self) if self.counted else None

    def check_complete(self) -> None:
        """Raise `InternalError` unless busy + stalls + idle = cycles for each PE that has a tile."""
        rows = self.counters.reshape(-1, self.counters.shape[2])
        places = np.flatnonzero(self.has_tile)  # an empty region costs nothing
        total = (rows if places.size == len(rows) else rows[places]).sum(axis=1)
        wrong = np.flatnonzero(total != self.cycles)
        if wrong.size:
            y, x = divmod(int(places[wrong[0]]), self.width)
            raise InternalError(
                f"PE ({x}, {y}): its classes add up to {int(total[wrong[0]])} of {self.cycles} cycles"
            )

    def summary(self) -> dict[str, Any]:
        """The fields of ``wafersim run --json``, as plain Python values."""
        fields: dict[str, Any] = {"schema": RECORD_SCHEMA, "wafersim": __version__}
        fields |= self.info
        fields |= {
            "utilisation": self.utilisation,
            "bottleneck": self.bottleneck,
            "bottleneck_text": self.bottleneck_detail["text"],
            "bottleneck_detail": self.bottleneck_detail,
            "totals": analysis.totals(self) if self.counted else None,
        }
        return dict(plain(fields))

    def __repr__(self) -> str:
        what = self.info.get("kernel") or self.info.get("program") or "run"
        return f"<Record {what} {self.width}x{self.height} {self.status} {self.cycles} cycles>"

    # -- outside -------------------------------------------------------------------------------------------

    def to_arrow(self, table: str = "pe") -> Any:
        """A table as a nanoarrow stream (Arrow PyCapsule interface)."""
        return self[table].to_arrow()

    def to_xarray(self) -> Any:
        """The figures per PE as an xarray Dataset with dims ``y, x``, units and descriptions as attributes.

        Every column of ``record["pe"]`` is a variable, so is ``has_tile``; ``link_wavelets`` has the dims
        ``color, port, y, x``. The record's figures that are numbers or text are the dataset's ``attrs``.

        Raises
        ------
        ConfigError
            xarray is not installed.
        """
        from wafersim.record.xarray_view import dataset

        return dataset(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self["pe"].__arrow_c_stream__(requested_schema)

    def save(self, directory: str | Path, extra: Mapping[str, bytes] | None = None) -> Path:
        """Write the record as a directory of .npy columns and JSON; whole or not at all.

        A record of fidelity stream has no columns: what was not counted is absent, not zero.

        Raises
        ------
        ConfigError
            The directory holds something that is no record, or cannot be written.
        """
        from wafersim.record import store

        return store.save(self, Path(directory), dict(extra or {}))

    @classmethod
    def load(cls, directory: str | Path) -> Record:
        """Read a record that `save` wrote; nothing in it is trusted.

        Raises
        ------
        ConfigError
            Not a record, damaged, or of another schema.
        """
        from wafersim.record import store

        return store.load(Path(directory))


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


assert len(Counter) == _NUM_BUSY + _NUM_STALL + 1, "counters are busy, stall or idle"
assert len(EVENT_COLUMNS) == len(Event)
