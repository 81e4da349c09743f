"""Register allocation and control flow: random scalar programs against a plain evaluation."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program_helpers import execute, one_tile

from wafersim.program.alloc import allocate

NUM_VARS = 4
OPS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "&": lambda a, b: a & b,
    "<": lambda a, b: int(a < b),
}
variables = st.integers(0, NUM_VARS - 1)
constants = st.integers(-9, 9)
leaves = st.one_of(variables.map(lambda v: ("var", v)), constants.map(lambda c: ("const", c)))
expressions = st.recursive(
    leaves,
    lambda e: st.tuples(st.sampled_from(sorted(OPS)), variables.map(lambda v: ("var", v)), e),
    max_leaves=4,
)
simple = st.one_of(
    st.tuples(st.just("set"), variables, expressions),
    st.tuples(st.just("add"), variables, expressions),
    st.tuples(st.just("call"), variables, variables, variables),
)


def _blocks(inner):
    body = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.tuples(st.just("if"), expressions, body, body),
        st.tuples(st.just("for"), st.integers(0, 3), body, variables),
        st.tuples(st.just("while"), st.integers(1, 3), body),
        st.tuples(st.just("keep"), st.integers(0, 3), expressions, variables, body),
    )


statements = st.recursive(simple, _blocks, max_leaves=8)


def wrap(value):
    return ((value + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


class Python:
    """Evaluates a program."""

    def __init__(self):
        self.v = [1, 2, 3, 4]

    def value(self, e):
        if e[0] == "const":
            return e[1]
        if e[0] == "var":
            return self.v[e[1]]
        return wrap(OPS[e[0]](self.value(e[1]), self.value(e[2])))

    def run(self, body):
        for s in body:
            if s[0] == "set":
                self.v[s[1]] = self.value(s[2])
            elif s[0] == "add":
                self.v[s[1]] = wrap(self.v[s[1]] + self.value(s[2]))
            elif s[0] == "call":
                a, b = self.v[s[2]], self.v[s[3]]
                inner = wrap(wrap(b * 3) + a)
                self.v[s[1]] = wrap(wrap(a * 2) + wrap(inner - b))
            elif s[0] == "if":
                self.run(s[2] if self.value(s[1]) != 0 else s[3])
            elif s[0] == "for":
                for i in range(s[1]):
                    self.v[s[3]] = wrap(self.v[s[3]] + i)
                    self.run(s[2])
            elif s[0] == "keep":
                kept = self.value(s[2])
                for _ in range(s[1]):
                    self.v[s[3]] = wrap(self.v[s[3]] + kept)
                    self.run(s[4])
            else:
                for _ in range(s[1]):
                    self.run(s[2])


class Emit:
    """Emits the same program through the builder."""

    def __init__(self, pe, call):
        self.pe, self.call = pe, call
        self.v = [pe.let("i32", k + 1) for k in range(NUM_VARS)]

    def value(self, e):
        if e[0] == "const":
            return self.pe.let("i32", e[1])
        if e[0] == "var":
            return self.v[e[1]]
        a, b = self.value(e[1]), self.value(e[2])
        if e[0] == "<":
            return (a < b).to("i32")
        return OPS[e[0]](a, b)

    def run(self, body):
        pe = self.pe
        for s in body:
            if s[0] == "set":
                self.v[s[1]].set(self.value(s[2]))
            elif s[0] == "add":
                self.v[s[1]] += self.value(s[2])
            elif s[0] == "call":
                self.v[s[1]].set(self.call(self.v[s[2]], self.v[s[3]]))
            elif s[0] == "if":
                with pe.if_(self.value(s[1])):
                    self.run(s[2])
                with pe.else_():
                    self.run(s[3])
            elif s[0] == "for":
                with pe.for_range(s[1], type="i32") as i:
                    self.v[s[3]] += i
                    self.run(s[2])
            elif s[0] == "keep":
                kept = self.value(s[2]) + 0
                with pe.for_range(s[1]):
                    self.v[s[3]] += kept
                    self.run(s[4])
            else:
                n = pe.let("i32", s[1])
                with pe.while_(lambda n=n: n > 0):
                    n -= 1
                    self.run(s[2])


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(statements, min_size=1, max_size=5))
def test_random_programs_compute_what_python_computes(body):
    lay, pe = one_tile()
    out = pe.array("out", "i32", NUM_VARS)
    inner = pe.function("inner", args=[("a", "i32"), ("b", "i32")], returns="i32", export=False)
    outer = pe.function("outer", args=[("a", "i32"), ("b", "i32")], returns="i32", export=False)
    with outer as (a, b):
        doubled = a * 2
        pe.return_(doubled + (inner(a, b) - b))
    with inner as (a, b):
        pe.return_(b * 3 + a)
    with pe.function("main"):
        emit = Emit(pe, outer)
        emit.run(body)
        for k in range(NUM_VARS):
            pe.store(out, k, emit.v[k])
        pe.done()
    lay.place(pe)
    plain = Python()
    plain.run(body)
    assert execute(lay, "main").read("out").tolist() == plain.v


def test_temporaries_share_registers():
    """A long straight expression needs few registers, however many temporaries it makes."""
    lay, pe = one_tile()
    out = pe.array("out", "i32", 1)
    with pe.function("main"):
        total = pe.let("i32", 0)
        for k in range(100):
            total += (total + k) * 3 - k
        pe.store(out, 0, total)
        pe.done()
    lay.place(pe)
    assert int(lay.build().tables["tiles"][0, 0]) <= 4


def test_tasks_share_registers_but_callees_do_not_share_with_callers():
    _lay, pe = one_tile()
    leaf = pe.function("leaf", args=[("a", "i32")], export=False)
    first, second = pe.local_task("first", id=9), pe.local_task("second", id=10)
    for task in (first, second):
        with task:
            a = pe.let("i32", 1)
            leaf(a + 1)
            pe.activate(second)
    with leaf as (a,):
        a += 1
    allocate("worker", pe.bodies)
    frames = {b.name: (b.base, b.base + b.size) for b in pe.bodies}
    assert frames["first"][0] == frames["second"][0] == 0
    assert frames["leaf"][0] >= max(frames["first"][1], frames["second"][1])


def test_a_temporary_used_in_a_later_loop_lives_to_its_end():
    """Made before a loop, read at its top: nothing else of the loop may take its register."""
    lay, pe = one_tile()
    out = pe.array("out", "i32", 1)
    with pe.function("main"):
        kept = pe.let("i32", 5) + 1
        total = pe.let("i32", 0)
        with pe.for_range(3):
            total += kept
            others = [pe.let("i32", 100 + k) * 2 for k in range(4)]
            total += others[0] - others[1] + others[2] - others[3]
        pe.store(out, 0, total)
        pe.done()
    lay.place(pe)
    assert execute(lay, "main").read("out").tolist() == [3 * (6 - 4)]
