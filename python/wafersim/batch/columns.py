"""A record's tables as Arrow files beside its arrays."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wafersim.record import Record

TABLES = ("pe", "links")


def arrow_bytes(table: Any) -> bytes:
    """A table as an Arrow IPC stream (``.arrows``), which polars, pyarrow and duckdb read."""
    from nanoarrow.ipc import StreamWriter

    buffer = io.BytesIO()
    with StreamWriter.from_writable(buffer) as writer:
        writer.write_stream(table)
    return buffer.getvalue()


def arrow_files(record: Record) -> dict[str, bytes]:
    """Name and content of each table's file."""
    return {f"{name}.arrows": arrow_bytes(record[name]) for name in TABLES}
