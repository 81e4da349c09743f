"""The program file: the safetensors layout, written and read with nothing taken on trust.

A file is an 8-byte little-endian header length, a JSON header, and the raw little-endian tensors.  Sizes are
checked against the file before anything is allocated, offsets must tile the data without gap or overlap, and
every value is validated before a program is handed out.  ``docs/program-format.md`` is the normative
description.
"""

from __future__ import annotations

import io
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from wafersim.errors import ProgramError
from wafersim.program.locate import Tables
from wafersim.program.model_tables import TABLES
from wafersim.program.schema import FORMAT_NAME, SCHEMA_VERSION
from wafersim.program.validate import validate

MAX_HEADER_BYTES = 64 << 20
_DTYPES = {"<i4": "I32", "<i2": "I16", "|u1": "U8"}
_HEADER_ALIGN = 8


def write_program(path: str | os.PathLike[str], tables: Tables, meta: Mapping[str, Any]) -> None:
    """Write a program file; an old file stays untouched if writing fails (ProgramError)."""
    target = Path(path)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(scratch, "wb") as out:
            for part in _parts(tables, meta):
                out.write(part)
        os.replace(scratch, target)
    except OSError as error:
        raise ProgramError(f"program file {target}: cannot be written: {error.strerror or error}") from None
    finally:
        scratch.unlink(missing_ok=True)


def program_bytes(tables: Tables, meta: Mapping[str, Any]) -> bytes:
    """The content of a program file."""
    return b"".join(_parts(tables, meta))


def _parts(tables: Tables, meta: Mapping[str, Any]) -> Iterator[bytes]:
    header = _header(tables, meta)
    yield len(header).to_bytes(8, "little") + header
    for table in TABLES:
        yield np.ascontiguousarray(tables[table]).tobytes()


def _header(tables: Tables, meta: Mapping[str, Any]) -> bytes:
    entries: dict[str, Any] = {
        "__metadata__": {
            "format": FORMAT_NAME,
            "schema": str(SCHEMA_VERSION),
            "program": json.dumps(meta, sort_keys=True, separators=(",", ":"), allow_nan=False),
        }
    }
    offset = 0
    for name, (dtype, _) in TABLES.items():
        array = tables[name]
        entries[name] = {
            "dtype": _DTYPES[dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % _HEADER_ALIGN)


def read_program(path: str | os.PathLike[str]) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Tables and metadata of a program file; raises ProgramError for anything that is not a valid program."""
    try:
        with open(path, "rb", opener=_without_waiting) as source:
            state = os.fstat(source.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise ProgramError("is no regular file")
            return _read(source, state.st_size)
    except ProgramError as error:
        raise ProgramError(f"program file {os.fspath(path)}: {error}") from None
    except OSError as error:
        raise ProgramError(f"program file {os.fspath(path)}: {error.strerror or error}") from None
    except ValueError:  # of open
        raise ProgramError(f"program file {os.fspath(path)!r}: a path has no null character") from None


def _without_waiting(path: str, flags: int) -> int:
    """A pipe that nobody writes to is opened, and found to be no file."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_program_bytes(data: bytes) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """As `read_program`, from the content of a file."""
    return _read(io.BytesIO(data), len(data))


def _read(source: BinaryIO, size: int) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    length = source.read(8)
    if len(length) < 8:
        raise ProgramError(f"{size} bytes are too short for a program file; is it one?")
    header_bytes = int.from_bytes(length, "little")
    if header_bytes > MAX_HEADER_BYTES or header_bytes > size - 8:
        raise ProgramError(
            f"header of {header_bytes} bytes in a file of {size}; allowed up to "
            f"{min(MAX_HEADER_BYTES, size - 8)}"
        )
    raw = source.read(header_bytes)
    if len(raw) != header_bytes:
        raise ProgramError("the file ends within its header")
    header = _json(raw, "header")
    if not isinstance(header, dict):
        raise ProgramError("the header is no JSON object")
    meta = _metadata(header.pop("__metadata__", None))
    layout = _layout(header, size - 8 - header_bytes)
    tables = {name: _tensor(source, 8 + header_bytes + start, TABLES[name][0], shape)
              for name, (start, shape) in layout.items()}  # fmt: skip
    validate(tables, meta)
    return tables, meta


def _json(raw: bytes | str, what: str) -> Any:
    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) != len(pairs):
            raise ProgramError(f"{what}: a key occurs twice")
        return out

    def no_constant(text: str) -> Any:
        raise ProgramError(f"{what}: {text} is no JSON number")

    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        return json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constant)
    except ProgramError:
        raise
    except (ValueError, RecursionError) as error:
        raise ProgramError(f"{what}: not valid JSON ({str(error)[:80]})") from None


def _metadata(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict) or not all(isinstance(v, str) for v in entry.values()):
        raise ProgramError("the header has no __metadata__ with text values; is it a wafersim program?")
    if entry.get("format") != FORMAT_NAME:
        raise ProgramError(f"format {str(entry.get('format'))[:40]!r}; allowed {FORMAT_NAME!r}")
    if entry.get("schema") != str(SCHEMA_VERSION):
        raise ProgramError(
            f"schema {str(entry.get('schema'))[:40]!r}; this version reads '{SCHEMA_VERSION}' alone: build "
            "the program again with this version (schema 1 was a draft that is no longer read)"
        )
    meta = _json(entry.get("program", ""), "metadata")
    if not isinstance(meta, dict):
        raise ProgramError("the metadata is no JSON object")
    return meta


def _layout(header: dict[str, Any], data_bytes: int) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Start and shape of every table, after all claims were checked against the file's size."""
    missing = [name for name in TABLES if name not in header]
    extra = [name for name in header if name not in TABLES]
    if missing or extra:
        raise ProgramError(
            f"missing tables {missing}" if missing else f"unknown tables {[str(e)[:40] for e in extra[:5]]}"
        )
    out: dict[str, tuple[int, tuple[int, ...]]] = {}
    spans = []
    for name, (dtype, _) in TABLES.items():
        start, end, shape = _entry(name, header[name], dtype, data_bytes)
        spans.append((start, end, name))
        out[name] = (start, shape)
    cursor = 0
    for start, end, name in sorted(spans):
        if start != cursor:
            raise ProgramError(f"table {name!r} starts at {start}; the data before it ends at {cursor}")
        cursor = end
    if cursor != data_bytes:
        raise ProgramError(f"{data_bytes} bytes of data; the tables take {cursor}")
    return out


def _entry(name: str, entry: Any, dtype: str, data_bytes: int) -> tuple[int, int, tuple[int, ...]]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ProgramError(f"table {name!r}: an entry has dtype, shape and data_offsets")
    if entry["dtype"] != _DTYPES[dtype]:
        raise ProgramError(f"table {name!r}: dtype {str(entry['dtype'])[:20]!r}; allowed {_DTYPES[dtype]!r}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _sizes(shape) or len(shape) > 3:
        raise ProgramError(f"table {name!r}: shape {str(shape)[:60]}; allowed up to three sizes")
    if not _sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= data_bytes:
        raise ProgramError(
            f"table {name!r}: data_offsets {str(offsets)[:60]}; allowed within {data_bytes} bytes"
        )
    need = math.prod(shape) * np.dtype(dtype).itemsize
    if need != offsets[1] - offsets[0]:
        raise ProgramError(
            f"table {name!r}: shape {shape} needs {need} bytes, its data has {offsets[1] - offsets[0]}"
        )
    return offsets[0], offsets[1], tuple(shape)


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 1 << 48 for v in values
    )


def _tensor(source: BinaryIO, start: int, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    source.seek(start)
    count = math.prod(shape)
    data = source.read(count * np.dtype(dtype).itemsize)
    if len(data) != count * np.dtype(dtype).itemsize:
        raise ProgramError("the file ends within its data")
    return np.frombuffer(data, np.dtype(dtype)).reshape(shape)
