"""Metrics of earlier runs on disk, found again by what would be run and by all code that runs it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from wafersim.validation.plan import Measurement

_SUFFIXES = {".py", ".so", ".pyd", ".toml", ".csl"}


@cache
def code_digest() -> str:
    """SHA-256 over every source file, preset and the compiled core of the installed package."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in _SUFFIXES and "validation" not in path.relative_to(root).parts[:-1]:
            digest.update(f"{path.relative_to(root)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def stored(
    runner: Callable[[Measurement], Mapping[str, Any]], folder: Path
) -> Callable[..., Mapping[str, Any]]:
    """``runner`` with a memory in ``folder``: one JSON file per run, written at once or not at all.

    A file is used only if it was made from the same code (any changed byte of the package outside this room
    makes a new key); broken files are made anew.  Failed runs are not kept.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def run(spec: Measurement) -> Mapping[str, Any]:
        words = f"{type(spec).__name__}\0{spec!r}\0{spec.text()}\0{code_digest()}"
        path = folder / f"{hashlib.sha256(words.encode()).hexdigest()}.json"
        known = _read(path)
        if known is not None:
            return known
        metrics = dict(runner(spec))
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps({"run": spec.text(), "metrics": metrics}, default=float), encoding="utf-8")
        part.replace(path)
        return metrics

    return run


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None
