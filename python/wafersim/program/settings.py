"""The options of a vector op (or of a DSR) as a row of the settings table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.program.instr import SettingsSpec
from wafersim.program.schema import OnControl, Priority, SettingsCol, Simd

if TYPE_CHECKING:
    from wafersim.program.queues import QueueMixin

_NAMES = (
    "async_", "ut", "priority", "activate", "unblock", "on_control", "on_control_task", "simd",
    "save_address", "advance_switch", "index",
)  # fmt: skip
_SIMD = {
    "off": Simd.OFF,
    "simd_32": Simd.SIMD_32,
    "simd_64": Simd.SIMD_64,
    "simd_32_or_64": Simd.SIMD_32_OR_64,
    "max": Simd.SIMD_32_OR_64,
}
_PRIORITY = {"low": Priority.UT_LOW, "medium": Priority.UT_MEDIUM, "high": Priority.UT_HIGH}


def make_settings(tile: QueueMixin, options: dict[str, Any]) -> SettingsSpec | None:
    """A settings row from keyword options; None if there are none.  Raises ProgramError for a bad one."""
    if not options:
        return None
    unknown = [name for name in options if name not in _NAMES]
    if unknown:
        raise tile.fail(f"unknown setting {unknown[0]!r}; allowed are {', '.join(_NAMES)}")
    row = [0] * len(SettingsCol)
    row[SettingsCol.ASYNC] = int(bool(options.get("async_", False)))
    row[SettingsCol.UT] = _ut(tile, options.get("ut"))
    row[SettingsCol.PRIORITY] = _choice(tile, "priority", options.get("priority"), _PRIORITY)
    row[SettingsCol.ACTIVATE] = tile.local_task_id(options.get("activate"))
    row[SettingsCol.UNBLOCK] = tile.task_id(options.get("unblock"))
    on_control = {c.name.lower(): c for c in OnControl}
    row[SettingsCol.ON_CONTROL] = max(0, _choice(tile, "on_control", options.get("on_control"), on_control))
    row[SettingsCol.ON_CONTROL_TASK] = tile.task_id(options.get("on_control_task"))
    needs_task = row[SettingsCol.ON_CONTROL] in (OnControl.ACTIVATE, OnControl.UNBLOCK)
    if needs_task != (row[SettingsCol.ON_CONTROL_TASK] >= 0):
        raise tile.fail("on_control 'activate' or 'unblock' and on_control_task go together")
    row[SettingsCol.SIMD] = _choice(tile, "simd", options.get("simd"), _SIMD)
    row[SettingsCol.SAVE_ADDRESS] = int(options.get("save_address", False))
    row[SettingsCol.ADVANCE_SWITCH] = int(bool(options.get("advance_switch", False)))
    row[SettingsCol.INDEX_REG] = -1
    index = options.get("index")
    reg = tile.reg_of(index).v if index is not None else None
    return SettingsSpec(tuple(row), reg)


def _ut(tile: QueueMixin, ut: Any) -> int:
    if ut is None:
        return -1
    if not isinstance(ut, int) or not 0 <= ut <= 7:
        raise tile.fail(f"microthread {ut!r}: the number must be 0 .. 7")
    return ut


def _choice(tile: QueueMixin, what: str, value: Any, allowed: dict[str, Any]) -> int:
    if value is None:
        return -1
    if isinstance(value, str) and value.lower() in allowed:
        return int(allowed[value.lower()])
    if not isinstance(value, str) and value in allowed.values():
        return int(value)
    raise tile.fail(f"{what} {value!r}: allowed are {', '.join(allowed)}")
