"""A record as a directory: ``manifest.json``, ``summary.json``, ``columns.json``, one .npy file per column.

The directory appears whole or not at all: it is written under another name, synced, and renamed. It opens
without wafersim (NumPy and any JSON reader). Reading trusts nothing: names, sizes, hashes, headers and
types are checked before anything is allocated; nothing is executed and no link is followed.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import json
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from wafersim._version import __version__
from wafersim.errors import ConfigError, InternalError
from wafersim.program.schema import Counter, Event, Port
from wafersim.record.dictionary import COUNTER_COLUMNS, EVENT_COLUMNS, TERMS
from wafersim.record.frames import FRAMES_FILES, Frames
from wafersim.record.plain import plain
from wafersim.record.reader import Parts, open_parts
from wafersim.record.record import RECORD_SCHEMA, STATUSES, Record
from wafersim.record.running import OURS, left_behind
from wafersim.record.sound import unsound
from wafersim.record.source import PROGRAM_FILE, SOURCE_FILE, Source

Array = np.ndarray[Any, Any]

FORMAT_NAME = "wafersim-record"
MANIFEST = "manifest.json"

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def save(record: Record, directory: Path, extra: dict[str, bytes]) -> Path:
    """Write the record to ``directory``; an older record there is replaced."""
    parts = {"summary.json": _json(_summary(record)), "columns.json": _json(_columns(record))}
    if record.counted:
        for counter, name in COUNTER_COLUMNS.items():
            parts[f"pe.{name}.npy"] = _npy(record.counters[:, :, counter])
        for event, name in EVENT_COLUMNS.items():
            parts[f"pe.{name}.npy"] = _npy(record.event_counts[:, :, event])
        parts["links.npy"] = _npy(record.links)
    parts["pe.has_tile.npy"] = _npy(record.has_tile.astype(np.int64))
    if record.frames is not None:
        parts |= {name: _npy(array) for name, array in record.frames.parts().items()}
    if record.source is not None:
        parts |= record.source.parts()
    for name in extra:
        if not _SAFE_NAME.fullmatch(name) or name in parts or name == MANIFEST:
            raise ConfigError(f"record: {name!r} cannot be the name of an added file")
    return _write(directory, parts | extra)


def _summary(record: Record) -> dict[str, Any]:
    return {**record.summary(), "colors": plain(record.colors), "info": plain(record.info)}


def _columns(record: Record) -> dict[str, Any]:
    if not record.counted:
        return {"pe": {}, "links": None}
    pe = {
        name: {
            "file": f"pe.{name}.npy",
            "axes": ["y", "x"],
            "unit": TERMS[name].unit,
            "is": TERMS[name].description,
        }
        for name in (*COUNTER_COLUMNS.values(), *EVENT_COLUMNS.values())
    }
    links = {
        "file": "links.npy",
        "axes": ["color", "y", "x", "port"],
        "colors": [color["number"] for color in record.colors],
        "ports": [port.name for port in Port],
        "unit": "wavelets",
        "is": TERMS["wavelets"].description,
    }
    return {"pe": pe, "links": links}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(
        buffer, np.ascontiguousarray(array, dtype="<i8"), version=(1, 0), allow_pickle=False
    )
    return buffer.getvalue()


def _write(directory: Path, parts: dict[str, bytes]) -> Path:
    directory = Path(os.path.abspath(directory))
    refuse_foreign(directory)
    manifest = {
        "format": FORMAT_NAME,
        "schema": RECORD_SCHEMA,
        "wafersim": __version__,
        "parts": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in parts.items()
        },
    }
    draft = directory.with_name(f".{directory.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        for name, data in parts.items():
            _write_file(draft / name, data)
        _write_file(draft / MANIFEST, _json(manifest))
        _sync_directory(draft)
        _swap(draft, directory)
    except OSError as error:
        raise ConfigError(f"record: cannot write {directory}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return directory


def refuse_foreign(directory: Path) -> None:
    """Raise if something other than a record, or nothing, is at ``directory``."""
    if not os.path.lexists(directory):
        return
    if directory.is_symlink() or not directory.is_dir():
        raise ConfigError(f"record: {directory} exists and is no directory; choose another place")
    try:
        empty = all(path.name in OURS for path in directory.iterdir())
    except OSError as error:
        raise ConfigError(f"record: cannot read {directory}: {error.strerror}") from None
    if not empty and not (directory / MANIFEST).is_file():
        raise ConfigError(
            f"record: {directory} holds files that are no record; choose another or an empty directory"
        )


def _swap(draft: Path, directory: Path) -> None:
    """Put the finished draft in place; an older record changes places with it in one step."""
    if not directory.exists():
        os.rename(draft, directory)
    elif not any(directory.iterdir()):
        directory.rmdir()
        os.rename(draft, directory)
    else:
        _exchange(draft, directory)  # the draft is now the older record; the caller removes it
    _sync_directory(directory.parent)


def _exchange(one: Path, other: Path) -> None:
    """Swap two directories' names: atomically where the system can, else in two steps."""
    at_cwd, flag_exchange = -100, 2
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None and renameat2(at_cwd, bytes(one), at_cwd, bytes(other), flag_exchange) == 0:
        return
    aside = one.with_name(f"{one.name}.old")
    os.rename(other, aside)
    try:
        os.rename(one, other)
    except OSError:
        os.rename(aside, other)
        raise
    os.rename(aside, one)


def _write_file(path: Path, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(directory: Path) -> Record:
    """Read a record directory; `ConfigError` says what is wrong with it."""
    try:
        parts = open_parts(directory, MANIFEST, FORMAT_NAME, RECORD_SCHEMA)
    except ConfigError as error:
        raise ConfigError(f"{error}{left_behind(directory)}") from None
    summary = parts.json("summary.json")
    info = _checked_info(parts, summary)
    has_tile = parts.array("pe.has_tile.npy", ndim=2) != 0
    colors = _checked_colors(parts, summary)
    record = Record(*_counts(parts, info, has_tile.shape, len(colors)), has_tile, colors, info)
    if record.counted:
        try:
            record.check_complete()
        except InternalError as error:
            raise parts.damaged(str(error)) from None
    if FRAMES_FILES[0] in parts:
        record.frames = Frames.from_parts({name: parts.array(name) for name in FRAMES_FILES})
    if SOURCE_FILE in parts:
        program = parts.part(PROGRAM_FILE) if PROGRAM_FILE in parts else None
        record.source = Source.from_parts(parts.json(SOURCE_FILE), program)
    return record


def _counts(
    parts: Parts, info: dict[str, Any], shape: tuple[int, ...], colors: int
) -> tuple[Array, Array, Array]:
    """Counters, events and links; where nothing was counted zeros that nobody reads."""
    height, width = shape
    if info.get("counted") is False:
        shapes = (
            (height, width, len(Counter)),
            (height, width, len(Event)),
            (colors, height, width, len(Port)),
        )
        zeros = [np.broadcast_to(np.int64(0), wanted) for wanted in shapes]
        return zeros[0], zeros[1], zeros[2]
    counters = np.empty((height, width, len(Counter)), np.int64)
    for counter, name in COUNTER_COLUMNS.items():
        counters[:, :, counter] = parts.array(f"pe.{name}.npy", shape=(height, width))
    events = np.empty((height, width, len(Event)), np.int64)
    for event, name in EVENT_COLUMNS.items():
        events[:, :, event] = parts.array(f"pe.{name}.npy", shape=(height, width))
    return counters, events, parts.array("links.npy", shape=(colors, height, width, len(Port)))


def _checked_info(parts: Parts, summary: dict[str, Any]) -> dict[str, Any]:
    info = summary.get("info")
    if not isinstance(info, dict):
        raise parts.damaged("summary.json: no object 'info'")
    wrong = unsound(info)
    if wrong is not None:
        raise parts.damaged(f"summary.json: {wrong}")
    if info["status"] not in STATUSES:
        raise parts.damaged(f"summary.json: status is {info['status']!r}"[:200])
    return info


def _checked_colors(parts: Parts, summary: dict[str, Any]) -> list[dict[str, Any]]:
    colors = summary.get("colors")
    if not isinstance(colors, list) or len(colors) > 256:
        raise parts.damaged("summary.json: no list 'colors'")
    for color in colors:
        number = color.get("number") if isinstance(color, dict) else None
        if not isinstance(number, int) or not 0 <= number < 256 or not isinstance(color.get("name", ""), str):
            raise parts.damaged(f"summary.json: color {color!r}"[:200])
    return [{"number": color["number"], "name": color.get("name", "")} for color in colors]
