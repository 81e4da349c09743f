"""Control flow: loops, branches, functions and calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from wafersim.errors import ProgramError
from wafersim.program.access import MemoryMixin
from wafersim.program.instr import Body, Entry, Label, VReg
from wafersim.program.regs import Reg, Scalar
from wafersim.program.scalars import TypeName, is_float, parse_type, raw_bits, type_name
from wafersim.program.schema import CodeFlag, Op, SettingsCol, Type
from wafersim.program.source import caller
from wafersim.program.tile_base import TileBase

#: Host launches and calls pass at most this many arguments (the device functions of the vendor's SDK).
MAX_ARGS = 15


@dataclass
class _If:
    """An if that an else may follow: where it ended and its labels."""

    otherwise: Label
    end: Label
    position: int


@dataclass
class _Loop:
    again: Label
    out: Label


class Function:
    """A function of a tile; use it as a context to write its body, call it to emit a call."""

    def __init__(
        self, tile: FlowMixin, name: str, args: list[tuple[str, Type]], returns: Type | None, export: bool
    ) -> None:
        self.tile = tile
        self.name = name
        self.args = args
        self.returns = returns
        self.export = export
        self.body = Body(name, where=caller())
        self.body.args = [VReg(t, self.body, variable=True) for _, t in args]
        if returns is not None:
            self.body.result = VReg(returns, self.body, variable=True)

    def __enter__(self) -> tuple[Reg, ...]:
        self.tile._open(self.body)
        return tuple(Reg(self.tile, v) for v in self.body.args)

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        self.tile._close(kind is None)

    def __call__(self, *values: Scalar) -> Reg | None:
        return self.tile.call(self, *values)


class FlowMixin(MemoryMixin):
    """Structured control flow of a tile program."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.functions: dict[str, Function] = {}
        self._loops: list[_Loop] = []
        self._last_if: _If | None = None

    # --- bodies ------------------------------------------------------------------------------------

    def _open(self, body: Body) -> None:
        if self._body is not None:
            raise self.fail(f"{body.name!r} is opened inside {self._body.name!r}; bodies do not nest")
        if body.defined:
            raise self.fail(f"{body.name!r} already has a body (from {body.where})")
        body.defined = True
        body.where = caller()
        self.bodies.append(body)
        self._body = body

    def _close(self, clean: bool) -> None:
        if clean and self._end_is_reachable():
            self.emit(Op.RET)
        self._body = None
        self._loops = []
        self._last_if = None

    def _end_is_reachable(self) -> bool:
        """False if the body ends with a RET that no jump skips."""
        code = self.body.code
        if not code or code[-1].op is not Op.RET:
            return True
        return any(isinstance(i.imm, Label) and i.imm.pos == len(code) for i in code)

    def function(
        self, name: str, args: list[tuple[str, str]] | None = None, *, returns: str | None = None,
        export: bool = True,
    ) -> Function:  # fmt: skip
        """Declare a function; ``with pe.function("main", args=[("n", "i16")]) as (n,):`` writes its body.

        Exported functions can be launched by the host.  Registers are static: no recursion.
        """
        if name in self.functions:
            raise self.fail(f"function {name!r} exists already")
        if len(args or []) > MAX_ARGS:
            raise self.fail(f"function {name!r}: {len(args or [])} arguments; at most {MAX_ARGS} are allowed")
        typed = [(n, parse_type(t, f"argument {n!r} of {name!r}")) for n, t in args or []]
        result = parse_type(returns, f"result of {name!r}") if returns is not None else None
        function = Function(self, name, typed, result, export)
        self.functions[name] = function
        return function

    def call(self, function: Function | str, *values: Scalar) -> Reg | None:
        """Call a function with arguments; returns its result in a new register (None without one)."""
        target = self._function(function)
        if len(values) != len(target.args):
            raise self.fail(f"{target.name!r} takes {len(target.args)} arguments, found {len(values)}")
        sources = [self.reg_of(v, t) for v, (_, t) in zip(values, target.args, strict=True)]
        for source, dest in zip(sources, target.body.args, strict=True):
            self.emit(Op.MOV, type=int(dest.type), dst=dest, a=source.v)
        self.emit(Op.CALL, imm=Entry(target.body))
        self.body.calls.append(target.body)
        if target.body.result is None:
            return None
        out = self.temp(target.body.result.type)
        self.emit(Op.MOV, type=int(out.type), dst=out.v, a=target.body.result)
        return out

    def _function(self, function: Function | str) -> Function:
        if isinstance(function, Function):
            if function.tile is not self:
                raise self.fail(f"function {function.name!r} belongs to tile {function.tile.name!r}")
            return function
        if function not in self.functions:
            known = ", ".join(self.functions) or "none"
            raise self.fail(f"unknown function {function!r}; declared are: {known}")
        return self.functions[function]

    def return_(self, value: Scalar | None = None) -> None:
        """Return from the function (a task ends); with a value if the function has a result type."""
        result = self.body.result
        if (value is None) != (result is None):
            raise self.fail(
                f"{self.body.name!r} has {'no' if result is None else 'a'} result"
                + ("; declare it with returns=" if result is None else "; give return_ a value")
            )
        if value is not None and result is not None:
            source = self.reg_of(value, result.type)
            self.emit(Op.MOV, type=int(result.type), dst=result, a=source.v)
        self.emit(Op.RET)

    # --- branches ------------------------------------------------------------------------------------

    def _condition(self, condition: Scalar | Callable[[], Scalar]) -> Reg:
        value = condition() if callable(condition) else condition
        reg = self.reg_of(value)
        if is_float(reg.type):
            raise self.fail(f"a condition needs an integer, found {type_name(reg.type)}; compare it first")
        return reg

    @contextmanager
    def if_(self, condition: Scalar | Callable[[], Scalar]) -> Iterator[None]:
        """Run the body if the condition is not 0."""
        state = _If(Label(), Label(), -1)
        yield from self._branch(state, condition)

    @contextmanager
    def elif_(self, condition: Callable[[], Scalar]) -> Iterator[None]:
        """After an ``if_``: run the body if the condition (a function that emits it) is not 0."""
        if not callable(condition):
            raise self.fail("elif_ takes a function (lambda: a < b): its code belongs behind the if's body")
        state = self._resume("elif_")
        yield from self._branch(state, condition)

    def _branch(self, state: _If, condition: Scalar | Callable[[], Scalar]) -> Iterator[None]:
        reg = self._condition(condition)
        state.otherwise = Label()
        self.emit(Op.BZ, a=reg.v, imm=state.otherwise)
        yield
        here = len(self.body.code)
        state.otherwise.pos = state.end.pos = here
        state.position = here
        self._last_if = state

    def _resume(self, what: str) -> _If:
        state = self._last_if
        if state is None or self._body is None or state.position != len(self.body.code):
            raise self.fail(f"{what} must follow directly after an if_ or elif_")
        self._last_if = None
        self.emit(Op.JMP, imm=state.end)
        state.otherwise.pos = len(self.body.code)
        return state

    @contextmanager
    def else_(self) -> Iterator[None]:
        """After an ``if_`` or ``elif_``: run the body otherwise."""
        state = self._resume("else_")
        yield
        state.end.pos = len(self.body.code)
        self._last_if = None

    # --- loops -----------------------------------------------------------------------------------------

    @contextmanager
    def for_range(self, count: Scalar, type: TypeName | None = None) -> Iterator[Reg]:
        """Run the body ``count`` times with a hardware loop; gives the counter 0, 1, ...

        The counter has the type of a register count, u16 (i32 from 65536 on) for a number, or ``type``.
        """
        kind, columns = self._loop_count(count, type)
        counter = self.temp(kind, variable=True)
        limit = self.temp(kind, variable=True)
        end = Label()
        out = Label()
        self.emit(Op.LOOP, dst=counter.v, c=limit.v, imm=out, **columns)
        top = self.body.label()
        loop = _Loop(end, out)
        self._loops.append(loop)
        yield Reg(self, counter.v, readonly=True)
        self._loops.pop()
        end.pos = len(self.body.code)
        self.emit(Op.ENDLOOP, dst=counter.v, c=limit.v, imm=top)
        loop.out.pos = len(self.body.code)

    def _loop_count(self, count: Scalar, type_: TypeName | None) -> tuple[Type, dict[str, Any]]:
        """Type of the counter and the LOOP columns that hold the count."""
        wanted = parse_type(type_, self.place_text()) if type_ is not None else None
        if wanted is not None and is_float(wanted):
            raise self.fail(f"a loop counter needs an integer type, found {type_name(wanted)}")
        if isinstance(count, int):
            if not 0 <= count < 1 << 31:
                raise self.fail(f"a loop count must be 0 .. 2147483647, found {count}")
            kind = wanted or (Type.U16 if count < 1 << 16 else Type.I32)
            raw_bits(kind, max(count - 1, 0), self.place_text())
            return kind, {"imm2": count, "flags": int(CodeFlag.B_IMM)}
        number = self.reg_of(count)
        if is_float(number.type):
            raise self.fail(f"a loop count needs an integer, found {type_name(number.type)}")
        if wanted is not None:
            number = self.convert(number, wanted)
        return number.type, {"b": number.v}

    @contextmanager
    def while_(self, condition: Callable[[], Scalar] | int) -> Iterator[None]:
        """Run the body while the condition (a function that emits it; 1 for ever) is not 0."""
        if isinstance(condition, Reg) or not (callable(condition) or isinstance(condition, int)):
            raise self.fail(
                "while_ takes a function (lambda: a < b): the condition is evaluated at every turn"
            )
        top = self.body.label()
        loop = _Loop(top, Label())
        if callable(condition):
            self.emit(Op.BZ, a=self._condition(condition).v, imm=loop.out)
        self._loops.append(loop)
        yield
        self._loops.pop()
        self.emit(Op.JMP, imm=top)
        loop.out.pos = len(self.body.code)

    def break_(self) -> None:
        """Leave the innermost loop."""
        self.emit(Op.JMP, imm=self._loop("break_").out)

    def continue_(self) -> None:
        """Go to the next turn of the innermost loop."""
        self.emit(Op.JMP, imm=self._loop("continue_").again)

    def _loop(self, what: str) -> _Loop:
        if not self._loops:
            raise self.fail(f"{what} outside of a loop")
        return self._loops[-1]


def check_callbacks(tile: TileBase) -> None:
    """No synchronous vector op runs within a map's callback; raises ProgramError."""
    reached = [b for b in tile.bodies if b.mapped]
    for body in reached:
        reached += [b for b in (*body.calls, *body.tails) if all(b is not r for r in reached)]
        for instr in body.code:
            waits = instr.settings is None or not instr.settings.values[SettingsCol.ASYNC]
            if instr.op is Op.MAP or (instr.op is Op.VOP and waits):
                raise ProgramError(
                    f"tile {tile.name!r}, {instr.where}: {body.name!r} runs within a map and waits for a "
                    "vector op; a callback computes with scalars only"
                )


def check_defined(tile: TileBase, functions: dict[str, Function]) -> None:
    """Every declared or called function has a body, and none calls itself; raises ProgramError."""
    for function in functions.values():
        if not function.body.defined:
            raise ProgramError(
                f"tile {tile.name!r}: function {function.name!r} (declared at {function.body.where}) has no "
                "body"
            )
