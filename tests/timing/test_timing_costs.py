"""What every instruction of the main thread costs: the next one issues in cycle t + cost, and in none before (semantics 3)."""

from __future__ import annotations

import pytest
from probe import Trace, arch_with, one_pe

#: constant -> code of exactly one instruction that has this cost, given the tile and three registers (u16, f32, u16)
ONE = {
    "cost_alu": lambda pe, r: r.u + r.v,
    "cost_mul": lambda pe, r: r.u * r.v,
    "cost_div": lambda pe, r: r.u // r.v,
    "cost_fp": lambda pe, r: r.f + r.g,
    "cost_fdiv": lambda pe, r: r.f / r.g,
    "cost_math": lambda pe, r: r.math(),
    "cost_load": lambda pe, r: pe.load(r.array, 0),
    "cost_store": lambda pe, r: pe.store(r.array, 0, r.u),
    "cost_dsd_set": lambda pe, r: pe.set_dsd_length(r.dsd, 3),
    "cost_load_dsr": lambda pe, r: pe.load_to_dsr(r.dsr, r.dsd),
    "cost_task_control": lambda pe, r: pe.unblock(r.task),
    "cost_config": lambda pe, r: pe.switch_get(r.color),
    "cost_timestamp": lambda pe, r: pe.timestamp(),
    "cost_random": lambda pe, r: pe.random(),
    "cost_done": lambda pe, r: pe.done(),
}


class Parts:
    """What the codes above work on."""

    def __init__(self, pe, lay) -> None:
        self.pe = pe
        self.color = lay.color("loop", 5)
        lay.route(self.color, rx="RAMP", tx="RAMP")
        self.array = pe.array("array", "u16", 4)
        self.dsd = pe.mem_dsd(self.array)
        self.dsr = pe.dsr("dest", 0)
        self.task = pe.local_task("idle", id=9)
        with self.task:
            pe.let("u16", 0)

    def open(self) -> None:
        """Registers of the body; four instructions."""
        self.u, self.v = self.pe.let("u16", 7), self.pe.let("u16", 3)
        self.f, self.g = self.pe.let("f32", 7.0), self.pe.let("f32", 3.0)

    def math(self):
        from wafersim.program.schema import MathFn, Op

        return self.pe.unary(Op.MATH, self.f, int(MathFn.SQRT))


@pytest.mark.smoke
@pytest.mark.parametrize("cost", [1, 2, 9])
@pytest.mark.parametrize("constant", ONE)
def test_the_next_instruction_issues_after_the_cost(constant, cost):
    """The launch is picked in cycle 0, instructions issue from 1 on: four LI in 1..4 (alu cost 1), the one under test in 5.

    Another LI follows, which needs no result: it issues at 5 + cost, and the cycles between are stalls of the pipeline.
    """
    lay, pe = one_pe(arch_with(**{constant: cost}))
    parts = Parts(pe, lay)
    with pe.function("main"):
        parts.open()
        ONE[constant](pe, parts)
        pe.let("u16", 1)
    step = cost if constant == "cost_alu" else 1
    trace = Trace(lay)
    issues = trace.issues()
    at = 1 + 4 * step
    assert issues[:5] == [1 + k * step for k in range(5)]
    assert issues[5] == at + cost
    assert trace.classes()[at + 1 : at + cost] == ["STALL_PIPELINE"] * (cost - 1)


def _taken(pe, parts):
    with pe.if_(parts.z):
        pe.let("u16", 1)
        pe.let("u16", 2)


def _not_taken(pe, parts):
    with pe.if_(parts.u):
        pe.let("u16", 1)


def _jump(pe, parts):
    with pe.if_(parts.u):  # not taken branch, body, jump over the else
        pe.let("u16", 1)
    with pe.else_():
        pe.let("u16", 2)


@pytest.mark.parametrize("cost", [1, 2, 9])
@pytest.mark.parametrize(
    ("constant", "code", "before"),
    [("cost_branch_taken", _taken, 0), ("cost_branch_not_taken", _not_taken, 0), ("cost_jump", _jump, 2)],
)
def test_branches(constant, code, before, cost):
    """LI, LI (1, 2), then the branch in 3 (the jump in 5, after a branch not taken and an LI); what follows is ``cost`` later."""
    lay, pe = one_pe(arch_with(**{constant: cost}))

    class Two:
        pass

    with pe.function("main"):
        parts = Two()
        parts.u, parts.z = pe.let("u16", 7), pe.let("u16", 0)
        code(pe, parts)
        pe.let("u16", 3)
    issues = Trace(lay).issues()
    at = 3 + before
    assert issues[: 3 + before] == list(range(1, at + 1))
    assert issues[3 + before] == at + cost


@pytest.mark.parametrize("constant", ["cost_call", "cost_ret"])
@pytest.mark.parametrize("cost", [1, 2, 9])
def test_calls(constant, cost):
    """CALL in 1; the callee's LI in 1 + cost_call, its RET one later; the caller goes on cost_ret after that."""
    lay, pe = one_pe(arch_with(**{constant: cost}))
    callee = pe.function("callee", export=False)
    with callee:
        pe.let("u16", 1)
    with pe.function("main"):
        pe.call(callee)
        pe.let("u16", 2)
    call, ret = (cost if constant == "cost_call" else 1), (cost if constant == "cost_ret" else 1)
    inside = 1 + call
    assert Trace(lay).issues()[:4] == [1, inside, inside + 1, inside + 1 + ret]


@pytest.mark.parametrize("constant", ["cost_loop", "cost_loop_back", "cost_loop_exit"])
@pytest.mark.parametrize("cost", [1, 3, 8])
def test_loops(constant, cost):
    """LOOP in 1, body LI at 1 + cost_loop, ENDLOOP one later; the next turn cost_loop_back after it, the end cost_loop_exit."""
    lay, pe = one_pe(arch_with(**{constant: cost}))
    with pe.function("main"):
        with pe.for_range(3):
            pe.let("u16", 1)
        pe.let("u16", 2)
    value = {"cost_loop": 1, "cost_loop_back": 1, "cost_loop_exit": 1} | {constant: cost}
    expected, at = [1], 1 + value["cost_loop"]
    for turn in range(3):
        expected += [at, at + 1]
        at += 1 + value["cost_loop_back" if turn < 2 else "cost_loop_exit"]
    assert Trace(lay).issues()[:8] == [*expected, at]


@pytest.mark.parametrize("cost", [1, 6])
def test_a_loop_of_no_turns_costs_a_taken_branch(cost):
    lay, pe = one_pe(arch_with(cost_branch_taken=cost, cost_loop=3))
    with pe.function("main"):
        with pe.for_range(0):
            pe.let("u16", 1)
        pe.let("u16", 2)
    assert Trace(lay).issues()[:2] == [1, 1 + cost]


# --- latencies: when the result can be used -----------------------------------------------------------------------

USE_U = {
    "latency_alu": ("cost_alu", lambda pe, r: r.u + r.v),
    "latency_load": ("cost_load", lambda pe, r: pe.load(r.array, 0)),
}


@pytest.mark.parametrize("latency", [1, 2, 5])
@pytest.mark.parametrize("cost", [1, 3])
@pytest.mark.parametrize("constant", USE_U)
def test_an_integer_result_can_be_used_after_its_latency(constant, cost, latency):
    """Issued at t: next_issue = t + cost, register ready at t + latency (3). An instruction that reads it issues at the later one.

    An instruction that does not read it issues at t + cost.
    """
    cost_name, code = USE_U[constant]
    for reads in (True, False):
        lay, pe = one_pe(arch_with(**{constant: latency, cost_name: cost}))
        parts = Parts(pe, lay)
        with pe.function("main"):
            parts.open()
            for _ in range(3):
                pe.timestamp()  # until the registers are ready
            result = code(pe, parts)
            pe.store(parts.array, 1, result if reads else parts.v)
        issues = Trace(lay).issues()
        at = issues[7]
        assert issues[8] == at + (max(cost, latency) if reads else cost)


@pytest.mark.parametrize("latency", [1, 2, 5])
@pytest.mark.parametrize("cost", [1, 3])
def test_a_float_result_can_be_used_after_its_latency(cost, latency):
    lay, pe = one_pe(arch_with(latency_fp=latency, cost_fp=cost))
    array = pe.array("array", "f32", 2)
    with pe.function("main"):
        a, b = pe.let("f32", 1.0), pe.let("f32", 2.0)
        pe.timestamp()
        pe.store(array, 0, a + b)
    issues = Trace(lay).issues()
    assert issues[4] == issues[3] + max(cost, latency)


@pytest.mark.parametrize("latency", [1, 4])
@pytest.mark.parametrize(
    ("cost_name", "latency_name", "kind", "code"),
    [
        ("cost_div", "latency_alu", "u16", lambda a, b: a // b),
        ("cost_mul", "latency_alu", "u16", lambda a, b: a * b),
        ("cost_fdiv", "latency_fp", "f32", lambda a, b: a / b),
    ],
)
def test_the_latency_of_a_slow_unit_counts_from_its_last_cycle(cost_name, latency_name, kind, code, latency):
    """Result at next_issue - 1 + latency = t + cost - 1 + latency (3)."""
    cost = 7
    lay, pe = one_pe(arch_with(**{cost_name: cost, latency_name: latency}))
    array = pe.array("array", kind, 2)
    with pe.function("main"):
        a, b = pe.let(kind, 6), pe.let(kind, 2)
        for _ in range(4):
            pe.timestamp()  # until the registers are ready
        pe.store(array, 0, code(a, b))
    issues = Trace(lay).issues()
    assert issues[7] == issues[6] + cost - 1 + latency


@pytest.mark.parametrize("cost", [1, 4])
def test_a_timestamp_and_a_random_number_can_be_used_after_their_cost(cost):
    for name, op in (("cost_timestamp", "timestamp"), ("cost_random", "random")):
        lay, pe = one_pe(arch_with(**{name: cost}))
        array = pe.array("array", "u64" if op == "timestamp" else "u16", 1)
        with pe.function("main"):
            pe.store(array, 0, getattr(pe, op)())
        assert Trace(lay).issues()[:2] == [1, 1 + cost]


def test_print_takes_no_slot():
    """3: the next instruction may issue in the same cycle; it counts as an instruction all the same."""
    lay, pe = one_pe(arch_with())
    with pe.function("main"):
        value = pe.let("u16", 1)
        pe.print_("value {}", value)
        pe.let("u16", 2)
    assert Trace(lay).issues()[:3] == [1, 2, 2]


def test_a_timestamp_reads_the_cycle_of_its_issue():
    lay, pe = one_pe(arch_with(cost_timestamp=4))
    out = pe.array("out", "u64", 2)
    with pe.function("main"):
        pe.let("u16", 1)
        pe.store(out, 0, pe.timestamp())
        pe.store(out, 1, pe.timestamp())
        pe.done()
    trace = Trace(lay)
    assert trace.sim.read("out").ravel().tolist() == [trace.issues()[1], trace.issues()[3]] == [2, 7]
