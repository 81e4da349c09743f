"""Scalar instructions: arithmetic, memory and configuration words, control flow, time."""

from __future__ import annotations

from wafersim.program.schema import ROUTE_COLS, Event, Op, Priority, Type

from . import configwords, scalar
from .formats import BYTES, SIGNED, U64, signed
from .operands import B_IMM, DST, FLAGS, IMM2, IMM_, OP, TYPE, A, B, C, Part, uses_b
from .state import Fault, Pe, Route, advance_lfsr

MAX_DEPTH = 16


class Arithmetic(Part):
    """Values in registers."""

    def _alu(self, pe: Pe, ins: list[int], t: int, value: int) -> None:
        self._next(pe, t + self.arch.cost_alu)
        self._result(pe, ins[DST], value, t + self.arch.latency_alu)

    def _nop(self, pe: Pe, ins: list[int], t: int) -> None:
        self._next(pe, t + self.arch.cost_alu)

    def _li(self, pe: Pe, ins: list[int], t: int) -> None:
        self._alu(pe, ins, t, ins[IMM2] << 32 | ins[IMM_] & 0xFFFFFFFF)

    def _mov(self, pe: Pe, ins: list[int], t: int) -> None:
        self._alu(pe, ins, t, pe.regs[ins[A]])

    def _select(self, pe: Pe, ins: list[int], t: int) -> None:
        self._alu(pe, ins, t, pe.regs[ins[B]] if pe.regs[ins[A]] else pe.regs[ins[C]])

    def _timed(self, pe: Pe, ins: list[int], t: int, value: int) -> None:
        """Result of an arithmetic operation with the cost of its class."""
        a, op = self.arch, ins[OP]
        is_float = scalar.is_float_cost(op, ins[TYPE], ins[IMM_])
        if op in (Op.DIV, Op.REM):
            when = t + (a.cost_fdiv if is_float else a.cost_div)
        elif op == Op.MUL and not is_float:
            when = t + a.cost_mul
        elif is_float:
            self._next(pe, t + a.cost_fp)
            return self._result(pe, ins[DST], value, t + a.latency_fp)
        else:
            return self._alu(pe, ins, t, value)
        self._next(pe, when)
        return self._result(pe, ins[DST], value, when - 1 + (a.latency_fp if is_float else a.latency_alu))

    def _binary(self, pe: Pe, ins: list[int], t: int) -> None:
        b = ins[IMM_] if ins[FLAGS] & B_IMM else pe.regs[ins[B]]
        self._timed(pe, ins, t, scalar.binary(ins[OP], ins[TYPE], pe.regs[ins[A]], b))

    def _unary(self, pe: Pe, ins: list[int], t: int) -> None:
        self._timed(pe, ins, t, scalar.unary(ins[OP], ins[TYPE], pe.regs[ins[A]]))

    def _cvt(self, pe: Pe, ins: list[int], t: int) -> None:
        self._timed(pe, ins, t, scalar.convert(pe.regs[ins[A]], ins[IMM_], ins[TYPE]))

    def _math(self, pe: Pe, ins: list[int], t: int) -> None:
        when = t + self.arch.cost_math
        self._next(pe, when)
        value = scalar.math_function(ins[IMM_], ins[TYPE], pe.regs[ins[A]])
        self._result(pe, ins[DST], value, when - 1 + self.arch.latency_fp)


class Time(Part):
    """The cycle counter, random numbers, prints and assertions."""

    def _counter_value(self, pe: Pe, t: int) -> int:
        return (t - pe.tsc_offset if pe.tsc_frozen is None else pe.tsc_frozen) & (1 << 48) - 1

    def _timestamp(self, pe: Pe, ins: list[int], t: int) -> None:
        self._timed_result(pe, ins, t, self._counter_value(pe, t))

    def _timed_result(self, pe: Pe, ins: list[int], t: int, value: int) -> None:
        self._next(pe, t + self.arch.cost_timestamp)
        self._result(pe, ins[DST], value, t + self.arch.cost_timestamp)

    def _perf_get(self, pe: Pe, ins: list[int], t: int) -> None:
        self._timed_result(pe, ins, t, pe.events[ins[IMM_]])

    def _tsc_control(self, pe: Pe, ins: list[int], t: int) -> None:
        value = 0 if ins[IMM_] == 2 else self._counter_value(pe, t)
        running = ins[IMM_] == 1 or (ins[IMM_] == 2 and pe.tsc_frozen is None)
        pe.tsc_offset, pe.tsc_frozen = t - value, None if running else value
        self._next(pe, t + self.arch.cost_timestamp)

    def _random(self, pe: Pe, ins: list[int], t: int) -> None:
        pe.lfsr = advance_lfsr(pe.lfsr)
        self._next(pe, t + self.arch.cost_random)
        self._result(pe, ins[DST], pe.lfsr & 0xFFFF, t + self.arch.cost_random)

    def _print(self, pe: Pe, ins: list[int], t: int) -> None:
        values = tuple(pe.regs[r] for r in (ins[A], ins[B], ins[C]) if r >= 0)
        self.machine.prints.append((t, pe.x, pe.y, ins[IMM_], values))

    def _assert(self, pe: Pe, ins: list[int], t: int) -> None:
        if pe.regs[ins[A]] == 0:
            raise Fault(f"assertion failed: string {ins[IMM_]}")


class Memory(Time):
    """Loads and stores, and the configuration words above SRAM."""

    def _address(self, pe: Pe, ins: list[int]) -> int:
        return ((pe.regs[ins[A]] if ins[A] >= 0 else 0) + ins[IMM_]) & 0xFFFF

    def _load(self, pe: Pe, ins: list[int], t: int) -> None:
        address, size = self._address(pe, ins), BYTES[ins[TYPE]]
        if address >= self.arch.sram_bytes:
            own = self._own_word(address, ins[TYPE])
            if own is not None:
                self._next(pe, t + self.arch.cost_config)
                self._result(pe, ins[DST], self._read_own(pe, *own, t), t + self.arch.cost_config)
                return
            color, is_color = self._config_word(address, ins[TYPE])
            read = configwords.read_color if is_color else configwords.read_switch
            value = read(pe.routes[color]) if color in pe.routes else 0
            self._next(pe, t + self.arch.cost_config)
            self._result(pe, ins[DST], value, t + self.arch.cost_config)
            return
        self._check(address, size)
        raw = int.from_bytes(pe.sram[address : address + size], "little")
        value = signed(raw, 8 * size) if ins[TYPE] in SIGNED else raw
        pe.events[Event.SRAM_READ_BYTES] += size
        self._next(pe, t + self.arch.cost_load)
        self._result(pe, ins[DST], value, t + self.arch.latency_load)

    def _store(self, pe: Pe, ins: list[int], t: int) -> None:
        address, size, value = self._address(pe, ins), BYTES[ins[TYPE]], pe.regs[ins[B]]
        if address >= self.arch.sram_bytes:
            own = self._own_word(address, ins[TYPE])
            if own is not None:
                self._write_own(pe, *own, value & 0xFFFF, t)
                self._next(pe, t + self.arch.cost_config)
                return
            color, is_color = self._config_word(address, ins[TYPE])
            word = value & 0xFFFF
            route = pe.routes.get(color)
            if route is None:
                route = Route([0] * 8 + [1] + [0] * (ROUTE_COLS - 9))
                self.machine.defer(lambda: pe.routes.setdefault(color, route))
            if is_color and configwords.swap_changes(route, word):
                raise Fault("a store to a color word changes its swap bits")
            write = configwords.write_color if is_color else configwords.write_switch
            self.machine.defer(write(route, word))
            self._next(pe, t + self.arch.cost_config)
            return
        self._check(address, size)
        pe.sram[address : address + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        pe.events[Event.SRAM_WRITE_BYTES] += size
        self._next(pe, t + self.arch.cost_store)

    def _check(self, address: int, size: int) -> None:
        if address < 0 or address + size > self.arch.sram_bytes or address % min(size, 2):
            raise Fault(f"access of {size} bytes at address {address}")

    def _config_word(self, address: int, type_: int) -> tuple[int, bool]:
        """(color, is it the color word and not the switch word)."""
        a = self.arch
        if type_ == Type.U16:
            for base, is_color in ((a.color_config_base, True), (a.switch_config_base, False)):
                offset = address - base
                if base >= 0 and 0 <= offset < 2 * a.num_colors and offset % 2 == 0:
                    return offset // 2, is_color
        raise Fault(f"address {address} is above SRAM and no configuration word")

    def _own_word(self, address: int, type_: int) -> tuple[bool, int] | None:
        """(a word of the counter and not of a queue, its number) for the words of the compute element."""
        a = self.arch
        if type_ == Type.U16 and address % 2 == 0:
            for base, words, is_counter in (
                (a.counter_config_base, 4, True),
                (a.queue_config_base, a.num_iq, False),
            ):
                if base >= 0 and 0 <= address - base < 2 * words:
                    return is_counter, (address - base) // 2
        return None

    def _read_own(self, pe: Pe, is_counter: bool, number: int, t: int) -> int:
        if not is_counter:
            return pe.iq[number].config_word
        if number == 0:
            return int(pe.tsc_frozen is None)
        return self._counter_value(pe, t) >> 16 * (number - 1) & 0xFFFF

    def _write_own(self, pe: Pe, is_counter: bool, number: int, word: int, t: int) -> None:
        if is_counter:
            value, running = self._counter_value(pe, t), pe.tsc_frozen is None
            if number == 0:
                running = word != 0
            else:
                shift = 16 * (number - 1)
                value = value & ~(0xFFFF << shift) | word << shift
            pe.tsc_offset, pe.tsc_frozen = t - value, None if running else value
            return
        queue = pe.iq[number]
        was, queue.config_word = queue.config_word, word
        if (was ^ word) >> 8 & 1:
            queue.priority = int(Priority.UT_MEDIUM if word >> 8 & 1 else Priority.UT_LOW)
            for thread in pe.threads:
                if thread.op is not None:
                    thread.priority = thread.op.choose_priority(self.machine, pe)


class ControlFlow(Part):
    """Jumps, calls and counted loops."""

    def _jmp(self, pe: Pe, ins: list[int], t: int) -> None:
        pe.pc = ins[IMM_]
        self._next(pe, t + self.arch.cost_jump)

    def _branch(self, pe: Pe, ins: list[int], t: int, taken: bool) -> None:
        if taken:
            pe.pc = ins[IMM_]
        self._next(pe, t + (self.arch.cost_branch_taken if taken else self.arch.cost_branch_not_taken))

    def _bz(self, pe: Pe, ins: list[int], t: int) -> None:
        self._branch(pe, ins, t, pe.regs[ins[A]] == 0)

    def _bnz(self, pe: Pe, ins: list[int], t: int) -> None:
        self._branch(pe, ins, t, pe.regs[ins[A]] != 0)

    def _call(self, pe: Pe, ins: list[int], t: int) -> None:
        self.push(pe, pe.pc)
        pe.pc = ins[IMM_]
        self._next(pe, t + self.arch.cost_call)

    def push(self, pe: Pe, return_to: int) -> None:
        """Enter a function."""
        if len(pe.calls) == MAX_DEPTH:
            raise Fault("the call stack is deeper than 16")
        pe.calls.append(return_to)

    def _ret(self, pe: Pe, ins: list[int], t: int) -> None:
        if pe.calls:
            pe.pc = pe.calls.pop()
            self._next(pe, t + self.arch.cost_ret)
            if pe.pc == -1:  # back in MAP
                pe.op.stage = "write"
            return
        pe.task = None
        pe.free_at = t + self.arch.task_end_cycles
        self.machine.cost_end = max(self.machine.cost_end, pe.free_at)

    def _loop(self, pe: Pe, ins: list[int], t: int) -> None:
        a = self.arch
        count = pe.regs[ins[B]] if uses_b(ins) else ins[IMM2]
        self._result(pe, ins[DST], 0, t + a.latency_alu)
        self._result(pe, ins[C], count, t + a.latency_alu)
        skips = signed(count, 64) <= 0
        if skips:
            pe.pc = ins[IMM_]
        self._next(pe, t + (a.cost_branch_taken if skips else a.cost_loop))

    def _endloop(self, pe: Pe, ins: list[int], t: int) -> None:
        a = self.arch
        counter = pe.regs[ins[DST]] + 1 & U64
        self._result(pe, ins[DST], counter, t + a.latency_alu)
        again = signed(counter, 64) < signed(pe.regs[ins[C]], 64)
        if again:
            pe.pc = ins[IMM_]
        self._next(pe, t + (a.cost_loop_back if again else a.cost_loop_exit))
