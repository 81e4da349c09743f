"""A heat map of the wafer: where every PE's cycles went, as one SVG without dependencies.

Each panel is a small PNG, one pixel per PE (fewer on large grids), embedded in the SVG; labels are text.
"""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.program.schema import Counter

if TYPE_CHECKING:
    from wafersim.record.record import Record

Array = np.ndarray[Any, Any]

#: anchors of the color scale from 0 to 1: dark blue, violet, orange, light yellow
_SCALE = np.array([[13, 8, 60], [126, 27, 120], [229, 92, 48], [252, 240, 164]], np.float64)
_NO_TILE = np.array([225, 225, 225], np.uint8)

_PANEL = 260
_GAP = 40
_TOP = 78


def heat_map_svg(record: Record) -> str:
    """SVG text: busy, stalled and idle share per PE, its router's wavelets per cycle; grey without a tile.

    Every panel has its own scale, from its lowest to its highest value, both of which it names.
    """
    stalls = slice(Counter.STALL_BANK, Counter.IDLE)
    cycles = max(1, record.cycles)
    everywhere = np.ones_like(record.has_tile)
    panels = [
        ("busy", record["pe"]["busy_cycles"] / cycles, record.has_tile, _percent),
        ("stalled", record.counters[:, :, stalls].sum(axis=2) / cycles, record.has_tile, _percent),
        ("idle", record.counters[:, :, Counter.IDLE] / cycles, record.has_tile, _percent),
        ("router", record.links.sum(axis=(0, 3)) / cycles, everywhere, _wavelets),
    ]
    scale = min(_PANEL / record.width, _PANEL / record.height)
    width, height = max(1.0, record.width * scale), max(1.0, record.height * scale)
    total_width, total_height = len(panels) * (_PANEL + _GAP) + _GAP, _TOP + height + 70
    body = [_heading(record)]
    for index, (title, values, shown, words) in enumerate(panels):
        inside = values[shown]
        low, high = (float(inside.min()), float(inside.max())) if inside.size else (0.0, 0.0)
        image = _png(_pixels((values - low) / ((high - low) or 1.0), shown))
        left = _GAP + index * (_PANEL + _GAP)
        body.append(_panel(left, width, height, f"{title}: {words(low)} to {words(high)}", image))
    body.append(_legend(_TOP + height + 24))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_width} {total_height:.0f}" '
        f'width="{total_width}" height="{total_height:.0f}" font-family="sans-serif" font-size="13">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _wavelets(value: float) -> str:
    return f"{value:.3g} wavelets a cycle"


def _heading(record: Record) -> str:
    info = record.info
    name = info.get("kernel") or info.get("program") or "run"
    where = f"{name} on {record.width}x{record.height} PEs, {info.get('arch')}"
    line = f"{where}: {record.cycles:,} cycles, {record.status}"
    legend = "per PE; x grows to the right, y grows down; each panel from its lowest to its highest value"
    return (
        f'<text x="{_GAP}" y="28" font-size="16">{escape(line)}</text>\n'
        f'<text x="{_GAP}" y="48" fill="#555">{legend}</text>'
    )


def _panel(left: float, width: float, height: float, title: str, png: bytes) -> str:
    data = base64.b64encode(png).decode()
    return (
        f'<text x="{left}" y="{_TOP - 8}">{title}</text>\n'
        f'<image x="{left}" y="{_TOP}" width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>\n'
        f'<rect x="{left}" y="{_TOP}" width="{width:.1f}" height="{height:.1f}" fill="none" stroke="#888"/>'
    )


def _legend(top: float) -> str:
    ramp = np.linspace(0.0, 1.0, 128)[None, :]
    data = base64.b64encode(_png(_pixels(ramp, np.ones(ramp.shape, bool)))).decode()
    return (
        f'<image x="{_GAP}" y="{top}" width="{_PANEL}" height="12" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{data}"/>\n'
        f'<text x="{_GAP}" y="{top + 28}">lowest</text>'
        f'<text x="{_GAP + _PANEL}" y="{top + 28}" text-anchor="end">highest</text>'
    )


def _pixels(values: Array, shown: Array) -> Array:
    """Colors uint8 [H, W, 3] of values 0..1."""
    place = np.clip(values, 0.0, 1.0) * (len(_SCALE) - 1)
    low = np.minimum(place.astype(np.int64), len(_SCALE) - 2)
    part = (place - low)[:, :, None]
    colors = _SCALE[low] * (1 - part) + _SCALE[low + 1] * part
    return np.where(shown[:, :, None], np.rint(colors).astype(np.uint8), _NO_TILE)


def _png(pixels: Array) -> bytes:
    """A PNG of 8-bit RGB pixels [H, W, 3]."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row starts with filter type 0
    rows[:, 1:] = pixels.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
