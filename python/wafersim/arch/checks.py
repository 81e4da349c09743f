"""Checks of single values and of values against each other."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import Any

from wafersim.arch.fields import Field
from wafersim.program.schema import NUM_COLORS, Simd

_MAX_QUEUES = 8


def show(value: object) -> str:
    """A value for an error message: short, printable, safe for huge numbers."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value).bit_length() > 128:
        return f"a number of {abs(value).bit_length()} bits"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        inner = ", ".join(show(v) for v in value[:8]) + (", ..." if len(value) > 8 else "")
        return f"[{inner}]"
    if isinstance(value, int | float | str):
        text = repr(value)
        return text if len(text) <= 60 else text[:57] + "..."
    return f"{value} (a {type(value).__name__})"[:60]


def closest(word: str, candidates: Iterable[str]) -> str:
    """``Did you mean 'x'?`` or the empty string."""
    by_lower = {c.lower(): c for c in candidates}
    found = difflib.get_close_matches(word.lower()[:80], list(by_lower), n=1, cutoff=0.6)
    return f"Did you mean {by_lower[found[0]]!r}?" if found else ""


def sentences(*parts: str) -> str:
    """The parts as sentences in one line, empty ones left out, without a full stop at the end."""
    ended = [p if p.endswith(("?", ".", "!")) else f"{p}." for p in parts if p]
    return " ".join(ended).removesuffix(".")


class BadValue(Exception):
    """A value that its field does not allow; the text says found, allowed and hint."""


def check_value(field: Field, value: object) -> Any:
    """The value in its stored form (lists become tuples, modes ``Simd`` members, numbers floats).

    Raises
    ------
    BadValue
        Wrong type, not finite, or out of range.
    """
    return _KINDS[field.kind](field, value)


def _allowed(field: Field) -> str:
    return f"allowed {field.low:.15g} to {field.high:.15g} {field.unit}"


def _in_range(field: Field, value: int | float, what: str = "") -> None:
    if not field.low <= value <= field.high:
        hint = ""
        if value == 0 and field.low == 1 and field.unit.startswith("cycles"):
            hint = ". Nothing is free: the smallest cost or latency is 1"
        raise BadValue(f"{what}found {show(value)}, {_allowed(field)}{hint}")


def _whole(field: Field, value: object, what: str = "") -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        hint = ""
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            hint = f". Write {int(value)}" if abs(value) < 1e18 else ""
        elif isinstance(value, str) and value.strip().lstrip("+-").isdigit():
            hint = ". Write the number without quotes"
        raise BadValue(f"{what}found {show(value)}, expected an integer ({field.unit}){hint}")
    _in_range(field, value, what)
    return value


def _int(field: Field, value: object) -> int:
    return _whole(field, value)


def _number(field: Field, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"found {show(value)}, expected a number ({field.unit})")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadValue(f"found {show(value)}, expected a finite number ({field.unit})")
    _in_range(field, value)
    return float(value)


def _bool(field: Field, value: object) -> bool:
    if not isinstance(value, bool):
        raise BadValue(f"found {show(value)}, expected true or false")
    return value


def _simd(field: Field, value: object) -> Simd:
    if isinstance(value, Simd):
        return value
    if isinstance(value, str) and value in Simd.__members__:
        return Simd[value]
    hint = closest(value, Simd.__members__) if isinstance(value, str) else ""
    raise BadValue(sentences(f"found {show(value)}, expected one of {', '.join(Simd.__members__)}", hint))


def _ints(field: Field, value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise BadValue(f"found {show(value)}, expected a list of integers, one for each queue ({field.unit})")
    if not 1 <= len(value) <= _MAX_QUEUES:
        raise BadValue(f"found {len(value)} entries, allowed 1 to {_MAX_QUEUES}, one for each queue")
    return tuple(_whole(field, v, f"entry {i}: ") for i, v in enumerate(value))


def _pace(field: Field, value: object) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise BadValue(f"found {show(value)}, expected a pair [num, den] of integers ({field.unit})")
    num, den = (_whole(field, v, f"{name}: ") for name, v in zip(("num", "den"), value, strict=True))
    if num < den:
        raise BadValue(f"found {num}/{den}, allowed 1 or more {field.unit}")
    return num, den


_KINDS: dict[str, Callable[[Field, object], Any]] = {
    "int": _int, "number": _number, "bool": _bool, "simd": _simd, "ints": _ints, "pace": _pace,
}  # fmt: skip


def check_together(v: Mapping[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """Faults between values that are each in range: the keys involved and the problem."""
    faults: list[tuple[tuple[str, ...], str]] = []

    def need(ok: bool, keys: str, problem: str) -> None:
        if not ok:
            faults.append((tuple(keys.split()), problem))

    for check in (
        _check_pace,
        _check_memory,
        _check_colors,
        _check_fabric,
        _check_config_words,
        _check_queues,
    ):
        check(v, need)
    return faults


_Need = Callable[[bool, str, str], None]


def _check_pace(v: Mapping[str, Any], need: _Need) -> None:
    num, den = v["ramp_pace_num"], v["ramp_pace_den"]
    need(
        den <= num <= 2 * den,
        "ramp_pace_num ramp_pace_den",
        f"ramp_pace_num/ramp_pace_den is {num}/{den}, allowed 1 to 2 cycles per wavelet",
    )


def _check_memory(v: Mapping[str, Any], need: _Need) -> None:
    period, kind = v["conflict_period_bytes"], v["conflict_class_bytes"]
    for key, step in (("conflict_period_bytes", 4), ("conflict_class_bytes", 4), ("sram_bytes", 16)):
        need(v[key] % step == 0, key, f"found {v[key]}, expected a multiple of {step} bytes")
    need(
        kind < period,
        "conflict_class_bytes conflict_period_bytes",
        f"conflict_class_bytes is {kind}, allowed less than conflict_period_bytes ({period})",
    )


def _check_colors(v: Mapping[str, Any], need: _Need) -> None:
    mask, colors = v["switchable_mask"], v["num_colors"]
    need(
        mask < 1 << colors or colors == NUM_COLORS,
        "num_colors switchable_mask",
        f"switchable_mask is {mask:#x} but there are {colors} colors (at most {(1 << colors) - 1:#x})",
    )


def _check_fabric(v: Mapping[str, Any], need: _Need) -> None:
    for side in ("width", "height"):
        whole, usable = v[f"fabric_{side}"], v[f"usable_{side}"]
        problem = f"usable_{side} is {usable}, allowed at most fabric_{side} ({whole})"
        need(usable <= whole, f"usable_{side} fabric_{side}", problem)


def _check_config_words(v: Mapping[str, Any], need: _Need) -> None:
    sizes = {
        "color_config_base": 2 * v["num_colors"],
        "switch_config_base": 2 * v["num_colors"],
        "counter_config_base": 8,
        "queue_config_base": 2 * len(v["iq_depth"]),
    }
    bases = {k: v[k] for k in sizes if v[k] >= 0}
    for key, base in bases.items():
        need(base % 2 == 0, key, f"found {base:#x}, expected an even byte address or -1")
        need(
            base >= v["sram_bytes"],
            f"{key} sram_bytes",
            f"{key} is {base:#x}, inside SRAM ({v['sram_bytes']} bytes). Move it above SRAM or set it to -1",
        )
    for first, second in combinations(bases, 2):
        low, high = sorted((first, second), key=bases.__getitem__)
        need(
            bases[high] - bases[low] >= sizes[low],
            f"{second} {first}",
            f"the configuration words at {bases[first]:#x} and {bases[second]:#x} overlap; the block of "
            f"{low} has {sizes[low]} bytes",
        )


def _check_queues(v: Mapping[str, Any], need: _Need) -> None:
    queues = max(len(v["iq_depth"]), len(v["oq_depth"]))
    need(
        v["ut_free_choice"] or v["num_uts"] >= queues,
        "num_uts ut_free_choice iq_depth oq_depth",
        f"{v['num_uts']} microthreads for {queues} queues. Without ut_free_choice each queue needs its own",
    )
