"""What the counters of a record say: utilisation, bottleneck, totals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.program.schema import Counter, Event, Port
from wafersim.record import limiting
from wafersim.record.dictionary import COUNTER_COLUMNS, EVENT_COLUMNS

if TYPE_CHECKING:
    from wafersim.record.record import Record

Array = np.ndarray[Any, Any]

#: a link that carries a wavelet in at least this share of the cycles is called the bottleneck
LINK_BOUND_SHARE = 0.9

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


def busiest_link(record: Record, per_link: Array | None = None) -> dict[str, Any] | None:
    """The link (RAMP included) that carried most wavelets, all colors together; None without wavelets."""
    per_link = limiting.wavelets_per_link(record) if per_link is None else per_link
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
    """What limited the run, as ``{"kind", "share", "pe", "text", "next"}``; kind None if nothing ran.

    The busiest link decides if it carried a wavelet in `LINK_BOUND_SHARE` of the cycles. Otherwise the PE
    that idled least stands for the run, and the class with most of its cycles is the bottleneck. ``next``
    lists the other classes of that PE with their shares, the largest first.
    """
    if record.cycles == 0 or not bool(record.has_tile.any()):
        return {"kind": None, "share": None, "pe": None, "text": "nothing ran", "next": []}
    idle = np.where(record.has_tile, record.counters[:, :, Counter.IDLE], np.iinfo(np.int64).max)
    y, x = (int(v) for v in np.unravel_index(int(idle.argmin()), idle.shape))
    shares = [(name, count / record.cycles) for name, count in limiting.classes_of(record, x, y).items()]
    following = [{"kind": name, "share": share} for name, share in shares if share > 0]
    per_link = limiting.wavelets_per_link(record)
    link = busiest_link(record, per_link)
    beside = limiting.limits_text(record, x, y, per_link)
    if link is not None and link["share"] >= LINK_BOUND_SHARE:
        where = f"{link['port']} of PE ({link['pe'][0]}, {link['pe'][1]})"
        text = f"{link['share']:.0%} of cycles: the link {where} carried a wavelet"
        found = {"kind": "link", "share": link["share"], "pe": link["pe"], "next": following}
        return found | {"text": _joined(text, beside)}
    working = [(name, share) for name, share in shares if name != "idle"]
    top, share = working[0]
    if share == 0:
        return {"kind": "idle", "share": 1.0, "pe": [x, y], "text": "no PE had anything to do", "next": []}
    words = limiting.waiting_words(record, x, y) if top == "stall_input" else limiting.WORDS[top]
    text = f"{share:.0%} of cycles: {words} (PE ({x}, {y}), the one that idled least)"
    rest = [entry for entry in following if entry["kind"] != top]
    return {"kind": top, "share": share, "pe": [x, y], "text": _joined(text, beside), "next": rest}


def _joined(text: str, beside: str) -> str:
    return f"{text}; {beside}" if beside else text
