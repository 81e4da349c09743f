"""What PEs print: texts with their values filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from wafersim.program.schema import CodeCol, Op, Type
from wafersim.simulate import values

#: A place for a value; without a base it is shown in decimal. ``{:f}`` and ``{:h}`` are ``{}`` under other
#: names: a text has one type for each place, so a compiler that prints several types takes several texts.
PLACE = re.compile(r"\{(?::0(?P<width>\d{1,2})(?P<base>[Xb])|:[fh])?\}")


class Printed(NamedTuple):
    """One print: the cycle, the PE and the text."""

    cycle: int
    x: int
    y: int
    text: str


def printed(prints: Iterable[Any], code: np.ndarray[Any, Any], strings: list[str]) -> list[Printed]:
    """The core's prints as text.

    The core tells the text's number and raw 64-bit values; their types stand in the instruction. If two
    instructions print the same text with values of different types, the raw numbers are shown.
    """
    kinds = _kinds(code)
    return [
        Printed(int(cycle), int(x), int(y), _fill(strings[text], raw, kinds.get(text)))
        for cycle, x, y, text, raw in prints
    ]


def _kinds(code: np.ndarray[Any, Any]) -> Mapping[int, int | None]:
    """Text number -> packed types of its values, None if instructions differ."""
    found: dict[int, int | None] = {}
    for row in code[code[:, CodeCol.OP] == Op.PRINT]:
        text, types = int(row[CodeCol.IMM]), int(row[CodeCol.IMM2])
        found[text] = types if found.get(text, types) == types else None
    return found


def _fill(text: str, raw: list[int], types: int | None) -> str:
    """Put the values in place of ``{}``, one after the other; a text is data, never a format.

    ``{:04X}`` and ``{:016b}`` (any width) show the value's bits in the base 16 and 2.
    """
    filled, end = "", 0
    for index, place in enumerate(PLACE.finditer(text)):
        word = place.group(0)
        if index < len(raw):
            kind = None if types is None else types >> (8 * index) & 0xFF
            word = _bits(raw[index], kind, place) if place.group("base") else _word(raw[index], kind)
        filled += text[end : place.start()] + word
        end = place.end()
    return filled + text[end:]


def _bits(raw: int, kind: int | None, place: re.Match[str]) -> str:
    size = 8
    if kind is not None and kind < len(Type):
        size = values.sram_dtype(Type(kind).name.lower()).itemsize
    return format(raw & ((1 << 8 * size) - 1), f"0{place.group('width')}{place.group('base')}")


def _word(raw: int, kind: int | None) -> str:
    if kind is None or kind >= len(Type):
        return str(raw)
    name = Type(kind).name.lower()
    dtype = values.sram_dtype(name)
    word = np.frombuffer(int(raw).to_bytes(8, "little")[: dtype.itemsize], dtype)
    return str(values.decode_bits(word, name)[0])
