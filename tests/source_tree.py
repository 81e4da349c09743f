"""Where the source tree is; tests that read it are skipped when the tests run away from it."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "wafersim"

needs_source_tree = pytest.mark.skipif(
    not (ROOT / "csrc").is_dir() or not PACKAGE.is_dir(), reason="the tests run without the source tree"
)
