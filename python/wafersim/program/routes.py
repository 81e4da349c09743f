"""Routes: masks, switch positions, filters, and their deduplicated classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from wafersim.errors import ProgramError
from wafersim.program.schema import MAX_SWITCH_POSITIONS, ROUTE_COLS, FilterKind, PopMode, Port, RouteCol

#: Ports: a name (``"EAST"``, ``"E"``), a Port, or a tuple of them.
Ports: TypeAlias = "str | Port | Sequence[str | Port]"

_SHORT = {p.name[0]: p for p in Port}
_POP = {m.name.lower(): m for m in PopMode}
_FILTER_FIELDS = {
    "counter": ("limit1", "max", "init", "count_data", "count_control"),
    "sparse_counter": ("limit1", "limit2", "max", "init", "count_data", "count_control"),
    "range": ("min", "max"),
}


@dataclass(frozen=True)
class RouteClass:
    """One color configuration; ``row`` is its place in the route table."""

    row: int
    columns: tuple[int, ...]

    def ports(self, position: int = 0) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the input and output ports of a switch position."""
        ins, outs = self.columns[2 * position], self.columns[2 * position + 1]
        return mask_names(ins), mask_names(outs)


def port_mask(ports: Ports, what: str) -> int:
    """The bit mask of ports; raises ProgramError for an unknown name."""
    items = [ports] if isinstance(ports, str | Port) else list(ports)
    mask = 0
    for item in items:
        port = item if isinstance(item, Port) else _port(item, what)
        mask |= 1 << port
    return mask


def _port(name: Any, what: str) -> Port:
    text = str(name).upper()
    if text in Port.__members__:
        return Port[text]
    if text in _SHORT:
        return _SHORT[text]
    raise ProgramError(f"{what}: unknown port {name!r}; allowed are {', '.join(p.name for p in Port)}")


def mask_names(mask: int) -> tuple[str, ...]:
    """Port names of a mask."""
    return tuple(p.name for p in Port if mask >> p & 1)


class RouteTable:
    """Route classes, each once, numbered in the order of their first use."""

    def __init__(self) -> None:
        self._classes: dict[tuple[int, ...], RouteClass] = {}

    def intern(self, columns: tuple[int, ...]) -> RouteClass:
        """The class of these columns."""
        return self._classes.setdefault(columns, RouteClass(len(self._classes), columns))

    def rows(self) -> list[tuple[int, ...]]:
        """All classes as rows of the route table."""
        return list(self._classes)


def route_columns(
    *, what: str, generation: int, rx: Ports = (), tx: Ports = (), switches: Sequence[Any] = (),
    initial: int = 0, ring: bool = False, pop: str = "never", filter: Mapping[str, Any] | None = None,
    color_swap_x: bool = False, color_swap_y: bool = False, teardown: bool = False, sink: Ports = (),
) -> tuple[int, ...]:  # fmt: skip
    """Columns of a route class from CSL-like options; raises ProgramError."""
    row = [0] * ROUTE_COLS
    base = (port_mask(rx, what), port_mask(tx, what))
    positions = [base]
    for switch in switches:
        positions.append(_position(switch, positions[-1], generation, what))
    if len(positions) > MAX_SWITCH_POSITIONS:
        raise ProgramError(
            f"{what}: {len(positions)} switch positions; at most {MAX_SWITCH_POSITIONS} are allowed (the "
            "base route counts)"
        )
    for k, (ins, outs) in enumerate(positions):
        row[2 * k], row[2 * k + 1] = ins, outs
    if not 0 <= initial < len(positions):
        raise ProgramError(f"{what}: initial position {initial} of {len(positions)} positions")
    if pop not in _POP:
        raise ProgramError(f"{what}: pop mode {pop!r}; allowed are {', '.join(_POP)}")
    row[RouteCol.NUM_POSITIONS] = len(positions)
    row[RouteCol.INITIAL] = initial
    row[RouteCol.RING] = int(ring)
    row[RouteCol.POP_MODE] = int(_POP[pop])
    row[RouteCol.TEARDOWN] = int(teardown)
    row[RouteCol.SWAP_X] = int(color_swap_x)
    row[RouteCol.SWAP_Y] = int(color_swap_y)
    row[RouteCol.SINK] = port_mask(sink, what)
    outs = 0
    for _, out in positions:
        outs |= out
    if row[RouteCol.SINK] & ~outs:
        missing = ", ".join(mask_names(row[RouteCol.SINK] & ~outs))
        raise ProgramError(f"{what}: sink {missing} is no output of any position; add it to tx")
    if filter is not None:
        _filter(row, dict(filter), what)
    return tuple(row)


def _position(switch: Any, base: tuple[int, int], generation: int, what: str) -> tuple[int, int]:
    """Masks of a further switch position: ``{"rx": ...}``, ``{"tx": ...}``, both, or a pair ``(rx, tx)``.

    What is not given stays as in the position before, ``base``.
    """
    if isinstance(switch, Mapping):
        unknown = set(switch) - {"rx", "tx"}
        if unknown or not switch:
            raise ProgramError(
                f"{what}: a switch position is given by 'rx' and/or 'tx', found {dict(switch)!r}"
            )
        ins = port_mask(switch["rx"], what) if "rx" in switch else base[0]
        outs = port_mask(switch["tx"], what) if "tx" in switch else base[1]
    elif isinstance(switch, Sequence) and not isinstance(switch, str) and len(switch) == 2:
        ins, outs = port_mask(switch[0], what), port_mask(switch[1], what)
    else:
        raise ProgramError(
            f"{what}: a switch position is a dict with 'rx' and/or 'tx' or a pair, found {switch!r}"
        )
    if generation == 2:
        changed = [name for name, new, old in (("rx", ins, base[0]), ("tx", outs, base[1])) if new != old]
        if len(changed) == 2:
            raise ProgramError(
                f"{what}: a switch position of generation 2 overrides the input or the output, found both"
            )
        for name, new in (("rx", ins), ("tx", outs)):
            if name in changed and new.bit_count() != 1:
                raise ProgramError(
                    f"{what}: a switch position of generation 2 names one direction, {name} has "
                    f"{new.bit_count()}"
                )
    return ins, outs


def _filter(row: list[int], options: dict[str, Any], what: str) -> None:
    kind = options.pop("kind", None)
    if kind not in _FILTER_FIELDS:
        raise ProgramError(f"{what}: filter kind {kind!r}; allowed are {', '.join(_FILTER_FIELDS)}")
    allowed = _FILTER_FIELDS[kind]
    for name in options:
        if name not in allowed:
            raise ProgramError(
                f"{what}: a {kind} filter has no field {name!r}; allowed are {', '.join(allowed)}"
            )
    row[RouteCol.FILTER] = int(FilterKind[kind.upper()])
    row[RouteCol.FILTER_LIMIT1] = (
        _u16(options.get("limit1", 0xFFFF), what, "limit1") if kind != "range" else 0
    )
    row[RouteCol.FILTER_LIMIT2] = _u16(options.get("limit2", 0), what, "limit2")
    row[RouteCol.FILTER_MAX] = _u16(options.get("max", 0xFFFF), what, "max")
    row[RouteCol.FILTER_MIN] = _u16(options.get("min", 0), what, "min")
    row[RouteCol.FILTER_INIT] = _u16(options.get("init", 0), what, "init")
    row[RouteCol.FILTER_COUNT_DATA] = int(bool(options.get("count_data", kind != "range")))
    row[RouteCol.FILTER_COUNT_CONTROL] = int(bool(options.get("count_control", False)))


def _u16(value: Any, what: str, name: str) -> int:
    if not isinstance(value, int) or not 0 <= value <= 0xFFFF:
        raise ProgramError(f"{what}: filter {name} {value!r} is outside 0 .. 65535")
    return value
