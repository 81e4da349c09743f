"""Pictures of a small layout as SVG."""

from __future__ import annotations

from html import escape

import numpy as np

from wafersim.program.picture import ColorPicture, Scene, has_port
from wafersim.program.schema import Port

_PALETTE = (
    "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2",
)  # fmt: skip
_TILE_FILL = ("#f4f4f4", "#e8f0fe", "#fef3e2", "#e9f7ec", "#f9e8f3", "#eef0d5")
_CELL = 72
_STEP = {Port.NORTH: (0, -1), Port.EAST: (1, 0), Port.SOUTH: (0, 1), Port.WEST: (-1, 0)}
_NOTE = "hollow: sends from the ramp; filled: delivers to the ramp; digit: switch positions"


def svg_of(scene: Scene) -> str:
    """Tiles and all colors of the scene in one SVG document."""
    height, width = scene.tile_map.shape
    top = _CELL * height + 60
    total = top + 24 + 18 * max(len(scene.colors), len(scene.tile_names))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{max(_CELL * width + 80, 520)}" height="{total}"',
        ' font-family="sans-serif" font-size="11">',
        '<defs><marker id="head" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="5" markerHeight="5"',
        ' orient="auto"><path d="M0,0 L6,3 L0,6 z" fill="context-stroke"/></marker></defs>',
    ]
    out += _tiles(scene)
    for k, color in enumerate(scene.colors):
        out += _color(color, k, len(scene.colors))
    out += _legend(scene, top)
    out.append("</svg>")
    return "\n".join(out) + "\n"


def _rect(x: float, y: float, width: float, height: float, fill: str, stroke: str = "none") -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}" stroke="{stroke}"/>'


def _text(x: float, y: float, text: str, fill: str = "black", size: int = 11) -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{fill}" font-size="{size}">{escape(text)}</text>'


def _tiles(scene: Scene) -> list[str]:
    out = []
    for j, row in enumerate(scene.tile_map):
        for i, tile in enumerate(row):
            x, y = 40 + _CELL * i, 30 + _CELL * j
            fill = "none" if tile < 0 else _TILE_FILL[int(tile) % len(_TILE_FILL)]
            out.append(_rect(x + 8, y + 8, _CELL - 16, _CELL - 16, fill, "#999"))
            name = "" if tile < 0 else scene.tile_names[int(tile)]
            out.append(_text(x + 11, y + 19, f"({scene.x + i},{scene.y + j}) {name}", "#777", 8))
    return out


def _color(color: ColorPicture, k: int, total: int) -> list[str]:
    """Lines from the middle of a PE to its neighbors; a dot at the ramp: filled receives, hollow sends."""
    stroke = _PALETTE[k % len(_PALETTE)]
    shift = 0.0 if total == 1 else 24.0 * k / (total - 1) - 12.0
    out = []
    for j, i in zip(*np.nonzero(color.positions), strict=True):
        x, y = 40 + _CELL * (i + 0.5) + shift, 34 + _CELL * (j + 0.5) + shift
        ins, outs = int(color.ins[j, i]), int(color.outs[j, i])
        for port, (dx, dy) in _STEP.items():
            if has_port(outs, port):
                end = f'x2="{x + dx * (_CELL - 5):g}" y2="{y + dy * (_CELL - 5):g}"'
                style = f'stroke="{stroke}" stroke-width="1.6" marker-end="url(#head)"'
                out.append(f'<line x1="{x:g}" y1="{y:g}" {end} {style}/>')
        if has_port(ins, Port.RAMP) or has_port(outs, Port.RAMP):
            fill = stroke if has_port(outs, Port.RAMP) else "white"
            out.append(f'<circle cx="{x:g}" cy="{y:g}" r="4" fill="{fill}" stroke="{stroke}"/>')
        if color.positions[j, i] > 1:
            out.append(_text(x + 5, y - 4, str(color.positions[j, i]), stroke, 8))
    return out


def _legend(scene: Scene, top: int) -> list[str]:
    out = [_text(40, top, _NOTE)]
    for k, color in enumerate(scene.colors):
        y = top + 18 * (k + 1)
        out.append(_rect(40, y - 9, 12, 10, _PALETTE[k % len(_PALETTE)]))
        out.append(_text(58, y, f"{color.name} ({color.number})"))
    for k, name in enumerate(scene.tile_names):
        y = top + 18 * (k + 1)
        out.append(_rect(200, y - 9, 12, 10, _TILE_FILL[k % len(_TILE_FILL)], "#999"))
        out.append(_text(218, y, name))
    return out
