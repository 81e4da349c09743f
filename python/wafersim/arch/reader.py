"""From a TOML file of unknown origin to plain data with line numbers, within fixed limits."""

from __future__ import annotations

import dataclasses
import json
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from wafersim.errors import ConfigError

MAX_BYTES = 4 << 20
MAX_DEPTH = 32

_HEADER = re.compile(r"\s*\[{1,2}([^\[\]]+)\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")
_POSITION = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)")
# A long dotted key costs the parser quadratic time, so it is refused before parsing.
_DEEP_KEY = re.compile(rf"(?<![\w.-])(?:(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}")
_BARE = re.compile(r"[\w.-]{1,80}\Z", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its label in messages, its data, and the line of every key."""

    label: str
    path: Path
    data: dict[str, Any]
    lines: dict[tuple[str, ...], int]

    def fault(self, key: tuple[str, ...], problem: str) -> str:
        """The message for a fault at ``key``: ``file:line: key: problem``."""
        line = next((self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines), 1)
        return f"{self.label}:{line}: {show_key(key)}: {problem}"


def show_key(key: tuple[str, ...]) -> str:
    """A dotted key, quoted where it is no plain name, never with control characters."""
    return ".".join(part if _BARE.match(part) else repr(part[:60]) for part in key)


def read(path: Path, what: str = "an arch") -> Document:
    """Read and parse the TOML file of ``what``.

    Raises
    ------
    ConfigError
        Not a readable regular file of at most 4 MiB, not UTF-8, not TOML, or nested too deep.
    """
    label = path.name if _BARE.match(path.name) else repr(path.name)
    text = _decode(_bytes(path, label, what), label)
    if found := _DEEP_KEY.search(text):
        raise _too_deep(label, text.count("\n", 0, found.start()) + 1)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise _syntax(str(e), text, label) from None
    except RecursionError:
        raise _too_deep(label, 1) from None
    except ValueError:
        raise ConfigError(f"{label}:1: a number has too many digits to be read") from None
    doc = Document(label, path, data, key_lines(text))
    for key, value in data.items():
        if depth_of(value) > MAX_DEPTH:
            raise ConfigError(doc.fault((key,), _TOO_DEEP))
    return doc


_TOO_DEEP = f"nested too deeply, allowed at most {MAX_DEPTH} levels"


def _too_deep(label: str, line: int) -> ConfigError:
    return ConfigError(f"{label}:{line}: {_TOO_DEEP}")


def repeated_name(pairs: list[tuple[str, Any]]) -> str | None:
    """The first name that occurs twice among those of a JSON object; None if each occurs once."""
    names = [name for name, _ in pairs]
    return None if len(set(names)) == len(names) else next(n for n in names if names.count(n) > 1)


def depth_of(value: Any) -> int:
    """Levels of objects and lists within each other, without recursion: hostile input is deep."""
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            v for x in level if isinstance(x, dict | list) for v in (x.values() if isinstance(x, dict) else x)
        ]
    return depth


def _bytes(path: Path, label: str, what: str) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ConfigError(f"{label}: is a directory; {what} is a TOML file")
        if not stat.S_ISREG(mode):
            raise ConfigError(f"{label}: is not a regular file; {what} is a TOML file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as e:
        raise ConfigError(f"{label}: cannot be read ({e.strerror or e})") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{label}: larger than {MAX_BYTES >> 20} MiB, the most {what} file may have")
    return raw


def _decode(raw: bytes, label: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = raw.count(b"\n", 0, e.start) + 1
        raise ConfigError(
            f"{label}:{line}: not UTF-8 text (byte 0x{raw[e.start]:02x}). Save the file as UTF-8"
        ) from None


def _syntax(message: str, text: str, label: str) -> ConfigError:
    line, column = text.count("\n") + 1, ""
    if found := _POSITION.search(message):
        message = _POSITION.sub("", message)
        if found[1]:
            line, column = int(found[1]), f", column {found[2]}"
    message = "".join(c if c.isprintable() else " " for c in message)[:200]
    return ConfigError(f"{label}:{line}: not valid TOML{column}: {message}")


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The first line (from 1) on which each dotted key is set."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if found := _HEADER.match(line):
            table = _parts(found[1])
            lines.setdefault(table, number)
        elif found := _KEY.match(line):
            lines.setdefault(table + _parts(found[1]), number)
    return lines


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(_unquoted(part) for part in _PART.findall(dotted))


def _unquoted(part: str) -> str:
    if part.startswith('"'):
        try:
            return str(json.loads(part))
        except ValueError:
            return part[1:-1]
    return part.strip("'")
