"""From the parsed file to a `Spec`: every key checked, every fault with its line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from wafersim.arch.checks import closest, sentences, show
from wafersim.arch.reader import Document
from wafersim.errors import ConfigError
from wafersim.sweep.axes import MOST_POINTS, MOST_VALUES, Axis, grid_size
from wafersim.sweep.spec import GOALS, MODES, Constraint, Objective, Spec, Target
from wafersim.sweep.target_reader import TargetReader, is_inside

_TOP = (
    "name", "mode", "arch", "points", "seed", "batch", "timeout", "memory", "targets", "axes", "objectives",
    "constraints",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_MOST = {"targets": 16, "axes": 64, "objectives": 8, "constraints": 32}


class SpecReader:
    """Reads one document; ``faults`` has what is wrong with it."""

    def __init__(self, doc: Document) -> None:
        self.doc = doc
        self.faults: list[str] = []

    def fault(self, key: tuple[str, ...], problem: str) -> None:
        """Note a fault at a key."""
        self.faults.append(self.doc.fault(key, problem))

    def unknown(self, key: tuple[str, ...], table: Mapping[str, Any], allowed: Iterable[str]) -> None:
        """Note every key of a table that does not exist."""
        allowed = tuple(allowed)
        for name in table:
            if name not in allowed:
                hint = closest(name, allowed) or f"There are: {', '.join(allowed)}"
                self.fault((*key, name), sentences("unknown key", hint))

    def spec(self) -> Spec | None:
        """The sweep, as far as it can be read."""
        data = self.doc.data
        self.unknown((), data, _TOP)
        name = data.get("name", self.doc.path.stem)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.fault(("name",), f"found {show(name)}, expected letters, digits, _ and -, at most 64")
        mode = data.get("mode", "grid")
        if mode not in MODES:
            hint = closest(str(mode)[:40], MODES) if isinstance(mode, str) else ""
            self.fault(("mode",), sentences(f"found {show(mode)}, expected one of {', '.join(MODES)}", hint))
        arch = self._arch(data.get("arch", "wse2"))
        targets = TargetReader(self).targets(self._list("targets"))
        axes = self._axes(data.get("axes"), targets, arch)
        objectives = tuple(filter(None, map(self._objective, self._list("objectives"))))
        constraints = tuple(filter(None, map(self._constraint, self._list("constraints", required=False))))
        points = self._points(str(mode), axes)
        seed = self._whole("seed", 0, 0, (1 << 63) - 1)
        batch, memory = self._whole("batch", 8, 1, 10_000), self._whole("memory", 0, 1 << 20, 1 << 50)
        timeout = data.get("timeout")
        if timeout is not None and not (_is_number(timeout) and 0 < timeout < 1e9):
            self.fault(("timeout",), f"found {show(timeout)}, expected a positive number of seconds")
        if self.faults:
            return None
        return Spec(
            name, mode, axes, targets, objectives, constraints, arch, points, seed, batch,
            None if timeout is None else float(timeout), memory or None,
        )  # fmt: skip

    def _list(self, key: str, required: bool = True) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
        found = self.doc.data.get(key, [])
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            self.fault((key,), f"found {show(found)}, expected tables written [[{key}]]")
            return []
        if required and not found:
            self.fault((key,), f"missing; at least one table [[{key}]] is wanted")
        if len(found) > _MOST[key]:
            self.fault((key,), f"found {len(found)} tables, at most {_MOST[key]} are allowed")
            return []
        return [((key,), entry) for entry in found]

    def _whole(self, key: str, default: int, low: int, high: int) -> int:
        value = self.doc.data.get(key, default)
        if key not in self.doc.data:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fault((key,), f"found {show(value)}, expected a whole number {low} to {high}")
            return default
        return value

    def _points(self, mode: str, axes: tuple[Axis, ...]) -> int:
        if mode == "grid":
            open_axes = [axis.name for axis in axes if not axis.listed()]
            for name in open_axes:
                self.fault(("axes", name), "a grid needs a list of values, or a range with a step")
            if "points" in self.doc.data:
                self.fault(("points",), "a grid has all its points; leave it out, or use mode = 'random'")
            count = grid_size(axes) if axes and not open_axes else 0
            if count > MOST_POINTS:
                self.fault(("axes",), f"the grid has {count} points, at most {MOST_POINTS} are allowed")
            return count
        if "points" not in self.doc.data:
            self.fault(("points",), f"missing; how many points mode = {mode!r} is to look at")
        return self._whole("points", 1, 1, MOST_POINTS if mode == "random" else 10_000)

    # -- arch ----------------------------------------------------------------------------------------------

    def _arch(self, value: Any) -> str | dict[str, Any]:
        from wafersim.simulate.request import arch_of

        base = value.get("from") if isinstance(value, dict) else value
        if not isinstance(base, str):
            self.fault(
                ("arch",), f'found {show(value)}, expected a name or a table with "from" and constants'
            )
            return "wse2"
        if not is_inside(base, self.doc.path.parent):
            self.fault(("arch",), f"{show(base)} lies outside the folder of this file")
            return "wse2"
        if base.endswith(".toml"):
            base = str(self.doc.path.parent / base)
            value = {**value, "from": base} if isinstance(value, dict) else base
        try:
            arch_of(value)
        except ConfigError as error:
            self.faults += [self.doc.fault(("arch",), fault) for fault in error.faults]
            return "wse2"
        return dict(value) if isinstance(value, dict) else str(value)

    # -- axes ----------------------------------------------------------------------------------------------

    def _axes(self, table: Any, targets: tuple[Target, ...], arch: Any) -> tuple[Axis, ...]:
        if not isinstance(table, dict) or not table:
            self.fault(("axes",), "missing; a table [axes] of names and their values is wanted")
            return ()
        if len(table) > _MOST["axes"]:
            self.fault(("axes",), f"found {len(table)} axes, at most {_MOST['axes']} are allowed")
            return ()
        axes = []
        for name, value in table.items():
            if not self._names_something(name, targets, arch):
                continue
            axis = self._range(name, value) if isinstance(value, dict) else self._values(name, value)
            if axis is not None:
                axes.append(axis)
        return tuple(axes)

    def _names_something(self, name: str, targets: tuple[Target, ...], arch: Any) -> bool:
        from wafersim.sweep.points import axis_problem

        problem = axis_problem(name, targets, arch)
        if problem:
            self.fault(("axes", name), problem)
        return not problem

    def _values(self, name: str, value: Any) -> Axis | None:
        kinds = (int, float, str, bool)
        good = isinstance(value, list) and all(isinstance(v, kinds) for v in value)
        if not good or not 1 <= len(value) <= MOST_VALUES:
            self.fault(
                ("axes", name),
                f"found {show(value)}, expected a list of 1 to {MOST_VALUES} values, or a range",
            )
            return None
        if any(isinstance(v, float) and not math.isfinite(v) for v in value):
            self.fault(("axes", name), "a value is not finite")
            return None
        if any(
            isinstance(v, str) and (len(v) > 100 or "/" in v or "\\" in v or v.startswith(".")) for v in value
        ):
            self.fault(
                ("axes", name), "a value is a path or longer than 100 characters; paths are not allowed here"
            )
            return None
        if len(set(map(repr, value))) < len(value):
            self.fault(("axes", name), "a value is there twice")
            return None
        return Axis(name, tuple(value))

    def _range(self, name: str, table: dict[str, Any]) -> Axis | None:
        key = ("axes", name)
        before = len(self.faults)
        self.unknown(key, table, ("from", "to", "step", "log"))
        low, high, step, is_log = (
            table.get("from"),
            table.get("to"),
            table.get("step"),
            table.get("log", False),
        )
        for word, value in (("from", low), ("to", high), ("step", step)):
            if (value is not None or word != "step") and not _is_number(value):
                self.fault(key, f"{word} is {show(value)}, expected a finite number")
        if not isinstance(is_log, bool):
            self.fault(key, f"log is {show(is_log)}, expected true or false")
        if len(self.faults) > before:
            return None
        assert isinstance(low, int | float) and isinstance(high, int | float)
        if low > high:
            self.fault(key, f"from ({show(low)}) is above to ({show(high)})")
        elif is_log and low <= 0:
            self.fault(key, f"log needs values above 0, from is {show(low)}")
        elif step is not None and (step <= 0 or (high - low) / step >= MOST_VALUES):
            self.fault(key, f"step is {show(step)}, expected above 0 and at most {MOST_VALUES} values")
        elif step is not None and is_log:
            self.fault(key, "step and log exclude each other; give a list of values instead")
        else:
            return Axis(name, (), low, high, step, is_log)
        return None

    # -- figures -------------------------------------------------------------------------------------------

    def _objective(self, entry: tuple[tuple[str, ...], dict[str, Any]]) -> Objective | None:
        key, table = entry
        self.unknown(key, table, ("figure", "goal"))
        figure, goal = self._figure(key, table), table.get("goal", "min")
        if goal not in GOALS:
            self.fault(key, f"goal is {show(goal)}, expected min or max")
            return None
        return None if figure is None else Objective(figure, goal)

    def _constraint(self, entry: tuple[tuple[str, ...], dict[str, Any]]) -> Constraint | None:
        key, table = entry
        self.unknown(key, table, ("figure", "at_most", "at_least"))
        figure = self._figure(key, table)
        bounds = {word: table.get(word) for word in ("at_most", "at_least")}
        if all(value is None for value in bounds.values()):
            self.fault(key, "at_most or at_least is missing")
            return None
        for word, value in bounds.items():
            if value is not None and not _is_number(value):
                self.fault(key, f"{word} is {show(value)}, expected a finite number")
                return None
        return None if figure is None else Constraint(figure, **bounds)

    def _figure(self, key: tuple[str, ...], table: dict[str, Any]) -> str | None:
        figure = table.get("figure")
        if not isinstance(figure, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,120}", figure):
            self.fault(key, f"figure is {show(figure)}, expected a name such as gemm.cycles")
            return None
        return figure


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 and (isinstance(value, int) or math.isfinite(value))
