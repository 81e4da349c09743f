"""The map of the wafer: bokeh, everything inline, colors as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.record.frames import LAYERS, Frames
from wafersim.report.layers import STEPS, Layer

if TYPE_CHECKING:
    from wafersim.report.waits import Pe

Array = np.ndarray[Any, Any]

#: anchors of the color scale: dark blue, violet, orange, light yellow; 0 is "no tile"
_SCALE = np.array([[13, 8, 60], [126, 27, 120], [229, 92, 48], [252, 240, 164]], np.float64)
_NO_TILE = "#d4d8dd"

_SIDE = 640


def bokeh_or_error() -> Any:
    """The bokeh package; raises ConfigError where it is not installed."""
    try:
        import bokeh
    except ImportError:
        raise ConfigError("report: the map needs bokeh: pip install 'wafersim[report]'") from None
    return bokeh


def palette() -> list[str]:
    """256 colors."""
    place = np.linspace(0.0, len(_SCALE) - 1.0, STEPS + 1)
    low = np.minimum(place.astype(np.int64), len(_SCALE) - 2)
    part = (place - low)[:, None]
    colors = np.rint(_SCALE[low] * (1 - part) + _SCALE[low + 1] * part).astype(int)
    return [_NO_TILE, *(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colors.tolist())]


def map_parts(
    layers: list[Layer],
    frames: Frames | None,
    arrows: list[tuple[Pe, Pe, bool]],
    alone: list[Pe],
) -> tuple[str, str, str]:
    """Bokeh's own script, the script that draws the map, and the element it is drawn in."""
    bokeh_or_error()
    from bokeh.embed import components
    from bokeh.resources import Resources

    figure = _figure(layers[0].values.shape)
    _add_images(figure, layers, frames)
    _add_waits(figure, arrows, alone)
    script, element = components(figure, wrap_script=False)
    return Resources(mode="inline", components=["bokeh"]).render_js(), script, element


def _figure(shape: tuple[int, ...]) -> Any:
    from bokeh.events import MouseLeave, MouseMove
    from bokeh.models import CustomJS, HoverTool, Range1d
    from bokeh.plotting import figure

    height, width = shape
    scale = _SIDE / max(width, height, 1)
    margin = 0.01 * max(width, height)
    plot = figure(
        width=int(max(240, width * scale)) + 70,
        height=int(max(160, height * scale)) + 60,
        x_range=Range1d(-margin, width + margin),
        y_range=Range1d(height + margin, -margin),
        tools="pan,wheel_zoom,box_zoom,reset",
        active_scroll="wheel_zoom",
        output_backend="canvas",
        name="map",
    )
    plot.toolbar.logo = None
    plot.xaxis.axis_label, plot.yaxis.axis_label = "x (east)", "y (south)"
    plot.grid.visible = False
    assert not plot.select(HoverTool)
    plot.js_on_event(MouseMove, CustomJS(code="window.waferHover(cb_obj.x, cb_obj.y)"))
    plot.js_on_event(MouseLeave, CustomJS(code="window.waferHover(null, null)"))
    return plot


def _add_images(plot: Any, layers: list[Layer], frames: Frames | None) -> None:
    from bokeh.models import ColumnDataSource, LinearColorMapper

    height, width = layers[0].values.shape
    mapper = LinearColorMapper(palette=palette(), low=-0.5, high=STEPS + 1.5)
    whole = ColumnDataSource({f"l{k}": [layer.steps()] for k, layer in enumerate(layers)}, name="whole")
    extent = {"x": 0, "y": 0, "dw": width, "dh": height, "color_mapper": mapper}
    plot.image(image="l0", source=whole, name="cells", **extent)
    if frames is None:
        return
    images: dict[str, list[Array]] = {}
    for layer, name in enumerate(LAYERS):
        steps = frame_steps(frames, name)
        images |= {f"f{layer}_{k}": [steps[k]] for k in range(len(frames))}
    extent |= {"dw": frames.pes.shape[1] * frames.block[0], "dh": frames.pes.shape[0] * frames.block[1]}
    parts = ColumnDataSource(images, name="parts")
    plot.image(image="f0_0", source=parts, name="blocks", visible=False, **extent)


def frame_steps(frames: Frames, name: str) -> Array:
    """Colors uint8 [F, BH, BW] of a layer's frames: shares from 0 to 1; of wavelets up to the largest."""
    share = frames.share(name)
    most = max(float(share.max(initial=0.0)), 1e-12) if name == "wavelets" else 1.0
    steps = 1 + np.rint(np.clip(share / most, 0, 1) * STEPS)
    return np.where(frames.pes > 0, steps, 0).astype(np.uint8)


def _add_waits(plot: Any, arrows: list[tuple[Pe, Pe, bool]], alone: list[Pe]) -> None:
    """Arrows to the PE that a PE waits for, red in a ring; a circle where it waits for no other."""
    from bokeh.models import Arrow, ColumnDataSource, NormalHead

    for in_ring, color in ((False, "#2b6cff"), (True, "#e01e37")):
        chosen = [(start, end) for start, end, ringed in arrows if ringed == in_ring]
        if not chosen:
            continue
        ends = _shortened(np.array(chosen, np.float64) + 0.5)
        source = ColumnDataSource(dict(zip(("x0", "y0", "x1", "y1"), ends.T, strict=True)))
        head = NormalHead(size=9, fill_color=color, line_color="white")
        plot.add_layout(
            Arrow(source=source, x_start="x0", y_start="y0", x_end="x1", y_end="y1", end=head,
                  line_color=color, line_width=2.5, name="waits")
        )  # fmt: skip
    if alone:
        xs, ys = np.array(alone, np.float64).T + 0.5
        plot.scatter(
            xs,
            ys,
            size=13,
            marker="circle",
            fill_color=None,
            line_color="#e01e37",
            line_width=2.5,
            name="alone",
        )


def _shortened(ends: Array) -> Array:
    """Rows (x0, y0, x1, y1) of arrows that begin and end a little beside the middle of their PEs."""
    start, end = ends[:, 0], ends[:, 1]
    way = (end - start) / np.maximum(1e-9, np.linalg.norm(end - start, axis=1, keepdims=True))
    aside = 0.12 * np.stack([-way[:, 1], way[:, 0]], axis=1)
    return np.concatenate([start + 0.2 * way + aside, end - 0.2 * way + aside], axis=1)
