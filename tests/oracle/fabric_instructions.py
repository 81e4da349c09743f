"""Instructions on the router and the queues; they act from the next cycle on."""

from __future__ import annotations

from wafersim.program.schema import FilterField, QueueField

from .operands import DST, IMM2, IMM_, TYPE, A, Part
from .state import Fault, Pe, Queue, Route

_FILTER_FIELD = {
    int(FilterField.COUNTER): "counter",
    int(FilterField.LIMIT1): "limit1",
    int(FilterField.MAX): "filter_max",
    int(FilterField.MIN): "filter_min",
}


class Config(Part):
    """What all of them cost."""

    def _config(self, pe: Pe, ins: list[int], t: int) -> None:
        self._next(pe, t + self.arch.cost_config)

    def _config_result(self, pe: Pe, ins: list[int], t: int, value: int) -> None:
        self._config(pe, ins, t)
        self._result(pe, ins[DST], value, t + self.arch.cost_config)


class Router(Config):
    """Routes, switches, teardown and filters."""

    def _route(self, pe: Pe, color: int) -> Route:
        route = pe.routes.get(color)
        if route is None:
            raise Fault(f"color {color} has no route at this PE")
        return route

    def _route_set(self, pe: Pe, ins: list[int], t: int) -> None:
        color = self._a(pe, ins, IMM_)
        row = self.machine.route_rows[ins[IMM2]]
        self.machine.defer(lambda: pe.routes.__setitem__(color, Route(row)))
        self._config(pe, ins, t)

    def _switch_set(self, pe: Pe, ins: list[int], t: int) -> None:
        route = self._route(pe, ins[IMM_])
        position = min(self._a(pe, ins, IMM2), route.num_positions - 1)
        self.machine.defer(lambda: setattr(route, "position", position))
        self._config(pe, ins, t)

    def _switch_get(self, pe: Pe, ins: list[int], t: int) -> None:
        self._config_result(pe, ins, t, self._route(pe, ins[IMM_]).position)

    def _teardown_exit(self, pe: Pe, ins: list[int], t: int) -> None:
        route = self._route(pe, self._a(pe, ins, IMM_))
        self.machine.defer(lambda: setattr(route, "teardown", False))
        self._config(pe, ins, t)

    def _teardown_get(self, pe: Pe, ins: list[int], t: int) -> None:
        self._config_result(pe, ins, t, int(self._route(pe, ins[IMM_]).teardown))

    def _teardown_pending(self, pe: Pe, ins: list[int], t: int) -> None:
        self._config_result(pe, ins, t, pe.torn_down)
        pe.torn_down = 0  # commands of this cycle act at its end

    def _filter_get(self, pe: Pe, ins: list[int], t: int) -> None:
        route = self._route(pe, ins[IMM_])
        if ins[IMM2] == FilterField.ACTIVE:
            value = int(route.filter_active)
        else:
            value = getattr(route, _FILTER_FIELD[ins[IMM2]])
        self._config_result(pe, ins, t, value)

    def _filter_set(self, pe: Pe, ins: list[int], t: int) -> None:
        route, value = self._route(pe, ins[IMM_]), pe.regs[ins[A]] & 0xFFFF
        if ins[IMM2] == FilterField.ACTIVE:
            self.machine.defer(lambda: setattr(route, "filter_active", bool(value) and route.filter != 0))
        else:
            name = _FILTER_FIELD[ins[IMM2]]
            self.machine.defer(lambda: setattr(route, name, value))
        self._config(pe, ins, t)


class Queues(Config):
    """Fields of queues, flushing and binding."""

    def _queue(self, pe: Pe, ins: list[int]) -> Queue:
        return (pe.oq if ins[TYPE] else pe.iq)[ins[IMM_]]

    def _queue_get(self, pe: Pe, ins: list[int], t: int) -> None:
        queue = self._queue(pe, ins)
        value = {
            int(QueueField.EMPTY): int(not queue.entries),
            int(QueueField.FULL): int(len(queue.entries) >= queue.capacity),
            int(QueueField.DEPTH): len(queue.entries),
            int(QueueField.FLUSHED): int(queue.flushed),
        }[ins[IMM2]]
        self._config_result(pe, ins, t, value)

    def _queue_flush(self, pe: Pe, ins: list[int], t: int) -> None:
        queue = self._queue(pe, ins)
        queue.flushed = False
        pe.flushing.append(queue)
        self._config(pe, ins, t)

    def _queue_exit(self, pe: Pe, ins: list[int], t: int) -> None:
        self._queue(pe, ins).flushed = False
        self._config(pe, ins, t)

    def _queue_bind(self, pe: Pe, ins: list[int], t: int) -> None:
        self._queue(pe, ins).color = self._a(pe, ins, IMM2)
        self._config(pe, ins, t)
