"""A table of equally long columns that reads like a dict and travels as Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.record.dictionary import TERMS

Column = np.ndarray[Any, Any]


class Table(Mapping[str, Column]):
    """Columns by name; those given as functions are computed on first use.

    Parameters
    ----------
    name : str
        Name of the table, for messages.
    columns : mapping
        Name to array, or to a function that makes it. All have the same shape.
    """

    def __init__(self, name: str, columns: Mapping[str, Column | Callable[[], Column]]) -> None:
        self.name = name
        self._columns: dict[str, Column | Callable[[], Column]] = dict(columns)

    def __getitem__(self, key: str) -> Column:
        if key not in self._columns:
            raise KeyError(f"table {self.name!r} has no column {key!r}; it has {', '.join(self._columns)}")
        column = self._columns[key]
        if callable(column):
            column = column()
            column.flags.writeable = False
            self._columns[key] = column
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"<Table {self.name!r}: {', '.join(self._columns)}>"

    @staticmethod
    def unit(column: str) -> str:
        """Unit of a column, "" if it has none."""
        return TERMS[column].unit if column in TERMS else ""

    @staticmethod
    def description(column: str) -> str:
        """What a column counts."""
        return TERMS[column].description if column in TERMS else ""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Arrow PyCapsule interface: polars, pandas, pyarrow and duckdb read the table with it."""
        return self.to_arrow().__arrow_c_stream__(requested_schema=requested_schema)

    def to_arrow(self) -> Any:
        """The table as a nanoarrow stream; cells in row-major order, strided columns copied once."""
        try:
            import nanoarrow as na
        except ImportError:
            raise ConfigError("to_arrow() needs nanoarrow: pip install nanoarrow") from None
        flat = {name: np.ascontiguousarray(self[name]).reshape(-1) for name in self}
        children = [na.c_array(column, getattr(na, column.dtype.name)()) for column in flat.values()]
        schema = na.struct({name: getattr(na, column.dtype.name)() for name, column in flat.items()})
        length = len(next(iter(flat.values()))) if flat else 0
        batch = na.c_array_from_buffers(schema, length, [None], null_count=0, children=children)
        return na.ArrayStream(batch)
