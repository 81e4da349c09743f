"""The worker's lines: how a request is read, and the published schemas of both sides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import IO, Any

from wafersim.arch.reader import depth_of, repeated_name
from wafersim.errors import ANSWER_SCHEMA, ConfigError

#: longest request line accepted
MAX_LINE_BYTES = 1 << 20
#: deepest nesting of a request
MAX_DEPTH = 32


def schema(which: str) -> dict[str, Any]:
    """The JSON Schema of a ``request`` or an ``answer`` of the present version."""
    name = f"{which}-{ANSWER_SCHEMA}.json"
    text = resources.files("wafersim.batch").joinpath("schema", name).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Request lines without blank ones; None for a line that is too long."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            yield None
        elif line.strip():
            yield line


def parse(line: bytes | None) -> dict[str, Any]:
    """The fields of a line.

    Raises
    ------
    ConfigError
        No JSON object, a name twice in one, too long, or nested too deeply.
    """
    if line is None:
        raise ConfigError(f"the line is longer than {MAX_LINE_BYTES} bytes")
    try:
        text = line.decode("utf-8")
        fields = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the line is not JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(fields, dict):
        raise ConfigError("the line is not a JSON object")
    if depth_of(fields) > MAX_DEPTH:
        raise ConfigError(f"the line is nested too deeply, allowed at most {MAX_DEPTH} levels")
    return fields


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not allowed")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if (twice := repeated_name(pairs)) is not None:
        raise ValueError(f"{twice[:40]!r} occurs twice in one object")
    return dict(pairs)
