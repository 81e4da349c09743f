"""A color's configuration, ``.{ .routes = ..., .switches = ... }``, as rows of the route table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wafersim.csl.ast import Span
from wafersim.csl.diagnostics import CslError, closest
from wafersim.csl.emit.columns import Lanes, RouteRows, bits_masks, cases, is_bits, numbers, port_mask
from wafersim.csl.values import Value
from wafersim.program.routes import mask_names
from wafersim.program.schema import ROUTE_COLS, FilterKind, PopMode, RouteCol

CONFIG_FIELDS = ("routes", "switches", "filter", "teardown")
ROUTE_FIELDS = ("rx", "tx", "color_swap_x", "color_swap_y", "pop_mode")  # pop_mode: up to SDK 1.0
SWITCH_FIELDS = ("pos1", "pos2", "pos3", "current_switch_pos", "ring_mode", "pop_mode")
POP_MODES = {
    "no_pop": PopMode.NEVER,
    "always_pop": PopMode.ALWAYS,
    "pop_on_advance": PopMode.ON_ADVANCE,
    "pop_on_advance_nop": PopMode.ON_ADVANCE_OR_NOP,
    "pop_on_header": PopMode.ON_ADVANCE_OR_NOP,
}
FILTER_KINDS = {
    "counter": FilterKind.COUNTER,
    "sparse_counter": FilterKind.SPARSE_COUNTER,
    "range": FilterKind.RANGE,
}
#: Field of a filter -> column; ``fast_mode`` is about the hardware's power and changes nothing here.
FILTER_FIELDS = {
    "limit1": RouteCol.FILTER_LIMIT1,
    "limit2": RouteCol.FILTER_LIMIT2,
    "max_counter": RouteCol.FILTER_MAX,
    "init_counter": RouteCol.FILTER_INIT,
    "min_idx": RouteCol.FILTER_MIN,
    "max_idx": RouteCol.FILTER_MAX,
    "count_data": RouteCol.FILTER_COUNT_DATA,
    "count_control": RouteCol.FILTER_COUNT_CONTROL,
    "fast_mode": None,
}
_OF_KIND = {
    "counter": ("limit1", "max_counter", "init_counter", "count_data", "count_control", "fast_mode"),
    "sparse_counter": (
        *("limit1", "limit2", "max_counter", "init_counter", "count_data", "count_control"),
        "fast_mode",
    ),
    "range": ("min_idx", "max_idx", "fast_mode"),
}


class ConfigReader:
    """Reads configurations; ``place(lane)`` says which PE a lane is, for messages."""

    def __init__(
        self, span: Span, what: str, generation: int, lanes: int, place: Callable[[int], tuple[int, int]]
    ) -> None:
        self.span = span
        self.what = what
        self.generation = generation
        self.place = place
        self.rows = RouteRows(lanes, ROUTE_COLS)

    def read(self, config: Value) -> RouteRows:
        """The route rows of all lanes."""
        everyone = np.arange(self.rows.size)
        try:
            return self._read(config, everyone)
        except ValueError as error:
            if isinstance(error, CslError):
                raise
            raise self.error(
                "a field of the configuration is no number",
                everyone,
                found=str(error),
                allowed="numbers, true, false",
            ) from None

    def _read(self, config: Value, everyone: Lanes) -> RouteRows:
        for lanes, plain in cases(config, everyone):
            fields = self._fields(plain, lanes, "a color configuration", CONFIG_FIELDS)
            self.rows.put(RouteCol.NUM_POSITIONS, lanes, 1)
            if "routes" not in fields:
                raise self.error(
                    "the configuration has no routes", lanes, hint="give .routes = .{ .rx = ..., .tx = ... }"
                )
            self._routes(fields["routes"], lanes)
            for chosen, switches in cases(fields.get("switches"), lanes):
                if switches is not None:
                    self._switches(switches, chosen)
            for chosen, filter_ in cases(fields.get("filter"), lanes):
                if filter_ is not None:
                    self._filter(filter_, chosen)
            self._flag(RouteCol.TEARDOWN, fields.get("teardown"), lanes, "teardown")
        return self.rows

    def error(
        self, what: str, lanes: Lanes, *, found: str = "", allowed: str = "", hint: str = ""
    ) -> CslError:
        """An error about the first of some lanes."""
        pe = self.place(int(lanes[0]))
        text = f"{self.what} at PE ({pe[0]}, {pe[1]}): {what}"
        return CslError(self.span, text, found=found, allowed=allowed, hint=hint, pe=pe)

    # --- parts

    def _fields(
        self, value: Value | None, lanes: Lanes, what: str, allowed: Sequence[str]
    ) -> dict[str, Value]:
        if value is None or not isinstance(value.data, dict):
            found = "nothing" if value is None else f"a value of type {value.type}"
            raise self.error(f"{what} is a struct", lanes, found=found, allowed="." + ", .".join(allowed))
        for name in value.data:
            if name not in allowed:
                raise self.error(
                    f"{what} has no field '{name}'",
                    lanes,
                    allowed="." + ", .".join(allowed),
                    hint=closest(name, allowed, "."),
                )
        return value.data

    def _routes(self, routes: Value, lanes: Lanes) -> None:
        for chosen, plain in cases(routes, lanes):
            if plain is not None and is_bits(plain):
                for column, mask in zip(
                    (RouteCol.IN0, RouteCol.OUT0), bits_masks(plain, chosen), strict=True
                ):
                    self.rows.put(column, chosen, mask)
                continue
            fields = self._fields(plain, chosen, "routes", ROUTE_FIELDS)
            for name, column in (("rx", RouteCol.IN0), ("tx", RouteCol.OUT0)):
                if not fields:  # `.routes = .{}`: a color that comes from nowhere and goes nowhere
                    self.rows.put(column, chosen, 0)
                    continue
                if name not in fields:
                    raise self.error(f"the routes have no .{name}", chosen, hint=f"give .{name} = .{{ ... }}")
                for part, ports in cases(fields[name], chosen):
                    mask = self._mask(ports, part, f".{name}")
                    self.rows.put(column, part, mask)
            for name, column in (("color_swap_x", RouteCol.SWAP_X), ("color_swap_y", RouteCol.SWAP_Y)):
                self._flag(column, fields.get(name), chosen, name)
                if self.generation == 3 and np.any(self.rows.columns[column]):
                    raise self.error(f".{name} exists on wse2 only", chosen)
            self._pop_mode(fields.get("pop_mode"), chosen)
        inputs = self.rows.columns[RouteCol.IN0]
        if self.generation == 3:
            self._one_input(inputs, lanes, ".rx")

    def _pop_mode(self, value: Value | None, lanes: Lanes) -> None:
        for chosen, mode in cases(value, lanes):
            if mode is not None:
                self._kind(mode, chosen, "pop_mode", POP_MODES, RouteCol.POP_MODE)

    def _mask(self, ports: Value | None, lanes: Lanes, name: str) -> Any:
        """Port bits; an empty list is allowed (a color that goes nowhere)."""
        if ports is None:
            raise self.error(f"{name} is nothing", lanes, allowed="RAMP, WEST, EAST, NORTH, SOUTH")
        try:
            mask = port_mask(ports, lanes)
        except (ValueError, TypeError) as error:
            raise self.error(
                f"{name} names no direction",
                lanes,
                found=str(error),
                allowed="RAMP, WEST, EAST, NORTH, SOUTH, or several as .{ RAMP, EAST }",
            ) from None
        return mask

    def _one_input(self, mask: Any, lanes: Lanes, name: str) -> None:
        """Generation 3: one input per position."""
        masks = np.broadcast_to(np.asarray(mask), self.rows.size)[lanes]
        several = (masks & (masks - 1)) != 0
        if several.any():
            first = int(np.argmax(several))
            raise self.error(
                f"{name} has several inputs",
                lanes[first:],
                found=", ".join(mask_names(int(masks[first]))),
                allowed="one on wse3",
            )

    def _flag(self, column: int, value: Value | None, lanes: Lanes, name: str) -> None:
        for chosen, plain in cases(value, lanes):
            if plain is not None:
                if str(plain.type) != "bool":
                    raise self.error(f".{name} is a bool", chosen, found=f"a value of type {plain.type}")
                self.rows.put(column, chosen, numbers(plain, chosen))

    # --- switches

    def _switches(self, switches: Value, lanes: Lanes) -> None:
        fields = self._fields(switches, lanes, "switches", SWITCH_FIELDS)
        last = np.zeros(len(lanes), np.int64)
        place = np.zeros(self.rows.size, np.int64)
        place[lanes] = np.arange(len(lanes))
        for number in (1, 2, 3):
            for column in (RouteCol.IN0, RouteCol.OUT0):
                base = self.rows.columns[column + 2 * (number - 1)]  # what is not given stays as before
                self.rows.put(
                    column + 2 * number, lanes, base[lanes] if isinstance(base, np.ndarray) else base
                )
            for chosen, position in cases(fields.get(f"pos{number}"), lanes):
                if position is None or not self._position(position, chosen, number):
                    continue
                behind = last[place[chosen]] != number - 1
                if behind.any():
                    first = int(np.argmax(behind))
                    raise self.error(
                        f"pos{number} follows an invalid position",
                        chosen[first:],
                        hint="give the positions in order",
                    )
                last[place[chosen]] = number
        for number in (1, 2, 3):
            unused = lanes[last < number]
            if len(unused):
                self.rows.put(2 * number, unused, 0)
                self.rows.put(2 * number + 1, unused, 0)
        one = int(last[0])
        self.rows.put(RouteCol.NUM_POSITIONS, lanes, 1 + (one if (last == one).all() else last))
        self._flag(RouteCol.RING, fields.get("ring_mode"), lanes, "ring_mode")
        self._initial(fields.get("current_switch_pos"), lanes)
        self._pop_mode(fields.get("pop_mode"), lanes)

    def _position(self, position: Value, lanes: Lanes, number: int) -> bool:
        """Columns of one further position; whether it is valid."""
        name = f"pos{number}"
        if is_bits(position):
            return self._position_bits(position, lanes, number)
        fields = self._fields(position, lanes, name, ("rx", "tx", "invalid"))
        invalid = fields.get("invalid")
        if invalid is not None and np.all(numbers(invalid, lanes)):
            return False
        given = [key for key in ("rx", "tx") if key in fields]
        if not given:
            raise self.error(f"{name} gives nothing", lanes, allowed=".rx, .tx or .invalid = true")
        if len(given) == 2 and self.generation == 2:
            raise self.error(
                f"{name} changes .rx and .tx", lanes, allowed="one of them on wse2, with one direction"
            )
        for key in given:
            for chosen, ports in cases(fields[key], lanes):
                mask = self._mask(ports, chosen, f".{name}.{key}")
                if self.generation == 2 and np.any(mask & (mask - 1)):
                    raise self.error(f".{name}.{key} names several directions", chosen, allowed="one on wse2")
                column = (RouteCol.IN0 if key == "rx" else RouteCol.OUT0) + 2 * number
                self.rows.put(column, chosen, mask)
                if key == "rx" and self.generation == 3:
                    self._one_input(self.rows.columns[column], chosen, f".{name}.rx")
        return True

    def _position_bits(self, position: Value, lanes: Lanes, number: int) -> bool:
        """A position as one number: what is given of input and output replaces those before; 0: none."""
        bits = np.unique(np.asarray(numbers(position, lanes)))
        if len(bits) > 1 and bits[0] == 0:
            raise self.error(f"pos{number} is 0 on some PEs and valid on others of one kind", lanes)
        if not bits.any():
            return False
        for column, mask in zip((RouteCol.IN0, RouteCol.OUT0), bits_masks(position, lanes), strict=True):
            if np.all(mask):
                self.rows.put(column + 2 * number, lanes, mask)
            elif np.any(mask):
                raise self.error(f"pos{number} changes the input on some PEs and the output on others", lanes)
        return True

    def _initial(self, value: Value | None, lanes: Lanes) -> None:
        for chosen, plain in cases(value, lanes):
            if plain is None:
                continue
            start = numbers(plain, chosen)
            count = self.rows.columns[RouteCol.NUM_POSITIONS]
            count = count[chosen] if isinstance(count, np.ndarray) else count
            if np.any((np.asarray(start) < 0) | (np.asarray(start) >= count)):
                raise self.error(
                    "current_switch_pos names no position",
                    chosen,
                    found=str(np.asarray(start).reshape(-1)[0]),
                    allowed=f"0 .. {int(np.max(count)) - 1}",
                )
            self.rows.put(RouteCol.INITIAL, chosen, start)

    def _kind(self, value: Value, lanes: Lanes, name: str, kinds: dict[str, Any], column: int) -> str:
        """One of several names set to true, as in ``.{ .always_pop = true }``."""
        fields = self._fields(value, lanes, f".{name}", tuple(kinds))
        chosen = [key for key, item in fields.items() if np.all(numbers(item, lanes))]
        if len(chosen) != 1:
            raise self.error(
                f".{name} sets {len(chosen)} of its fields",
                lanes,
                allowed="one of ." + ", .".join(kinds) + " = true",
            )
        self.rows.put(column, lanes, int(kinds[chosen[0]]))
        return chosen[0]

    # --- filters

    def _filter(self, filter_: Value, lanes: Lanes) -> None:
        fields = self._fields(filter_, lanes, "filter", ("kind", *FILTER_FIELDS))
        if "kind" not in fields:
            raise self.error("the filter has no .kind", lanes, allowed=".{ .counter = true } and the like")
        for chosen, kind in cases(fields["kind"], lanes):
            if kind is None:
                raise self.error("the filter has no .kind", chosen)
            word = self._kind(kind, chosen, "kind", FILTER_KINDS, RouteCol.FILTER)
            counts = word != "range"
            self.rows.put(RouteCol.FILTER_MAX, chosen, 0xFFFF)
            self.rows.put(RouteCol.FILTER_LIMIT1, chosen, 0xFFFF if counts else 0)
            self.rows.put(RouteCol.FILTER_COUNT_DATA, chosen, int(counts))
            for name, value in fields.items():
                if name != "kind" and name not in _OF_KIND[word]:
                    raise self.error(
                        f"a {word} filter has no field '.{name}'",
                        chosen,
                        allowed="." + ", .".join(_OF_KIND[word]),
                    )
                column = FILTER_FIELDS.get(name)
                if column is not None:
                    self._filter_number(name, column, value, chosen)

    def _filter_number(self, name: str, column: int, value: Value, lanes: Lanes) -> None:
        for chosen, plain in cases(value, lanes):
            if plain is None:
                continue
            given = np.asarray(numbers(plain, chosen))
            if np.any((given < 0) | (given > 0xFFFF)):
                bad = given.reshape(-1)[int(np.argmax((given < 0) | (given > 0xFFFF)))]
                raise self.error(f".{name} is out of range", chosen, found=str(bad), allowed="0 .. 65535")
            self.rows.put(column, chosen, numbers(plain, chosen))
