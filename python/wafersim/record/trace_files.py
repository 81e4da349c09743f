"""A timeline for other tools: a Perfetto trace, an Arrow table."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.program.schema import Port

if TYPE_CHECKING:
    from wafersim.record.frames import Frames
    from wafersim.record.record import Record
    from wafersim.record.timeline import Timeline

Array = np.ndarray[Any, Any]

#: longer timelines are not written as JSON and CSV, which are slow and large
MOST_IN_TEXT = 200_000

#: points of a link counter over the window
COUNTER_POINTS = 1000

#: most bytes of text of one Arrow column (32-bit offsets)
_MOST_TEXT = (1 << 31) - 1


def perfetto(
    timeline: Timeline, colors: Mapping[int, str], frames: Frames | None = None
) -> tuple[bytes, int]:
    """A Perfetto trace and the number of its slices.

    Parameters
    ----------
    timeline : Timeline
    colors : mapping
        Names of colors by number; a color without one is called by its number.
    frames : Frames, optional
        Give the counters of links, if the timeline holds no links itself.

    Notes
    -----
    A nanosecond of the trace is a cycle. A PE is a process; its tracks are tasks, threads, stalls, sends,
    receives and links. Idle stretches are left out. A flow joins a send with its receives where the color and
    the payload tell them from all others.
    """
    from wafersim import _core

    entries = timeline.entries
    used = np.unique(entries["color"][entries["color"] >= 0])
    names = [(int(c), colors.get(int(c)) or f"color {int(c)}") for c in used]
    x, y, width, height = timeline.rect
    data, slices = _core.perfetto(
        np.ascontiguousarray(entries).view(f"V{entries.dtype.itemsize}"),
        flows(entries),
        (x, y),
        (width, height),
        timeline.names,
        names,
        [_file_and_line(line) for line in timeline.lines],
        _link_counters(timeline) or _frame_counters(frames),
        timeline.missing(),
    )
    return bytes(data), int(slices)


def flows(entries: Array) -> Array:
    """A number > 0 that a send shares with its receives, 0 where that is not certain; int64 [n].

    A send and receives belong together if no other send has the same color and payload.
    """
    from wafersim.record.timeline import RECEIVE, SEND

    found = np.zeros(len(entries), np.int64)
    wavelets = np.flatnonzero((entries["kind"] == SEND) | (entries["kind"] == RECEIVE))
    if not wavelets.size:
        return found
    keys = entries["color"][wavelets].astype(np.int64) << 32 | entries["value"][wavelets] & 0xFFFFFFFF
    is_send = entries["kind"][wavelets] == SEND
    _, group = np.unique(keys, return_inverse=True)
    sends = np.bincount(group[is_send], minlength=int(group.max()) + 1)
    receives = np.bincount(group[~is_send], minlength=len(sends))
    certain = ((sends == 1) & (receives >= 1))[group]
    found[wavelets[certain]] = 1 + group[certain]
    return found


def _file_and_line(line: str) -> tuple[str, int]:
    """``file`` and number of ``file:number: text``."""
    file, _, rest = line.partition(":")
    number = rest.partition(":")[0]
    return (file, int(number)) if number.isdigit() else (line, 0)


def trace_files(record: Record) -> dict[str, bytes]:
    """Files of a record directory for its timeline; those in text only of a short one."""
    timeline = record.timeline
    if timeline is None:
        return {}
    colors = {int(color["number"]): str(color["name"]) for color in record.colors}
    found = {
        "timeline.pftrace": timeline.to_perfetto(colors, record.frames),
        "timeline.arrow": arrow_bytes(timeline),
    }
    if len(timeline.entries) <= MOST_IN_TEXT:
        found |= {"timeline.json": timeline.to_chrome().encode(), "timeline.csv": timeline.to_csv().encode()}
    return found


def _link_counters(timeline: Timeline) -> list[tuple[str, str, list[tuple[int, float]]]]:
    """Wavelets per cycle through the rectangle's links, from the timeline's own entries."""
    from wafersim.record.timeline import LINK

    links = timeline.entries[timeline.entries["kind"] == LINK]
    if not len(links):
        return []
    first, last = int(links["begin"].min()), int(links["end"].max())
    step = max(1, -(-(last - first) // COUNTER_POINTS))
    edges = np.arange(first, last + step, step)
    found = []
    for port in (Port.NORTH, Port.EAST, Port.SOUTH, Port.WEST):
        counts, _ = np.histogram(links["begin"][links["thread"] == port], edges)
        if counts.any():
            found.append(_counter(f"links {port.name}", edges, counts / step))
    return found


def _frame_counters(frames: Frames | None) -> list[tuple[str, str, list[tuple[int, float]]]]:
    """Wavelets per cycle through all links of the wafer, from the frames."""
    if frames is None:
        return []
    lengths = np.diff(frames.edges)
    return [
        _counter(f"links {port.name}, whole wafer", frames.edges, frames.ports[:, port] / lengths)
        for port in Port
        if frames.ports[:, port].any()
    ]


def _counter(name: str, edges: Array, values: Array) -> tuple[str, str, list[tuple[int, float]]]:
    points = [(int(edge), float(value)) for edge, value in zip(edges[:-1], values, strict=True)]
    return name, "wavelets per cycle", [*points, (int(edges[-1]), 0.0)]


def to_arrow(timeline: Timeline) -> Any:
    """The entries as a nanoarrow stream; `Timeline.to_arrow`."""
    try:
        import nanoarrow as na
    except ImportError:
        raise ConfigError("to_arrow() needs nanoarrow: pip install nanoarrow") from None
    from wafersim.record.timeline import KINDS

    entries = timeline.entries
    columns: dict[str, Any] = {"kind": _text_column(KINDS, entries["kind"].astype(np.int64))}
    for name in ("x", "y", "begin", "end", "thread", "color", "value"):
        array = np.ascontiguousarray(entries[name])
        columns[name] = na.c_array(array, getattr(na, array.dtype.name)())
    columns["name"] = _text_column(timeline.names, entries["name"])
    columns["source"] = _text_column(timeline.lines, entries["line"])
    columns["open"] = na.c_array(entries["open"].astype(np.uint8), na.uint8())
    schema = na.struct({name: na.Schema(column.schema) for name, column in columns.items()})
    batch = na.c_array_from_buffers(
        schema, len(entries), [None], null_count=0, children=list(columns.values())
    )
    return na.ArrayStream(batch)


def _text_column(words: Sequence[str], places: Array) -> Any:
    """An Arrow string column: ``words[place]``, empty for negative places."""
    import nanoarrow as na

    encoded = [word.encode() for word in words] + [b""]
    lengths = np.array([len(word) for word in encoded], np.int64)[places]
    offsets = np.zeros(len(places) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    if offsets[-1] > _MOST_TEXT:
        raise ConfigError("to_arrow(): more than 2 GiB of text in a column; take fewer entries")
    widest = int(max(map(len, encoded), default=0)) or 1
    padded = np.zeros((len(encoded), widest), np.uint8)
    for row, word in enumerate(encoded):
        padded[row, : len(word)] = np.frombuffer(word, np.uint8)
    parts = [
        padded[part][np.arange(widest) < lengths[k : k + len(part), None]] for k, part in _chunks(places)
    ]
    data = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    return na.c_array_from_buffers(
        na.string(), len(places), [None, offsets.astype(np.int32), data], null_count=0
    )


def _chunks(places: Array, size: int = 1 << 16) -> Any:
    """(start, places) in pieces, so that padding takes little memory."""
    return ((k, places[k : k + size]) for k in range(0, len(places), size))


def arrow_bytes(timeline: Timeline) -> bytes:
    """The entries as an Arrow IPC stream."""
    from nanoarrow import ipc

    out = io.BytesIO()
    with ipc.StreamWriter.from_writable(out) as writer:
        writer.write_stream(to_arrow(timeline))
    return out.getvalue()
