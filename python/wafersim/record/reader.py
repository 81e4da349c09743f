"""Reads the parts of a record directory and trusts none of them."""

from __future__ import annotations

import ast
import hashlib
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np

from wafersim.errors import ConfigError

Array = np.ndarray[Any, Any]

#: largest JSON part
MAX_JSON_BYTES = 16 << 20
#: most parts a manifest may list
MAX_PARTS = 1000

_PART_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NPY_MAGIC = b"\x93NUMPY\x01\x00"


def open_parts(directory: Path, manifest: str, format_name: str, schema: int) -> Parts:
    """The parts of a directory whose manifest is sound and of the given format and schema."""
    parts = Parts(directory)
    listed = parts.parse(parts.read_bytes(manifest, MAX_JSON_BYTES), manifest)
    if listed.get("format") != format_name:
        raise parts.damaged(f"{manifest}: format is {listed.get('format')!r}, wanted {format_name!r}"[:200])
    if listed.get("schema") != schema:
        found = str(listed.get("schema"))[:20]
        raise ConfigError(f"record {directory}: its schema is {found}, this wafersim reads {schema}")
    entries = listed.get("parts")
    if not isinstance(entries, dict) or len(entries) > MAX_PARTS:
        raise parts.damaged(f"{manifest}: no object 'parts' of at most {MAX_PARTS} entries")
    for name, entry in entries.items():
        parts.add(name, entry)
    return parts


class Parts:
    """Files of one directory with their promised sizes and hashes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._promised: dict[str, tuple[int, str]] = {}

    def damaged(self, what: str) -> ConfigError:
        """The error for something unsound."""
        return ConfigError(f"record {self.directory}: {what}")

    def add(self, name: str, entry: Any) -> None:
        """Check and keep one line of the manifest."""
        if not _PART_NAME.fullmatch(name) or len(name) > 200:
            raise self.damaged(f"manifest.json: {name[:80]!r} is no acceptable file name")
        size = entry.get("bytes") if isinstance(entry, dict) else None
        sha256 = entry.get("sha256") if isinstance(entry, dict) else None
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise self.damaged(f"manifest.json: {name}: bytes is {size!r}"[:200])
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise self.damaged(f"manifest.json: {name}: no sha256")
        self._promised[name] = (size, sha256)

    def __contains__(self, name: str) -> bool:
        return name in self._promised

    def read_bytes(self, name: str, limit: int) -> bytes:
        """Content of a regular file of at most ``limit`` bytes; links are not followed."""
        try:
            descriptor = os.open(self.directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise self.damaged(f"cannot open {name}: {error.strerror}") from None
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise self.damaged(f"{name} is no regular file")
            if state.st_size > limit:
                raise self.damaged(f"{name} has {state.st_size} bytes, at most {limit} are accepted")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(state.st_size + 1)
        finally:
            os.close(descriptor)

    def part(self, name: str, limit: int | None = None) -> bytes:
        """Content of a listed part, of the promised size and hash."""
        if name not in self._promised:
            raise self.damaged(f"manifest.json does not list {name}")
        size, sha256 = self._promised[name]
        if limit is not None and size > limit:
            raise self.damaged(f"{name} has {size} bytes, at most {limit} are accepted")
        data = self.read_bytes(name, size)
        if len(data) != size:
            raise self.damaged(f"{name} has {len(data)} bytes, the manifest says {size}")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise self.damaged(f"{name} was changed: its sha256 is not the manifest's")
        return data

    def json(self, name: str) -> dict[str, Any]:
        """A listed part that is one JSON object."""
        return self.parse(self.part(name, MAX_JSON_BYTES), name)

    def parse(self, data: bytes, name: str) -> dict[str, Any]:
        """A JSON object; NaN, infinity and deep nesting are refused."""
        try:
            value = json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise self.damaged(f"{name}: not JSON ({str(error)[:100]})") from None
        if not isinstance(value, dict):
            raise self.damaged(f"{name}: not a JSON object")
        return value

    def array(self, name: str, *, ndim: int | None = None, shape: tuple[int, ...] | None = None) -> Array:
        """A listed .npy part of 64-bit integers, with the wanted number of axes or shape."""
        data = self.part(name)
        found, offset = self._npy_header(name, data)
        if (shape is not None and found != shape) or (ndim is not None and len(found) != ndim):
            raise self.damaged(
                f"{name}: shape is {list(found)}, wanted {list(shape) if shape else f'{ndim} axes'}"
            )
        if len(data) - offset != 8 * math.prod(found):
            raise self.damaged(f"{name}: {len(data) - offset} bytes of data for shape {list(found)}")
        return np.frombuffer(data, "<i8", offset=offset).reshape(found)

    def _npy_header(self, name: str, data: bytes) -> tuple[tuple[int, ...], int]:
        length = int.from_bytes(data[8:10], "little")
        if not data.startswith(_NPY_MAGIC) or length > 1024 or len(data) < 10 + length:
            raise self.damaged(f"{name}: not a .npy file of version 1.0")
        try:
            header = ast.literal_eval(data[10 : 10 + length].decode("latin-1").strip())
            shape = header["shape"]
        except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
            raise self.damaged(f"{name}: its .npy header cannot be read") from None
        sound = isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 1 << 31 for n in shape)
        if not sound or header.get("descr") != "<i8" or header.get("fortran_order") is not False:
            raise self.damaged(f"{name}: C-ordered 64-bit integers wanted")
        return shape, 10 + length


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not allowed")
