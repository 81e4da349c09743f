"""Checks of the declared host streams: their ports exist, and their routes lead to the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ProgramError
from wafersim.program.checking import Checking
from wafersim.program.schema import Port, RouteCol

Bool = npt.NDArray[np.bool_]


def check_streams(check: Checking) -> None:
    """Streams enter at the fabric's edge or the RAMP of a tile and leave by an output that is a sink."""
    for stream in check.meta["host"].get("streams", []):
        port = Port[stream["port"]]
        if stream["direction"] == "to_device":
            _enters(check, stream, port)
        else:
            _leaves(check, stream, port)


def outer_edge(shape: tuple[int, ...], port: Port) -> Bool:
    """Where the port looks out of the fabric, [y, x]."""
    mask = np.zeros(shape, bool)
    if port in (Port.NORTH, Port.SOUTH):
        mask[0 if port is Port.NORTH else -1] = True
    elif port is not Port.RAMP:
        mask[:, 0 if port is Port.WEST else -1] = True
    return mask


def _places(stream: Mapping[str, Any], shape: tuple[int, ...]) -> Bool:
    x, y, width, height = stream["places"]
    mask = np.zeros(shape, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def _enters(check: Checking, stream: Mapping[str, Any], port: Port) -> None:
    tiles = check.t["tile_map"]
    good = tiles >= 0 if port is Port.RAMP else outer_edge(tiles.shape, port)
    wrong = _places(stream, tiles.shape) & ~good
    if wrong.any():
        region, pe = check.locator.region(wrong)
        why = "runs no tile" if port is Port.RAMP else f"has a neighbor to the {port.name}"
        raise ProgramError(
            f"stream {stream['name']!r} enters by port {port.name}, but {region} {why}; a stream enters "
            "at the fabric's edge or by the RAMP of a PE with a tile",
            pe=pe,
            color=stream["color"],
        )


def _leaves(check: Checking, stream: Mapping[str, Any], port: Port) -> None:
    """An error where no place has a sink, a warning where some have none (routes may be set at run time)."""
    colors = check.t["colors"].tolist()
    places = _places(stream, check.t["tile_map"].shape)
    sinks = np.append(check.t["routes"][:, RouteCol.SINK] >> int(port) & 1 == 1, False)
    here = np.zeros(places.shape, bool)
    if stream["color"] in colors:
        here = sinks[check.t["route_map"][colors.index(stream["color"])]]
    missing = places & ~here
    if not missing.any():
        return
    region, pe = check.locator.region(missing)
    name = check.locator.color(stream["color"])
    text = f"stream {stream['name']!r}: the route of {name} at {region} has no sink {port.name}"
    if (missing == places).all() and not sinks.any():
        raise ProgramError(f"{text}; add sink={port.name!r} to lay.route(...)", pe=pe, color=stream["color"])
    check.warn(text)
