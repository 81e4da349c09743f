"""A record as an xarray Dataset: dims, units, values; and a clear word where xarray is not installed."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from records import make_record
from wafersim.errors import ConfigError
from wafersim.program.schema import Port
from wafersim.record.dictionary import PE_COLUMNS


def test_dataset_has_every_figure_with_its_unit():
    pytest.importorskip("xarray")
    record = make_record(width=5, height=3, holes=[(1, 2)])
    data = record.to_xarray()
    assert dict(data.sizes)["y"] == 3 and dict(data.sizes)["x"] == 5
    assert set(data.data_vars) == {*PE_COLUMNS, "has_tile", "link_wavelets"}
    for name in PE_COLUMNS:
        assert data[name].dims == ("y", "x")
        assert data[name].attrs["units"] == record["pe"].unit(name)
        assert np.array_equal(data[name].values, record["pe"][name])
    assert not data["has_tile"].sel(x=1, y=2)
    assert data["link_wavelets"].dims == ("color", "port", "y", "x")
    number = record.colors[0]["number"]
    east = data["link_wavelets"].sel(color=number, port="EAST").values
    assert np.array_equal(east, record.link_wavelets(number, Port.EAST))
    assert data.attrs["cycles"] == record.cycles and data.attrs["status"] == record.status


def test_without_xarray_the_error_says_what_to_do(monkeypatch):
    real = builtins.__import__

    def no_xarray(name, *rest):
        if name == "xarray":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_xarray)
    with pytest.raises(ConfigError, match="needs xarray: pip install xarray"):
        make_record().to_xarray()
