"""Which code makes a result: a hash over everything that can change it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_SUFFIXES = {".py", ".so", ".pyd", ".toml", ".csl", ".json"}

#: rooms that ask for runs or show them, and so cannot change one
_APART = {"validation", "cli", "store", "batch", "estimates", "sweep", "deploy", "report", "comparison"}


@cache
def code_digest() -> str:
    """SHA-256 over the sources, presets and compiled core of the installed package.

    Any changed byte of a room that can change a run makes another digest, and so new keys.
    """
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        apart = path.relative_to(root).parts[0] in _APART
        if path.suffix in _SUFFIXES and not apart and path.is_file():
            digest.update(f"{path.relative_to(root)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
