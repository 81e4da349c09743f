"""Tiles on their PEs, with the values that differ from PE to PE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.program.layout import Layout
from wafersim.program.tile import TileProgram

Places = npt.NDArray[np.int64]


def place_tile(
    layout: Layout, tile: TileProgram, xs: Places, ys: Places, params: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Place a tile on the PEs of a class.

    Parameters
    ----------
    layout : Layout
        The layout, in program coordinates.
    tile : TileProgram
        The class's code.
    xs, ys : array [n]
        The PEs.
    params : dict of array [n, *shape]
        Values of the tile's parameters, in the order of the PEs.
    """
    x, y = int(xs.min()), int(ys.min())
    width, height = int(xs.max()) - x + 1, int(ys.max()) - y + 1
    inside = (ys - y, xs - x)
    mask = np.zeros((height, width), bool)
    mask[inside] = True
    values = {}
    for name, column in params.items():
        column = np.asarray(column)
        grid = np.zeros((height, width, *column.shape[1:]), column.dtype)
        grid[inside] = column
        values[name] = grid
    layout.place(tile, x, y, width, height, params=values, mask=None if mask.all() else mask)
