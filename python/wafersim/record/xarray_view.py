"""A record as an xarray Dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.program.schema import Port
from wafersim.record.dictionary import TERMS

if TYPE_CHECKING:
    from wafersim.record.record import Record


def dataset(record: Record) -> Any:
    """See `Record.to_xarray`; the arrays are the record's own, read-only where it holds them."""
    try:
        import xarray as xr
    except ImportError:
        raise ConfigError("to_xarray() needs xarray: pip install xarray") from None
    table = record["pe"]
    variables: dict[str, tuple[tuple[str, ...], Any, dict[str, str]]] = {
        name: (("y", "x"), table[name], {"units": table.unit(name), "description": table.description(name)})
        for name in table
        if name not in ("x", "y")
    }
    variables["has_tile"] = (("y", "x"), record.has_tile, {"units": "", "description": "the PE runs a tile"})
    variables["link_wavelets"] = (
        ("color", "port", "y", "x"),
        record.links.transpose(0, 3, 1, 2),
        {"units": TERMS["wavelets"].unit, "description": TERMS["wavelets"].description},
    )
    coordinates = {
        "y": ("y", np.arange(record.height), {"units": "PEs", "description": "row, grows to the south"}),
        "x": ("x", np.arange(record.width), {"units": "PEs", "description": "column, grows to the east"}),
        "color": ("color", [int(color["number"]) for color in record.colors]),
        "color_name": ("color", [str(color["name"]) for color in record.colors]),
        "port": ("port", [port.name for port in Port]),
    }
    plain = {k: v for k, v in record.summary().items() if isinstance(v, str | int | float)}
    attributes = {k: int(v) if isinstance(v, bool) else v for k, v in plain.items()}  # netCDF has no bool
    return xr.Dataset(variables, coordinates, attributes)
