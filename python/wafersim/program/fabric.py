"""Run-time control of the fabric, time, random numbers and debugging."""

from __future__ import annotations

from typing import Any

from wafersim.program.control import control_payload
from wafersim.program.instr import Value
from wafersim.program.queues import QueueMixin
from wafersim.program.regs import Reg, Scalar
from wafersim.program.routes import RouteClass
from wafersim.program.schema import CodeFlag, Event, FilterField, Op, Type


class FabricMixin(QueueMixin):
    """Routes, switches, filters, teardown, the cycle counter, prints."""

    def _color(self, color: Any) -> tuple[Value, int, int]:
        """Columns A and IMM and flags for a color or a register holding one."""
        if isinstance(color, Reg):
            return self.reg_of(color).v, 0, 0
        return -1, self.layout.color_id(color), int(CodeFlag.A_IMM)

    def route_set(self, color: Any, route: RouteClass) -> None:
        """Replace the whole route of a color at this PE (a route from `Layout.route_class` or
        `Layout.route`).
        """
        if not isinstance(route, RouteClass):
            raise self.fail(f"route_set needs a route class (lay.route_class(...)), found {route!r}")
        a, imm, flags = self._color(color)
        self.emit(Op.ROUTE_SET, a=a, imm=imm, imm2=route.row, flags=flags)

    def switch_set(self, color: Any, position: Scalar) -> None:
        """Set the switch position of a color at this PE."""
        number = self.layout.color_id(color)
        if isinstance(position, int):
            if not 0 <= position <= 3:
                raise self.fail(f"switch position {position} is outside 0 .. 3")
            self.emit(Op.SWITCH_SET, imm=number, imm2=position, flags=int(CodeFlag.A_IMM))
        else:
            self.emit(Op.SWITCH_SET, a=self.reg_of(position).v, imm=number)

    def switch_get(self, color: Any) -> Reg:
        """The switch position of a color at this PE (u16)."""
        out = self.temp(Type.U16)
        self.emit(Op.SWITCH_GET, dst=out.v, imm=self.layout.color_id(color))
        return out

    def teardown_exit(self, color: Any) -> None:
        """Let the traffic of a color go on after a teardown."""
        a, imm, flags = self._color(color)
        self.emit(Op.TEARDOWN_EXIT, a=a, imm=imm, flags=flags)

    def teardown_get(self, color: Any) -> Reg:
        """1 if the color is in teardown at this PE (u16)."""
        out = self.temp(Type.U16)
        self.emit(Op.TEARDOWN_GET, dst=out.v, imm=self.layout.color_id(color))
        return out

    def teardown_pending(self) -> Reg:
        """Mask of the colors torn down since it was last read (u32); reading clears it."""
        out = self.temp(Type.U32)
        self.emit(Op.TEARDOWN_PENDING, dst=out.v)
        return out

    def filter_set(self, color: Any, which: str, value: Scalar) -> None:
        """Set a filter field (counter, limit1, max, min, active) of a color at this PE."""
        number = self._filter_field(which)
        reg = self.reg_of(value)
        self.emit(Op.FILTER_SET, a=reg.v, imm=self.layout.color_id(color), imm2=number)

    def filter_get(self, color: Any, which: str) -> Reg:
        """A filter field (counter, limit1, max, min, active) of a color at this PE (u32)."""
        number = self._filter_field(which)
        out = self.temp(Type.U32)
        self.emit(Op.FILTER_GET, dst=out.v, imm=self.layout.color_id(color), imm2=number)
        return out

    def _filter_field(self, which: str) -> int:
        if which.upper() not in FilterField.__members__:
            allowed = ", ".join(f.name.lower() for f in FilterField)
            raise self.fail(f"unknown filter field {which!r}; allowed are {allowed}")
        return int(FilterField[which.upper()])

    def color_config_address(self, color: Any) -> int:
        """Byte address of the color's configuration word; raises ProgramError if the generation has none."""
        return self._config_address(self.layout.arch.color_config_base, "color", color)

    def switch_config_address(self, color: Any) -> int:
        """Byte address of the color's switch configuration word; raises ProgramError if the generation has
        none.
        """
        return self._config_address(self.layout.arch.switch_config_base, "switch", color)

    def _config_address(self, base: int, what: str, color: Any) -> int:
        if base < 0:
            raise self.fail(f"generation {self.layout.generation} has no {what} configuration words")
        return base + 2 * self.layout.color_id(color)

    def control_payload(self, *args: Any, **kw: Any) -> int:
        """`wafersim.program.control.control_payload` with a task of this tile as first argument."""
        task = args[0] if args else kw.pop("task", 0)
        return control_payload(self.task_id(task) if not isinstance(task, int) else task, *args[1:], **kw)

    # --- time, random numbers, debugging -------------------------------------------------------------

    def timestamp(self) -> Reg:
        """The 48-bit cycle counter (u64)."""
        out = self.temp(Type.U64)
        self.emit(Op.TIMESTAMP, dst=out.v)
        return out

    def tsc(self, action: str) -> None:
        """``disable``, ``enable`` or ``reset`` the cycle counter."""
        actions = ("disable", "enable", "reset")
        if action not in actions:
            raise self.fail(f"unknown counter action {action!r}; allowed are {', '.join(actions)}")
        self.emit(Op.TSC_CONTROL, imm=actions.index(action))

    def random(self) -> Reg:
        """16 random bits (u16)."""
        out = self.temp(Type.U16)
        self.emit(Op.RANDOM, dst=out.v)
        return out

    def perf_counter(self, event: str) -> Reg:
        """A count of this PE (u64), by the name of the event: ``bank_conflicts``, ``wavelets_sent``, ..."""
        if event.upper() not in Event.__members__:
            allowed = ", ".join(e.name.lower() for e in Event)
            raise self.fail(f"unknown event {event!r}; allowed are {allowed}")
        out = self.temp(Type.U64)
        self.emit(Op.PERF_GET, dst=out.v, imm=int(Event[event.upper()]))
        return out

    def print_(self, text: str, *values: Scalar) -> None:
        """Print from the PE (simulation only): ``{}`` stands for a value, at most three."""
        if len(values) > 3:
            raise self.fail(f"print_ takes at most 3 values, found {len(values)}")
        if text.count("{}") != len(values):
            raise self.fail(
                f"print_: the text has {text.count('{}')} places {{}}, found {len(values)} values"
            )
        regs = [self.reg_of(v) for v in values]
        types = sum(int(r.type) << (8 * i) for i, r in enumerate(regs))
        a, b, c = ([r.v for r in regs] + [-1, -1, -1])[:3]
        self.emit(Op.PRINT, a=a, b=b, c=c, imm=self.layout.strings.number(text), imm2=types)

    def assert_(self, condition: Reg, text: str = "assertion failed") -> None:
        """A fault with the text if the condition is 0 (simulation only)."""
        self.emit(Op.ASSERT, a=self.reg_of(condition).v, imm=self.layout.strings.number(text))
