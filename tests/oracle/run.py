"""The oracle's machine: the face of ``_core.Machine`` on top of plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wafersim.program.schema import Counter, Event, TaskKind

from . import ce, instructions, operands, router
from .operation import VecOp
from .state import Arch, Fault, HostQueue, Pe, Route, Tile

FINISHED, STUCK, LIMIT, FAULT = 0, 1, 2, 5


class Machine:
    """Ticks every PE every cycle; ``skip`` jumps over stretches in which nothing can change."""

    def __init__(self, tables: dict[str, Any], arch_ints: Any, vop_costs: Any, seed: int, skip: bool = True):
        self.arch = Arch(arch_ints, vop_costs)
        self.skip = skip
        self.width, self.height = (int(v) for v in tables["grid"])
        self.code = np.asarray(tables["code"]).tolist()
        self.hazards = [operands.hazards(ins) for ins in self.code]
        self.settings = np.asarray(tables["settings"]).tolist()
        self.route_rows = np.asarray(tables["routes"]).tolist()
        self.colors = [int(c) for c in tables["colors"]]
        self.executor = instructions.Executor(self)
        self._build(tables, seed)
        self.cycle = 0
        self.prints: list[tuple[Any, ...]] = []
        self.seen: set[tuple[str, int]] = set()  # opcodes and vector ops executed
        self.faults: list[dict[str, Any]] = []
        self.happened = self.changed = False
        self.cost_end = 0
        self._deferred: list[Callable[[], None]] = []
        self._tallies: list[tuple[Pe, int]] = []

    def _build(self, tables: dict[str, Any], seed: int) -> None:
        tiles = [Tile(i, tables) for i in range(len(tables["tiles"]))]
        self.grid = [[Pe(x, y, self.arch) for x in range(self.width)] for y in range(self.height)]
        self.pes = [pe for line in self.grid for pe in line]
        route_map = np.asarray(tables["route_map"])
        for pe in self.pes:
            for direction, (dx, dy) in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
                x, y = pe.x + dx, pe.y + dy
                if 0 <= x < self.width and 0 <= y < self.height:
                    pe.neighbors[direction] = self.grid[y][x]
            for k, color in enumerate(self.colors):
                number = int(route_map[k, pe.y, pe.x])
                if number >= 0:
                    pe.routes[color] = Route(self.route_rows[number])
            tile = int(tables["tile_map"][pe.y, pe.x])
            if tile >= 0:
                pe.place(tiles[tile], tables, self.arch, seed)
        self.computing = [pe for pe in self.pes if pe.tile is not None]

    # what the phases call

    def defer(self, act: Callable[[], None]) -> None:
        """Do it at the end of the cycle: seen from the next one on."""
        self._deferred.append(act)

    def tally(self, pe: Pe, event: Event) -> None:
        """Count an event that repeats in every cycle in which nothing changes."""
        pe.events[event] += 1
        self._tallies.append((pe, event))

    def occupy(self, pe: Pe, t: int, cost: int, class_: int, base: int) -> None:
        """The issue slot is taken from t on for ``cost`` cycles, the last ones a bank conflict."""
        pe.slot_free_at = t + cost
        pe.beat_class = class_
        pe.beat_bank_from = t + base
        self.cost_end = max(self.cost_end, t + cost)

    def activate(self, pe: Pe, number: int) -> None:
        """Set a local task's flag."""
        if not self.activate_if_bound(pe, number):
            raise Fault(f"activates task {number}, which is no bound local task")

    def activate_if_bound(self, pe: Pe, number: int) -> bool:
        for task in pe.tasks:
            if task.kind == TaskKind.LOCAL and task.id == number:
                task.active = True
                return True
        return False

    def unblock(self, pe: Pe, number: int) -> None:
        """The completion setting UNBLOCK."""
        for task in pe.tasks:
            if task.id == number and (task.kind != TaskKind.CONTROL or self.arch.generation == 2):
                task.blocked = False

    # one cycle

    def _tick(self, t: int) -> None:
        self.happened = self.changed = False
        self._tallies = []
        for phase in (self._phase_r, self._phase_q, self._phase_p):
            phase(t)
            if self.faults:
                return
        for act in self._deferred:
            act()
        self._deferred = []

    def _guard(self, call: Callable[[Any, Pe, int], None], pe: Pe, t: int) -> None:
        try:
            call(self, pe, t)
        except Fault as fault:
            self.faults.append({"cycle": t, "x": pe.x, "y": pe.y, "what": str(fault)})

    def _phase_r(self, t: int) -> None:
        for pe in self.pes:
            if pe.waiting:
                self._guard(router.route_pe, pe, t)
        for pe in self.pes:
            if pe.host:
                router.host_links(self, pe, t)

    def _phase_q(self, t: int) -> None:
        for pe in self.computing:
            self._guard(router.ramp_pe, pe, t)

    def _phase_p(self, t: int) -> None:
        for pe in self.computing:
            self._guard(ce.compute_pe, pe, t)
            pe.counters[pe.class_now] += 1

    # a run

    def run(self, max_cycles: int = -1) -> int:
        """Tick until nothing can happen any more, a fault, or the limit; returns the status."""
        begin = t = self.cycle
        end = begin
        self.cost_end = begin
        tail: list[tuple[int, int, list[tuple[Pe, int]], list[tuple[Pe, int]]]] = []
        while True:
            if max_cycles >= 0 and t - begin >= max_cycles:
                return self._stop(t, tail, LIMIT)
            self._tick(t)
            if self.faults:
                return self._stop(t + 1, [], FAULT)
            if self.happened:
                end = t + 1
                tail = []
            else:
                tail.append((t, 1, [(pe, pe.class_now) for pe in self.computing], self._tallies))
                if not self.changed:
                    soon = self._next_time(t)
                    if soon is None:
                        break
                    if self.skip:
                        if max_cycles >= 0:
                            soon = min(soon, begin + max_cycles)
                        self._repeat(tail, soon - t - 1)
                        t = soon - 1
            t += 1
        self._stop(max(end, self.cost_end), tail, FINISHED)
        return STUCK if self.waits() else FINISHED

    def _repeat(self, tail: list[Any], count: int) -> None:
        """Account ``count`` more cycles like the last one."""
        if count <= 0:
            return
        t, _, classes, tallies = tail[-1]
        for pe, class_ in classes:
            pe.counters[class_] += count
        for pe, event in tallies:
            pe.events[event] += count
        tail.append((t + 1, count, classes, tallies))

    def _stop(self, cycle: int, tail: list[Any], status: int) -> int:
        """End the run before ``cycle``: take back what was accounted behind it."""
        for start, count, classes, tallies in tail:
            extra = max(0, start + count - max(start, cycle))
            for pe, class_ in classes:
                pe.counters[class_] -= extra
            for pe, event in tallies:
                pe.events[event] -= extra
        self.cycle = cycle
        return status

    def _next_time(self, t: int) -> int | None:
        """The next cycle in which a rule may see something new, if nothing happens before."""
        times: list[int] = []
        for pe in self.pes:
            for fifo in pe.fifos.values():
                times += [e[0] for e in fifo.entries]
                times += [p + fifo.latency for p in fifo.pops]
            for queue in (*pe.iq, *pe.oq):
                times += [e[0] for e in queue.entries]
            times.append(pe.next_move)
            times += [words[-1][0] for words in pe.collected.values()]
            if pe.tile is None:
                continue
            times += [pe.next_issue, pe.next_vector, pe.free_at, pe.slot_free_at, pe.beat_bank_from]
            times += pe.reg_ready
            times += [d.ready for d in pe.dsrs]
            times += [c[0] for c in pe.completions]
            times += [r[0] + self.arch.vector_raw_cycles for r in pe.recent]
            times += [u.op.next_beat for u in pe.threads if u.op is not None]
            if pe.op is not None:
                times.append(pe.op.next_beat)
        return min((v for v in times if v > t), default=None)

    # results

    def waits(self) -> list[dict[str, Any]]:
        """Who keeps the machine from being finished."""
        found = []
        for pe in self.computing:
            where = {"x": pe.x, "y": pe.y}
            main: VecOp | None = pe.op
            if pe.task is not None and not (main is not None and main.is_daemon()):
                found.append({**where, "thread": "main"})
            elif pe.open_launches:
                found.append({**where, "thread": "launch"})
            for number, thread in enumerate(pe.threads):
                if thread.op is not None and not thread.op.is_daemon():
                    found.append({**where, "thread": f"microthread {number}"})
        return found

    def fault(self) -> dict[str, Any] | None:
        return self.faults[0] if self.faults else None

    def launch(self, function: int, arguments: list[int]) -> None:
        """A pending launch on every PE whose tile exports the function."""
        for pe in self.computing:
            if function in pe.tile.functions:
                pe.launches.append((function, list(arguments)))
                pe.open_launches += 1

    def feed(self, x: int, y: int, w: int, h: int, color: int, port: int, values: Any, control: Any) -> None:
        """The host's words for a port of every PE of a rectangle, as the engine takes them."""
        for dy in range(h):
            for dx in range(w):
                queue = self.grid[y + dy][x + dx].host.setdefault((color, port), HostQueue())
                flags = control[dy, dx].tolist() if control.size else [0] * values.shape[2]
                queue.entries += zip(values[dy, dx].tolist(), map(bool, flags), strict=True)

    def arrivals(self) -> dict[tuple[int, int, int, int], list[tuple[int, int, bool]]]:
        """(x, y, color, port) -> (cycle, payload, control) of all that the host got."""
        return {(pe.x, pe.y, *key): words for pe in self.pes for key, words in pe.collected.items()}

    def write(self, x: int, y: int, w: int, h: int, address: int, data: Any) -> None:
        data = np.asarray(data)
        for dy in range(h):
            for dx in range(w):
                raw = data[dy, dx].tobytes()
                self.grid[y + dy][x + dx].sram[address : address + len(raw)] = raw

    def read(self, x: int, y: int, w: int, h: int, address: int, nbytes: int) -> Any:
        out = np.zeros((h, w, nbytes), np.uint8)
        for dy in range(h):
            for dx in range(w):
                raw = self.grid[y + dy][x + dx].sram[address : address + nbytes]
                out[dy, dx] = np.frombuffer(bytes(raw), np.uint8)
        return out

    def sram(self, x: int, y: int) -> Any:
        return np.frombuffer(bytes(self.grid[y][x].sram), np.uint8)

    def counters(self) -> Any:
        return np.array([[pe.counters for pe in line] for line in self.grid], np.int64).reshape(
            self.height, self.width, len(Counter)
        )

    def events(self) -> Any:
        return np.array([[pe.events for pe in line] for line in self.grid], np.int64).reshape(
            self.height, self.width, len(Event)
        )

    def link_wavelets(self) -> Any:
        out = np.zeros((len(self.colors), self.height, self.width, 5), np.int64)
        for pe in self.pes:
            for (color, direction), count in pe.link_wavelets.items():
                if color in self.colors:
                    out[self.colors.index(color), pe.y, pe.x, direction] = count
        return out
