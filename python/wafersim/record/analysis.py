"""What the counters of a record say: utilisation, bottleneck, totals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.program.schema import Counter, Event, Port
from wafersim.record.dictionary import COUNTER_COLUMNS, EVENT_COLUMNS, TERMS

if TYPE_CHECKING:
    from wafersim.record.record import Record

#: a link that carries a wavelet in at least this share of the cycles is called the bottleneck
LINK_BOUND_SHARE = 0.9

_SENTENCES = {
    Counter.BUSY_SCALAR: "scalar instructions",
    Counter.BUSY_VECTOR: "vector ops on memory",
    Counter.BUSY_SEND: "vector ops that send",
    Counter.BUSY_RECEIVE: "vector ops that receive",
    Counter.STALL_BANK: "bank conflicts",
    Counter.STALL_PIPELINE: "waiting for earlier instructions",
    Counter.STALL_PACE: "the sustained rate of vector ops",
    Counter.STALL_INPUT: "waiting for input",
    Counter.STALL_OUTPUT: "waiting for room to send",
    Counter.STALL_RESOURCE: "waiting for a queue or microthread",
}

_HIGH_WATER = (Event.IQ_HIGH_WATER, Event.OQ_HIGH_WATER)


def utilisation(record: Record) -> float | None:
    """Busy cycles over all cycles of PEs with a tile, 0 to 1; None if there are none."""
    total = record.cycles * int(record.has_tile.sum())
    if total == 0:
        return None
    return int(record["pe"]["busy_cycles"][record.has_tile].sum()) / total


def totals(record: Record) -> dict[str, int]:
    """Every per-PE column summed over the PEs with a tile (high-water marks: the largest)."""
    sums = record.counters[record.has_tile].sum(axis=0)
    result = {name: int(sums[counter]) for counter, name in COUNTER_COLUMNS.items()}
    for event, name in EVENT_COLUMNS.items():
        column = record.event_counts[:, :, event]
        result[name] = int(column.max(initial=0)) if event in _HIGH_WATER else int(column.sum())
    result["link_wavelets"] = int(record.links[..., : Port.RAMP].sum())
    return result


def busiest_link(record: Record) -> dict[str, Any] | None:
    """The link (RAMP included) that carried most wavelets, all colors together; None without wavelets."""
    if record.links.size == 0:
        return None
    per_link = record.links.sum(axis=0)
    y, x, port = (int(v) for v in np.unravel_index(int(per_link.argmax()), per_link.shape))
    wavelets = int(per_link[y, x, port])
    if wavelets == 0:
        return None
    return {
        "pe": [x, y],
        "port": Port(port).name,
        "wavelets": wavelets,
        "share": wavelets / max(1, record.cycles),
    }


def bottleneck(record: Record) -> dict[str, Any]:
    """What limited the run, as ``{"kind", "share", "pe", "text"}``; kind None if nothing ran.

    The busiest link decides if it carried a wavelet in `LINK_BOUND_SHARE` of the cycles. Otherwise the PE
    that idled least stands for the run, and the class with most of its cycles is the bottleneck.
    """
    if record.cycles == 0 or not bool(record.has_tile.any()):
        return {"kind": None, "share": None, "pe": None, "text": "nothing ran"}
    link = busiest_link(record)
    if link is not None and link["share"] >= LINK_BOUND_SHARE:
        where = f"PE ({link['pe'][0]}, {link['pe'][1]})"
        text = f"the link {link['port']} of {where} carried a wavelet in {link['share']:.0%} of the cycles"
        return {"kind": "link", "share": link["share"], "pe": link["pe"], "text": text}
    idle = np.where(record.has_tile, record.counters[:, :, Counter.IDLE], np.iinfo(np.int64).max)
    y, x = (int(v) for v in np.unravel_index(int(idle.argmin()), idle.shape))
    classes = record.counters[y, x, : Counter.IDLE]
    top = Counter(int(classes.argmax()))
    share = int(classes[top]) / record.cycles
    if int(classes[top]) == 0:
        return {"kind": "idle", "share": 1.0, "pe": [x, y], "text": "no PE had anything to do"}
    text = f"{_SENTENCES[top]}: {share:.0%} of the cycles of PE ({x}, {y}), the PE that idled least"
    return {
        "kind": TERMS[COUNTER_COLUMNS[top]].name.removesuffix("_cycles"),
        "share": share,
        "pe": [x, y],
        "text": text,
    }
