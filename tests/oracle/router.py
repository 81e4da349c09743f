"""Phases R (routers) and Q (ramps) of a cycle."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wafersim.program.schema import TEARDOWN_TASK, Event, FilterKind, PopMode, SwitchCommand

from .state import Fault, Fifo, HostQueue, Pe, Route

if TYPE_CHECKING:
    from .run import Machine

RAMP = 4
NAMES = ("NORTH", "EAST", "SOUTH", "WEST", "RAMP")
DIRECTIONS = ("N", "E", "S", "W")
COUNTER, SPARSE, RANGE = int(FilterKind.COUNTER), int(FilterKind.SPARSE_COUNTER), int(FilterKind.RANGE)
COMMAND_BITS = 0x3FC0FFFF  # payload bits 22..29 and 0..15


def command_field(payload: int) -> int:
    """The 24-bit command field of a control wavelet."""
    return (payload >> 22) & 0xFF | (payload & 0xFFFF) << 8


def with_field(payload: int, commands: int) -> int:
    """The payload with another command field."""
    return payload & ~COMMAND_BITS | (commands & 0xFF) << 22 | commands >> 8


def link_fifo(machine: Machine, pe: Pe, color: int, port: int) -> Fifo:
    """L(pe, color, port), made on first use."""
    fifo = pe.fifos.get((color, port))
    if fifo is None:
        arch = machine.arch
        if port == RAMP:
            fifo = Fifo(arch.ramp_buffer, arch.ramp_out_cycles)
        else:
            fifo = Fifo(arch.link_buffer, arch.hop_cycles)
        pe.fifos[(color, port)] = fifo
    return fifo


def color_at(neighbor: Pe, color: int, direction: int) -> int:
    """The color under which a wavelet arrives: the neighbor's route may swap the lowest bit."""
    route = neighbor.routes.get(color)
    if route is None:
        return color
    return color ^ 1 if (route.swap_x if direction in (1, 3) else route.swap_y) else color


def color_from_ramp(pe: Pe, color: int) -> int:
    """The color under which a wavelet leaves the ramp: a route that swaps in both dimensions swaps here too."""
    route = pe.routes.get(color)
    return color ^ 1 if route is not None and route.swap_x and route.swap_y else color


def input_queue_of(pe: Pe, color: int) -> int | None:
    """The lowest-numbered input queue whose color is c."""
    if pe.tile is not None:
        for number, queue in enumerate(pe.iq):
            if queue.color == color:
                return number
    return None


def filter_passes(route: Route, payload: int, control: bool) -> bool:
    """The filter's judgement with its present state."""
    if not route.filter_active or route.filter == 0:
        return True
    if route.filter == RANGE:
        return control or route.filter_min <= payload >> 16 <= route.filter_max
    return route.counter <= route.filter_max


def filter_count(route: Route, control: bool) -> None:
    """The filter's counter moves."""
    if not route.filter_active or route.filter not in (COUNTER, SPARSE):
        return
    if not (route.count_control if control else route.count_data):
        return
    if route.counter != route.limit1:
        route.counter = route.counter + 1 & 0xFFFF
        return
    route.counter = 0
    if route.filter == SPARSE:
        route.filter_max += route.limit2
        if route.filter_max > 65535:
            route.filter_active = False


class Candidate:
    __slots__ = ("color", "fifo", "judged", "outputs", "port", "route")

    def __init__(self, color: int, port: int, fifo: Fifo, route: Route, outputs: int, judged: bool) -> None:
        self.color, self.port, self.fifo, self.route = color, port, fifo, route
        self.outputs = outputs
        self.judged = judged  # the filter saw it


def _candidates(machine: Machine, pe: Pe, t: int) -> list[Candidate]:
    found = []
    for color, port in sorted(pe.waiting):
        fifo = pe.fifos[(color, port)]
        ready, payload, control, _ = fifo.entries[0]
        if ready > t:
            continue
        route = pe.routes.get(color)
        if route is None:
            raise Fault(f"color {color} from {NAMES[port]} meets no route")
        inputs, outputs = route.positions[route.position]
        if route.teardown or not inputs >> port & 1:
            continue
        for direction in range(4):
            if (outputs & ~route.sink) >> direction & 1 and pe.neighbors[direction] is None:
                raise Fault(f"color {color} leaves the fabric to the {NAMES[direction]}")
        if not outputs:
            continue  # an empty output mask: waits
        judged = False
        if outputs >> RAMP & 1:
            if control and command_field(payload) >> 2 & 1:
                outputs &= ~(1 << RAMP)
            else:
                judged = True
                if not filter_passes(route, payload, control):
                    outputs &= ~(1 << RAMP)
        found.append(Candidate(color, port, fifo, route, outputs, judged))
    return found


def _blocked(machine: Machine, pe: Pe, one: Candidate, t: int) -> tuple[bool, bool]:
    """(some output cannot take it, some output has no space); no bound queue is no lack of space."""
    full = False
    outputs = one.outputs & ~one.route.sink
    for direction in range(4):
        if outputs >> direction & 1:
            neighbor = pe.neighbors[direction]
            assert neighbor is not None
            color = color_at(neighbor, one.color, direction)
            full = full or not link_fifo(machine, neighbor, color, direction ^ 2).has_space(t)
    if not outputs >> RAMP & 1:
        return full, full
    number = input_queue_of(pe, one.color)
    if number is None:
        return True, full
    full = full or len(pe.iq[number].entries) >= pe.iq[number].capacity
    return full, full


def route_pe(machine: Machine, pe: Pe, t: int) -> None:
    """Phase R of one PE: judge all candidates, grant, then let the effects happen."""
    candidates = _candidates(machine, pe, t)
    if not candidates:
        return
    eligible = []
    for one in candidates:
        blocked, full = _blocked(machine, pe, one, t)
        one.fifo.held_up = one.fifo.held_up or full
        if not blocked:
            eligible.append(one)
    eligible.sort(key=lambda c: (c.fifo.last_grant, c.color, c.port))
    taken = 0
    for one in eligible:
        if one.outputs & taken:
            machine.tally(pe, Event.ARBITRATION_LOSSES)
        else:
            taken |= one.outputs
            _grant(machine, pe, one, t)


def _grant(machine: Machine, pe: Pe, one: Candidate, t: int) -> None:
    machine.happened = True
    fifo, color, route = one.fifo, one.color, one.route
    _, payload, control, advance = fifo.entries.popleft()
    if not fifo.entries:
        pe.waiting.discard((color, one.port))
    fifo.pops.append(t)
    fifo.last_grant = t
    fifo.grants += 1
    pe.events[Event.BACKPRESSURE] += fifo.held_up
    fifo.held_up = False
    onward = payload
    if control:
        commands = command_field(payload)
        command = commands & 3
        machine.defer(_command(machine, pe, color, route, command))
        mode = route.pop_mode
        moves = route.num_positions > 1 and (route.ring or route.position + 1 < route.num_positions)
        if (
            mode == PopMode.ALWAYS
            or (
                mode in (PopMode.ON_ADVANCE, PopMode.ON_ADVANCE_OR_NOP)
                and command == SwitchCommand.ADVANCE
                and moves
            )
            or (mode == PopMode.ON_ADVANCE_OR_NOP and command == SwitchCommand.NOP)
        ):
            onward = with_field(payload, commands >> 3)
    if advance:
        machine.defer(_command(machine, pe, color, route, int(SwitchCommand.ADVANCE)))
    if one.judged:
        filter_count(route, control)
    for direction in range(5):
        if one.outputs >> direction & 1:
            key = (color, direction)
            pe.link_wavelets[key] = pe.link_wavelets.get(key, 0) + 1
            if route.sink >> direction & 1:
                _to_host(machine, pe, direction, color, payload if direction == RAMP else onward, control, t)
            elif direction == RAMP:
                _deliver(machine, pe, color, payload, control, t)
            else:
                _cross(machine, pe, direction, color, onward, control, t)


def _cross(machine: Machine, pe: Pe, direction: int, color: int, payload: int, control: bool, t: int) -> None:
    neighbor = pe.neighbors[direction]
    assert neighbor is not None
    key = (color_at(neighbor, color, direction), direction ^ 2)
    fifo = link_fifo(machine, neighbor, *key)
    fifo.entries.append((t + machine.arch.hop_cycles, payload, control, False))
    neighbor.waiting.add(key)


def _to_host(machine: Machine, pe: Pe, port: int, color: int, payload: int, control: bool, t: int) -> None:
    when = t + (machine.arch.ramp_in_cycles if port == RAMP else machine.arch.hop_cycles)
    pe.collected.setdefault((color, port), []).append((when, payload, control))
    machine.cost_end = max(machine.cost_end, when + 1)


def host_links(machine: Machine, pe: Pe, t: int) -> None:
    """Phase R of the host's links: one wavelet a cycle and port at the fabric's edge."""
    for port in range(4):
        ready = []
        for (color, at), queue in pe.host.items():
            if at != port or not queue.entries:
                continue
            target = color_at(pe, color, port)
            if link_fifo(machine, pe, target, port).has_space(t):
                ready.append((queue.last_move, color, target))
        if ready:
            _, color, target = min(ready)
            payload, control = _take(machine, pe.host[(color, port)], t)
            entry = (t + machine.arch.hop_cycles, payload, control, False)
            link_fifo(machine, pe, target, port).entries.append(entry)
            pe.waiting.add((target, port))


def _take(machine: Machine, queue: HostQueue, t: int) -> tuple[int, bool]:
    queue.last_move = t
    machine.happened = True
    return queue.entries.popleft()


def _deliver(machine: Machine, pe: Pe, color: int, payload: int, control: bool, t: int) -> None:
    number = input_queue_of(pe, color)
    assert number is not None
    queue = pe.iq[number]
    queue.entries.append((t + machine.arch.ramp_in_cycles, payload, control, color, False))
    pe.high_water(Event.IQ_HIGH_WATER, queue)
    pe.events[Event.WAVELETS_RECEIVED] += 1


def _command(machine: Machine, pe: Pe, color: int, route: Route, command: int) -> Callable[[], None]:
    """The act of a command on this PE's route, done at the end of the cycle."""

    def act() -> None:
        if command == SwitchCommand.ADVANCE:
            if route.position + 1 < route.num_positions:
                route.position += 1
            elif route.ring:
                route.position = 0
        elif command == SwitchCommand.RESET:
            route.position = 0
        elif command == SwitchCommand.TEARDOWN:
            route.teardown = True
            if pe.tile is not None:
                pe.torn_down |= 1 << color
                machine.activate_if_bound(pe, TEARDOWN_TASK)

    return act


def ramp_pe(machine: Machine, pe: Pe, t: int) -> None:
    """Phase Q of one PE: at most one wavelet moves from the output queues to the router."""
    if t < pe.next_move:
        return
    waiting: list[tuple[int, bool, int, int]] = []  # (last move, from the host, number or color, color)
    for number, queue in enumerate(pe.oq):
        if queue.entries and queue.entries[0][0] <= t:
            waiting.append((queue.last_move, False, number, queue.entries[0][3]))
    for (color, port), fed in pe.host.items():
        if port == RAMP and fed.entries:
            waiting.append((fed.last_move, True, color, color))
    for *_, color in waiting:
        if color not in pe.routes or color_from_ramp(pe, color) not in pe.routes:
            raise Fault(f"color {color} on its way to the router meets no route")
    able = [w for w in waiting if link_fifo(machine, pe, color_from_ramp(pe, w[3]), RAMP).has_space(t)]
    if not able:
        return
    _, from_host, number, color = min(able)
    advance = False
    if from_host:
        payload, control = _take(machine, pe.host[(color, RAMP)], t)
    else:
        _, payload, control, _, advance = pe.oq[number].entries.popleft()
        pe.oq[number].last_move = t
    arch = machine.arch
    color = color_from_ramp(pe, color)
    link_fifo(machine, pe, color, RAMP).entries.append((t + arch.ramp_out_cycles, payload, control, advance))
    pe.waiting.add((color, RAMP))
    pe.events[Event.WAVELETS_SENT] += 1
    machine.happened = True
    pe.pace += arch.ramp_pace_num - arch.ramp_pace_den
    pe.next_move = t + 1
    if pe.pace >= arch.ramp_pace_den:
        pe.pace -= arch.ramp_pace_den
        pe.next_move = t + 2
