"""Random programs of assignments, branches and loops: lowered and optimized code against Python's own arithmetic."""

from __future__ import annotations

import random

import numpy as np
import pytest
from lowering import build

VARS = ("a", "b", "c", "x", "y")
LENGTH = 8


def wrap(value: int) -> int:
    """The value as i32 holds it."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


class Program:
    """One random program: its CSL text, and what it does to a state of variables and arrays."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.loops = 0
        self.text, self.run = self.block(3, [])

    def leaf(self, counters: list[str]):
        kind = self.rng.randrange(4 if counters else 3)
        if kind == 0:
            number = self.rng.choice([0, 1, 2, 3, 7, -1, -5])
            return f"@as(i32, {number})", lambda s, n=number: n
        if kind == 1:
            return self.element(counters)
        if kind == 2:
            name = self.rng.choice(VARS)
            return name, lambda s, n=name: s[n]
        name = self.rng.choice(counters)
        return f"@as(i32, {name})", lambda s, n=name: s[n]

    def index(self, counters: list[str]):
        if counters and self.rng.random() < 0.7:
            name, k = self.rng.choice(counters), self.rng.randrange(1, 4)
            return f"({k} * {name} + 1) % 8", lambda s, n=name, k=k: (k * s[n] + 1) % LENGTH
        k = self.rng.randrange(LENGTH)
        return str(k), lambda s, k=k: k

    def element(self, counters: list[str]):
        array = self.rng.choice("mn")
        text, at = self.index(counters)
        return f"{array}[{text}]", lambda s, a=array, at=at: s[a][at(s)]

    def expression(self, depth: int, counters: list[str]):
        if depth == 0 or self.rng.random() < 0.25:
            return self.leaf(counters)
        op = self.rng.choice("+-*&|^")
        left, f = self.expression(depth - 1, counters)
        right, g = self.expression(depth - 1, counters)
        compute = {
            "+": lambda p, q: p + q, "-": lambda p, q: p - q, "*": lambda p, q: p * q,
            "&": lambda p, q: p & q, "|": lambda p, q: p | q, "^": lambda p, q: p ^ q,
        }[op]  # fmt: skip
        return f"({left} {op} {right})", lambda s: wrap(compute(f(s), g(s)))

    def condition(self, counters: list[str]):
        op = self.rng.choice(["<", "==", ">=", "!="])
        left, f = self.expression(1, counters)
        right, g = self.expression(1, counters)
        compare = {
            "<": lambda p, q: p < q, "==": lambda p, q: p == q, ">=": lambda p, q: p >= q,
            "!=": lambda p, q: p != q,
        }[op]  # fmt: skip
        return f"{left} {op} {right}", lambda s: compare(f(s), g(s))

    def statement(self, depth: int, counters: list[str]):
        kind = self.rng.randrange(6 if depth else 3)
        if kind < 2:
            name = self.rng.choice(VARS)
            text, f = self.expression(3, counters)
            return f"{name} = {text};", lambda s: s.__setitem__(name, f(s))
        if kind == 2:
            array = self.rng.choice("mn")
            at_text, at = self.index(counters)
            text, f = self.expression(2, counters)
            return f"{array}[{at_text}] = {text};", lambda s: s[array].__setitem__(at(s), f(s))
        if kind == 3:
            test, holds = self.condition(counters)
            yes, run_yes = self.block(depth - 1, counters)
            no, run_no = self.block(depth - 1, counters)
            return f"if ({test}) {{ {yes} }} else {{ {no} }}", lambda s: run_yes(s) if holds(s) else run_no(s)
        return self.loop(depth, counters, kind == 5)

    def loop(self, depth: int, counters: list[str], stepped: bool):
        self.loops += 1
        name, turns = f"i{self.loops}", self.rng.randrange(1, 4)
        low = self.rng.randrange(3) if stepped else 0
        text, body = self.block(depth - 1, [*counters, name])

        def run(s: dict) -> None:
            for i in range(low, low + 2 * turns if stepped else turns, 2 if stepped else 1):
                s[name] = i
                body(s)

        ends = f"u16, {low}, {low + 2 * turns}, 2" if stepped else f"u16, {turns}"
        return f"for (@range({ends})) |{name}| {{ {text} }}", run

    def block(self, depth: int, counters: list[str]):
        parts = [self.statement(depth, counters) for _ in range(self.rng.randrange(2, 5))]

        def run(s: dict) -> None:
            for _, step in parts:
                step(s)

        return "\n".join(text for text, _ in parts), run


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed: int) -> None:
    program = Program(seed)
    start = np.random.default_rng(seed).integers(-(1 << 20), 1 << 20, 5 + 2 * LENGTH).tolist()
    state: dict = dict(zip(VARS, start, strict=False))
    state["m"], state["n"] = start[5 : 5 + LENGTH], start[5 + LENGTH :]
    values = {"m": list(state["m"]), "n": list(state["n"])}
    literals = {k: "{" + ", ".join(map(str, v)) + "}" for k, v in values.items()}
    built = build(
        f"""
var a: i32 = {state["a"]}; var b: i32 = {state["b"]}; var c: i32 = {state["c"]};
var m = [8]i32{literals["m"]}; var n = [8]i32{literals["n"]}; var out = @zeros([2]i32);
fn main() void {{
  var x: i32 = {state["x"]}; var y: i32 = {state["y"]};
  {program.text}
  out[0] = x; out[1] = y; a += 0; b += 0; c += 0; m[0] += 0; n[0] += 0;
  @__launch_done();
}}
comptime {{ @export_symbol(main); }}
"""
    ).run()
    program.run(state)
    for name in "mn":
        assert built.read(name).tolist() == state[name], program.text
    assert [int(built.value(v)) for v in "abc"] == [state[v] for v in "abc"], program.text
    assert built.read("out").tolist() == [state["x"], state["y"]], program.text
