"""Writes a page: whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from wafersim.errors import ConfigError


def write_page(page: str, path: Path) -> Path:
    """Write the page to ``path``; an older file is replaced only when the new one is complete."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        scratch.write_text(page, encoding="utf-8")
        os.replace(scratch, path)
    except OSError as error:
        raise ConfigError(f"report: cannot write {path}: {error.strerror or error}") from None
    finally:
        scratch.unlink(missing_ok=True)
    return path
