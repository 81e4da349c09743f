"""Color configurations of the layout and of PE programs, laid onto the grid of route classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wafersim.csl.ast import Span
from wafersim.csl.diagnostics import CslError, of_builder
from wafersim.csl.emit.config import ConfigReader
from wafersim.csl.instance import ColorConfig, ProgramInstance
from wafersim.csl.values import Choice, Value
from wafersim.errors import ProgramError
from wafersim.program.check_routes import MAX_FILTERS
from wafersim.program.layout import Layout
from wafersim.program.routes import RouteClass
from wafersim.program.schema import NUM_COLORS, RouteCol


class RouteWriter:
    """Writes configurations into a layout and remembers which text configured which PE."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.spans: list[Span] = []
        self._owner: dict[int, npt.NDArray[np.int32]] = {}

    def add_layout(self, config: ColorConfig) -> None:
        """One ``@set_color_config``."""
        self._add("@set_color_config", config.xs, config.ys, config.color, config.config, config.span)

    def add_local(self, instance: ProgramInstance) -> None:
        """All ``@set_local_color_config`` of a class."""
        for config in instance.color_configs:
            data = config.color.data
            if isinstance(data, Choice):
                data = np.array([int(item.data) for item in data.alternatives])[data.index]
            xs, ys = instance.xs, instance.ys
            self._add("@set_local_color_config", xs, ys, data, config.config, config.span)

    def check_filters(self) -> None:
        """The filters of a PE are limited; the place is the last configuration that has one there."""
        limit = MAX_FILTERS.get(self.layout.generation)
        filtered = np.array([row[RouteCol.FILTER] != 0 for row in self.layout.route_table.rows()] + [False])
        if limit is None or not filtered.any():
            return
        by_color = {color: filtered[grid] for color, grid in self.layout.route_maps.items()}
        counts = np.sum(list(by_color.values()), axis=0)
        if (counts <= limit).all():
            return
        y, x = (int(v[0]) for v in np.nonzero(counts > limit))
        color = [c for c, has in by_color.items() if has[y, x]][-1]
        raise CslError(
            self.span_of(color, (x, y)),
            f"PE ({x}, {y}) has {int(counts[y, x])} filters",
            allowed=f"{limit} on wse{self.layout.generation}",
            pe=(x, y),
            color=color,
        )

    def check_filter_ids(self, instance: ProgramInstance) -> None:
        """The colors whose filters a class of PEs asks for have one on all of them."""
        if not instance.filters:
            return
        rows = self.layout.route_table.rows()
        filtered = np.array([row[RouteCol.FILTER] != 0 for row in rows] + [False])
        for color, span in instance.filters:
            grid = self.layout.route_maps.get(color)
            has = (
                filtered[grid]
                if grid is not None
                else np.zeros((self.layout.height, self.layout.width), bool)
            )
            missing = np.flatnonzero(~has[instance.ys, instance.xs])
            if len(missing):
                x, y = int(instance.xs[missing[0]]), int(instance.ys[missing[0]])
                raise CslError(
                    span, f"@get_filter_id: color {color} has no filter on PE ({x}, {y})",
                    hint="give it .filter in @set_color_config", pe=(x, y), color=color,
                )  # fmt: skip

    def span_of(self, color: int | None, pe: Sequence[int] | None) -> Span | None:
        """Where the color of a PE was configured (without a PE: anywhere)."""
        owner = self._owner.get(color) if color is not None else None
        if owner is None:
            return None
        if pe is not None and len(pe) >= 2 and pe[1] < owner.shape[0] and pe[0] < owner.shape[1]:
            number = int(owner[pe[1], pe[0]])
            if number >= 0:
                return self.spans[number]
        known = owner[owner >= 0]
        return self.spans[int(known[0])] if len(known) else None

    def _add(
        self,
        word: str,
        xs: npt.NDArray[np.int64],
        ys: npt.NDArray[np.int64],
        color: int | npt.NDArray[np.int64],
        config: Value,
        span: Span,
    ) -> None:
        if not len(xs):
            return
        self._check_places(word, xs, ys, span)
        columns = np.asarray(color)
        bad = (columns < 0) | (columns >= NUM_COLORS)
        if bad.any():
            found = str(int(columns.reshape(-1)[int(np.argmax(bad))]))
            raise CslError(span, f"{word}: no such color", found=found, allowed=f"0 .. {NUM_COLORS - 1}")

        def place(lane: int) -> tuple[int, int]:
            return int(xs[lane]), int(ys[lane])

        reader = ConfigReader(span, word, self.layout.generation, len(xs), place)
        number, rows = reader.read(config).classes()
        table = np.array([self.layout.route_table.intern(row).row for row in rows], np.int32)
        classes = table[number]
        self.spans.append(span)
        for one in np.unique(columns):
            if columns.ndim == 0:
                self._write(int(one), xs, ys, classes, span, word)
            else:
                lanes = columns == one
                self._write(int(one), xs[lanes], ys[lanes], classes[lanes], span, word)

    def _check_places(
        self, word: str, xs: npt.NDArray[np.int64], ys: npt.NDArray[np.int64], span: Span
    ) -> None:
        outside = (xs < 0) | (ys < 0) | (xs >= self.layout.width) | (ys >= self.layout.height)
        if outside.any():
            lane = int(np.argmax(outside))
            raise CslError(
                span,
                f"{word}: PE ({int(xs[lane])}, {int(ys[lane])}) is outside the rectangle",
                allowed=f"x 0 .. {self.layout.width - 1}, y 0 .. {self.layout.height - 1}",
                pe=(int(xs[lane]), int(ys[lane])),
            )

    def _write(
        self,
        color: int,
        xs: npt.NDArray[np.int64],
        ys: npt.NDArray[np.int64],
        classes: npt.NDArray[np.int32],
        span: Span,
        word: str,
    ) -> None:
        shape = (self.layout.height, self.layout.width)
        self.layout.color_id(color)
        owner = self._owner.setdefault(color, np.full(shape, -1, np.int32))
        grid = self.layout.route_maps.setdefault(color, np.full(shape, -1, np.int32))
        # the same configuration twice is harmless; two different ones contradict each other
        before = grid[ys, xs]
        clash = (before >= 0) & (before != classes)
        number = len(self.spans) - 1
        if not clash.any():
            grid[ys, xs] = classes
            clash = grid[ys, xs] != classes
        if clash.any():
            lane = int(np.argmax(clash))
            pe = (int(xs[lane]), int(ys[lane]))
            earlier = int(owner[pe[1], pe[0]])
            raise CslError(
                span,
                f"{word}: color {color} of PE ({pe[0]}, {pe[1]}) has another configuration already",
                notes=[(self.spans[earlier], "configured here")] if earlier >= 0 else (),
                pe=pe,
                color=color,
            )
        owner[ys, xs] = number


def in_csl_terms(error: ProgramError, writer: RouteWriter) -> CslError:
    """An error of the program's own checks at its place in the text.

    That is the line the message names (lowering gave the builder CSL lines), else the configuration of the
    color that it is about.
    """
    placed = of_builder(error)
    if placed.span is not None or isinstance(error, CslError):
        return placed
    return CslError(writer.span_of(error.color, error.pe), placed.text, pe=error.pe, color=error.color)


def route_class_at_run_time(layout: Layout, config: Value, span: Span, what: str) -> RouteClass:
    """The route class of a configuration that code sets at run time; all PEs of the class have the same."""
    rows = ConfigReader(span, what, layout.generation, 1, lambda lane: (0, 0)).read(config).classes()[1]
    return layout.route_table.intern(rows[0])
