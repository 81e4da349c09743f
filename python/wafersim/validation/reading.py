"""Numbers in the text of published rows: values, counts, extents, clocks and units.

Tables of papers and repositories write numbers in many ways; what is read here is what was meant, or a
ConfigError that says what could not be read.  Nothing is guessed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from wafersim.errors import ConfigError

_DIGITS = r"\d{1,3}(?:[,_'\u2009\u202f]\d{3})+(?:\.\d+)?|\d{1,18}(?:\.\d+)?|\.\d+"
NUMBER = rf"(?:{_DIGITS})(?:[eE][+-]?\d{{1,3}})?"
_DASH = r"(?:-|\u2013|\u2014|\bto\b|\.\.\.?)"
#: A number at the start of a value, what may stand before it, and a second one after a dash or plus-minus.
_VALUE = re.compile(
    rf"\s*(?P<before>[~\u2248<>\u2264\u2265=]*|about|approx\.?|ca\.?|up to|over|at most|at least)\s*"
    rf"(?P<first>{NUMBER})(?:\s*(?P<join>{_DASH}|\u00b1|\+/-|\+-)\s*(?P<second>{NUMBER}))?"
    r"(?P<after>\s*(?![eE][+-]?\d)[A-Za-z%\u00b5\u03bc(].{0,60})?\s*"
)
_AT_MOST = re.compile(r"at most|less than|no more than|below|up to|[<\u2264]", re.IGNORECASE)
_AT_LEAST = re.compile(r"at least|greater than|more than|above|over\b|[>\u2265]", re.IGNORECASE)
_COUNT = re.compile(rf"({NUMBER})\s*(?:([KMG]i?)|\^\s*(\d{{1,2}}))?", re.IGNORECASE)
_POWERS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
TIMES = r"\s*[xX\u00d7*]\s*"

#: Seconds per unit of time; everything else is no time.
_SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "\u00b5s": 1e-6,
    "\u03bcs": 1e-6,
    "ns": 1e-9,
}
_CYCLES = {"cycles": 1.0, "cycle": 1.0, "cyc": 1.0, "clocks": 1.0, "kcycles": 1e3, "mcycles": 1e6}
_HERTZ = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}


@dataclass(frozen=True)
class Published:
    """A published number.

    Attributes
    ----------
    value : float
        The number itself; the middle of a range.
    low, high : float
        Whatever lies between is met: equal to ``value`` for a plain number, one of them infinite for a bound.
    """

    value: float
    low: float
    high: float


def parse_number(text: str) -> float:
    """A plain number with or without thousands separators and exponent; raises ConfigError."""
    if not re.fullmatch(NUMBER, text.strip()):
        raise ConfigError(f"{text!r} is no number")
    number = float(re.sub(r"[,_'\u2009\u202f]", "", text.strip()))
    if not math.isfinite(number):
        raise ConfigError(f"{text!r} is larger than any number we hold")
    return number


def parse_value(text: str, unit: str = "") -> Published:
    """A value cell: ``1,024``, ``1.5e3``, ``15-17``, ``12 +/- 1``, ``<5``; the unit may hold the bound.

    Raises
    ------
    ConfigError
        The cell holds no number, more than a number or a range, or a negative or infinite one.
    """
    match = _VALUE.fullmatch(text)
    if match is None:
        raise ConfigError(f"value {text!r} is no number, no range a-b and no bound such as <a")
    first = parse_number(match["first"])
    if match["second"] is None:
        words = f"{match['before']} {match['after'] or ''} {unit}"
        if _AT_MOST.search(words):
            return Published(first, -math.inf, first)
        if _AT_LEAST.search(words):
            return Published(first, first, math.inf)
        return Published(first, first, first)
    second = parse_number(match["second"])
    if match["join"] in ("\u00b1", "+/-", "+-"):
        return Published(first, first - second, first + second)
    if second < first:
        raise ConfigError(f"value {text!r}: the range ends below its start")
    return Published((first + second) / 2, first, second)


def parse_count(text: str) -> int:
    """A whole number such as ``512``, ``1,024``, ``16K`` (= 16,384) or ``2^13``; raises ConfigError."""
    match = _COUNT.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no count")
    number = parse_number(match[1])
    try:
        number = number ** int(match[3]) if match[3] else number * _POWERS[(match[2] or "").lower()[:1]]
    except OverflowError:
        raise ConfigError(f"{text!r} is no whole number below 2^53") from None
    if number != int(number) or number >= 2**53:
        raise ConfigError(f"{text!r} is no whole number below 2^53")
    return int(number)


def parse_clock(text: str) -> float | None:
    """The first clock rate that ``text`` names, in hertz, or None."""
    match = re.search(rf"({NUMBER})\s*([kMG]?Hz)\b", text, re.IGNORECASE)
    return parse_number(match[1]) * _HERTZ[match[2].lower()] if match else None


def unit_of_cycles(unit: str, clock_hz: float) -> float:
    """Cycles in one unit of ``unit`` (a unit of time or of cycles, words in brackets ignored)."""
    name = re.sub(r"\(.*?\)", "", unit).strip().lower()
    if name in _CYCLES:
        return _CYCLES[name]
    if name in _SECONDS:
        return _SECONDS[name] * clock_hz
    known = ", ".join((*_CYCLES, *_SECONDS))
    raise ConfigError(f"unit {unit!r} is no time; known: {known}")
