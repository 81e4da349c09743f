"""What an entry is called: the SHA-256 of the facts that decide its answer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from wafersim.errors import ConfigError

KEY = re.compile(r"[0-9a-f]{64}")


def canonical(facts: Mapping[str, Any]) -> bytes:
    """The one JSON text of the facts: sorted names, no spaces, ASCII.

    Raises
    ------
    ConfigError
        A value that JSON has not (NaN, a set, an object).
    """
    try:
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"store: facts are no JSON: {error}") from None
    return text.encode("ascii")


def key_of(facts: Mapping[str, Any]) -> str:
    """64 hexadecimal digits; equal for equal facts, whatever the order of their names."""
    return hashlib.sha256(canonical(facts)).hexdigest()
