"""Checks of routes against the generation, and warnings about routes that lead nowhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wafersim.errors import ProgramError
from wafersim.program import schema as s
from wafersim.program.check_streams import check_streams
from wafersim.program.checking import Checking
from wafersim.program.routes import mask_names
from wafersim.program.schema import CodeCol, DsdCol, DsdKind, Op, Port, QueueCol, RouteCol, TileCol

#: Filters that a PE of generation 2 has (SDK release notes).
MAX_FILTERS = {2: 6}
_STEP = {Port.NORTH: (-1, 0), Port.EAST: (0, 1), Port.SOUTH: (1, 0), Port.WEST: (0, -1)}
_OPPOSITE = {Port.NORTH: Port.SOUTH, Port.SOUTH: Port.NORTH, Port.EAST: Port.WEST, Port.WEST: Port.EAST}
Bool = npt.NDArray[np.bool_]


def check_routes(check: Checking) -> None:
    """What the generation allows, colors used without a route, and routes that lead nowhere."""
    _classes(check)
    _run_time_switches(check)
    _filters(check)
    _used_colors(check)
    _leads(check)
    check_streams(check)


def _where(check: Checking, cls: int) -> list[tuple[int, str, tuple[int, ...]]]:
    """Colors and PEs that use a route class."""
    out = []
    for k, color in enumerate(check.t["colors"]):
        mask = check.t["route_map"][k] == cls
        if mask.any():
            region, pe = check.locator.region(mask)
            out.append((int(color), region, pe))
    return out


def _classes(check: Checking) -> None:
    for number, row in enumerate(check.t["routes"]):
        positions = int(row[RouteCol.NUM_POSITIONS])
        problem = _class_problem(check, row, positions)
        uses = _where(check, number) if problem or positions > 1 else []
        if problem:
            color, region, pe = uses[0] if uses else (None, "set at run time", None)
            name = check.locator.color(color) if color is not None else "a route class"
            raise ProgramError(f"{name} at {region}: {problem}", pe=pe, color=color)
        for color, region, pe in uses:
            if not int(check.arch.switchable_mask) >> color & 1:
                raise ProgramError(
                    f"{check.locator.color(color)} at {region} has {positions} switch positions, but color "
                    f"{color} "
                    f"has no switch on {check.arch.name}; colors with switches: {_switchable(check)}",
                    pe=pe,
                    color=color,
                )


def _run_time_switches(check: Checking) -> None:
    """A route that is set at run time on a color without a switch has one position."""
    for tile in range(len(check.t["tiles"])):
        for row in check.code_range(tile):
            instr = check.t["code"][row]
            if instr[CodeCol.OP] != Op.ROUTE_SET or instr[CodeCol.A] >= 0:
                continue
            color = int(instr[CodeCol.IMM])
            positions = int(check.t["routes"][instr[CodeCol.IMM2], RouteCol.NUM_POSITIONS])
            if positions > 1 and not int(check.arch.switchable_mask) >> color & 1:
                raise check.error(
                    "code", row, tile,
                    f"sets a route with {positions} switch positions on {check.locator.color(color)}, which "
                    "has no "
                    f"switch on {check.arch.name}; colors with switches: {_switchable(check)}",
                    color,
                )  # fmt: skip


def _switchable(check: Checking) -> str:
    return _ranges([c for c in range(s.NUM_COLORS) if int(check.arch.switchable_mask) >> c & 1])


def _class_problem(check: Checking, row: npt.NDArray[np.int32], positions: int) -> str:
    for k in range(positions):
        ins, outs = int(row[2 * k]), int(row[2 * k + 1])
        if ins.bit_count() > 1 and not check.arch.multi_input_colors:
            return (
                f"position {k} has the inputs {', '.join(mask_names(ins))}; generation {check.generation} "
                "allows one"
            )
        if check.generation == 2 and k and ins != int(row[2 * k - 2]) and outs != int(row[2 * k - 1]):
            return f"switch position {k} changes input and output; generation 2 overrides one of them"
    if check.generation == 3 and (row[RouteCol.SWAP_X] or row[RouteCol.SWAP_Y]):
        return "color swap exists on generation 2 only"
    return ""


def _ranges(numbers: list[int]) -> str:
    """``0-9, 12, 13`` of a sorted list."""
    parts: list[list[int]] = []
    for n in numbers:
        if parts and n == parts[-1][-1] + 1:
            parts[-1].append(n)
        else:
            parts.append([n])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 2 else ", ".join(map(str, p)) for p in parts)


def _filters(check: Checking) -> None:
    limit = MAX_FILTERS.get(check.generation)
    has = np.append(check.t["routes"][:, RouteCol.FILTER] != 0, False)
    if limit is None or not has.any():
        return
    counts = has[check.t["route_map"]].sum(axis=0)
    if (counts > limit).any():
        region, pe = check.locator.region(counts > limit)
        raise ProgramError(
            f"{int(counts.max())} filters at {region}; a PE of generation {check.generation} has {limit}",
            pe=pe,
        )


# --- colors that a tile uses ------------------------------------------------------------------------


def _used_colors(check: Checking) -> None:
    for tile in range(len(check.t["tiles"])):
        here = check.t["tile_map"] == tile
        if not here.any():
            continue
        changed = _changed_colors(check, tile)
        for color, (table, row, sends) in _uses(check, tile).items():
            if color not in changed and None not in changed:
                _routed(check, tile, here, color, table, row, sends)


def _uses(check: Checking, tile: int) -> dict[int, tuple[str, int, bool]]:
    """Colors that a tile sends (fabric-output descriptors) or receives (input queues): table row, sends."""
    out: dict[int, tuple[str, int, bool]] = {}
    first = check.dsd_first(tile)
    for row in range(first, first + int(check.t["tiles"][tile, TileCol.NUM_DSDS])):
        dsd = check.t["dsds"][row]
        if dsd[DsdCol.KIND] == DsdKind.FABOUT:
            out.setdefault(int(dsd[DsdCol.COLOR]), ("dsds", row, True))
    for queue in check.rows_of("queues", QueueCol.TILE, tile):
        entry = check.t["queues"][queue]
        if entry[QueueCol.DIRECTION] == 0 and entry[QueueCol.COLOR] >= 0:
            out.setdefault(int(entry[QueueCol.COLOR]), ("queues", int(queue), False))
    return out


def _changed_colors(check: Checking, tile: int) -> set[int | None]:
    """Colors whose routes the tile sets at run time (None: any)."""
    rows = check.code_range(tile)
    code = check.t["code"][rows.start : rows.stop]
    literal = code[:, int(CodeCol.A)] < 0
    numbers = code[:, int(CodeCol.IMM)]
    is_set = code[:, int(CodeCol.OP)] == int(Op.ROUTE_SET)
    out: set[int | None] = set(numbers[is_set & literal].tolist())
    if (is_set & ~literal).any():
        out.add(None)
    base = int(check.arch.color_config_base)
    if base >= 0:
        offsets = numbers[(code[:, int(CodeCol.OP)] == int(Op.STORE)) & literal] - base
        out.update((offsets[(offsets >= 0) & (offsets < 2 * s.NUM_COLORS)] // 2).tolist())
    return out


def _routed(check: Checking, tile: int, here: Bool, color: int, table: str, row: int, sends: bool) -> None:
    """An error where no PE of the tile has a route for the color, a warning where some have none."""
    colors = check.t["colors"].tolist()
    routes = check.t["route_map"][colors.index(color)] if color in colors else np.full(here.shape, -1)
    ramp = ramp_classes(check, sends)
    missing = here & (routes < 0)
    useless = here & (routes >= 0) & ~ramp[routes]
    verb, port = ("sends", "RAMP as input") if sends else ("receives", "RAMP as output")
    name = check.locator.color(color)
    if missing[here].all():
        check.unreached(
            table, row, tile, f"{verb} {name}, which has no route there; add lay.route({color}, ...)", color
        )
    elif missing.any():
        region, _ = check.locator.region(missing)
        check.warn(f"tile {check.locator.tile(tile)} {verb} {name}, which has no route at {region}")
    if useless.any() and useless.sum() + missing.sum() == here.sum():
        region, _ = check.locator.region(useless)
        check.warn(f"tile {check.locator.tile(tile)} {verb} {name}, whose route has no {port} at {region}")


def ramp_classes(check: Checking, sends: bool) -> Bool:
    """Per class: whether some position takes from (or gives to) the RAMP; one more entry for "no route"."""
    masks = _masks(check, 0 if sends else 1)
    return np.append(masks >> Port.RAMP & 1 == 1, False)


def _masks(check: Checking, which: int) -> npt.NDArray[np.int64]:
    """Per class: the union over positions of the input (0) or output (1) masks."""
    routes = check.t["routes"].astype(np.int64)
    out = np.zeros(len(routes), np.int64)
    for k in range(s.MAX_SWITCH_POSITIONS):
        out |= np.where(routes[:, RouteCol.NUM_POSITIONS] > k, routes[:, 2 * k + which], 0)
    return out


# --- routes that lead nowhere -----------------------------------------------------------------------


def _leads(check: Checking) -> None:
    """Warnings: a route leaves the program, meets no route, or meets one that does not listen."""
    route_map, colors = check.t["route_map"], check.t["colors"].tolist()
    ins = np.append(_masks(check, 0), 0)
    outs = np.append(_masks(check, 1) & ~check.t["routes"][:, RouteCol.SINK].astype(np.int64), 0)
    runtime = {c for tile in range(len(check.t["tiles"])) for c in _changed_colors(check, tile)}
    for k, color in enumerate(colors):
        if not (route_map[k] >= 0).any():
            continue
        present = np.bincount(route_map[k].ravel() + 1, minlength=len(outs))[1:] > 0
        for port, (dy, dx) in _STEP.items():
            if not (outs[:-1][present] >> port & 1).any():
                continue
            sends = outs[route_map[k]] >> port & 1 == 1
            inside = np.zeros(sends.shape, bool)
            inside[_window(sends.shape, dy, dx)] = True
            _warn_at(check, sends & ~inside, color, port, "leaves the program")
            if color in runtime or None in runtime:
                continue
            arrives, listens = _next_route(check, k, port, dy, dx, ins)
            _warn_at(check, sends & inside & ~arrives, color, port, "meets no route at the neighbor")
            problem = f"meets a route that does not take from {_OPPOSITE[port].name}"
            _warn_at(check, sends & inside & arrives & ~listens, color, port, problem)


def _next_route(
    check: Checking, k: int, port: Port, dy: int, dx: int, ins: npt.NDArray[np.int64]
) -> tuple[Bool, Bool]:
    """Per PE: whether its neighbor has a route for the (possibly swapped) color, and whether that listens."""
    route_map, colors = check.t["route_map"], check.t["colors"].tolist()
    own = _shifted(route_map[k], dy, dx)
    swap_column = RouteCol.SWAP_X if dx else RouteCol.SWAP_Y
    swaps = np.append(check.t["routes"][:, swap_column] != 0, False)[own]
    target = own
    if swaps.any():
        partner = colors[k] ^ 1
        other = route_map[colors.index(partner)] if partner in colors else np.full(own.shape, -1, np.int32)
        target = np.where(swaps, _shifted(other, dy, dx), own)
    arrives = target >= 0
    listens = ins[target] >> _OPPOSITE[port] & 1 == 1
    return arrives, listens


def _shifted(array: npt.NDArray[np.int32], dy: int, dx: int) -> npt.NDArray[np.int32]:
    """The value at the neighbor (y + dy, x + dx); -1 outside."""
    out = np.full(array.shape, -1, array.dtype)
    ys, xs = _window(array.shape, dy, dx)
    out[ys, xs] = array[ys.start + dy : ys.stop + dy, xs.start + dx : xs.stop + dx]
    return out


def _window(shape: tuple[int, ...], dy: int, dx: int) -> tuple[slice, slice]:
    """The PEs that have a neighbor (y + dy, x + dx)."""
    return (
        slice(max(0, -dy), min(shape[0], shape[0] - dy)),
        slice(max(0, -dx), min(shape[1], shape[1] - dx)),
    )


def _warn_at(check: Checking, mask: Bool, color: int, port: Port, problem: str) -> None:
    if mask.any():
        region, _ = check.locator.region(mask)
        check.warn(f"{check.locator.color(color)}: the route to {port.name} at {region} {problem}")
