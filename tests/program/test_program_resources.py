"""Clashes that only time shows: who may still hold a queue, microthread or register."""

from __future__ import annotations

import re

import pytest

from wafersim.program import Layout
from wafersim.program.resources import clashes, host_colors, memory_lines


class Bench:
    """One PE that sends and receives on two colors, and tasks a, b, c (c starts blocked)."""

    def __init__(self, arch="wse2", color=1):
        self.layout = Layout(1, 1, arch)
        colors = [self.layout.color("red", color), self.layout.color("blue", color + 1)]
        for one in colors:
            self.layout.route(one, rx="RAMP", tx="RAMP")
        self.t = t = self.layout.tile("pe")
        self.mem = t.mem_dsd(t.array("data", "u32", (8,)))
        self.out = [t.fabout_dsd(t.output_queue(n, c), 8) for n, c in zip((2, 3), colors, strict=True)]
        self.inp = [t.fabin_dsd(t.input_queue(n, c), 8) for n, c in zip((2, 3), colors, strict=True)]
        self.a = t.local_task("a", 10)
        self.b = t.local_task("b", 11)
        self.c = t.local_task("c", 12, blocked=True)
        self.open = {"a": self.a, "b": self.b, "c": self.c}

    def body(self, name, *steps):
        with self.open.pop(name):
            for step in steps:
                step()

    def main(self, *steps):
        with self.t.function("main", export=True):
            for step in steps:
                step()

    def send(self, k=0, **settings):
        return lambda: self.t.mov32(self.out[k], self.mem, async_=True, **settings)

    def receive(self, k=0, **settings):
        return lambda: self.t.mov32(self.mem, self.inp[k], async_=True, **settings)

    def go(self, task):
        return lambda: self.t.activate(task)

    def free(self, task):
        return lambda: self.t.unblock(task)

    def program(self):
        for name in list(self.open):
            self.body(name)
        self.layout.place(self.t, 0, 0)
        return self.layout.build()

    def found(self, **options):
        """The findings that are not about tasks without use, without their lines."""
        lines = clashes(self.program(), self.layout.arch, **options)
        lines = [re.sub(r"\S+\.py:\d+", "LINE", line) for line in lines]
        return [line for line in lines if "never" not in line]

    def done(self):
        self.t.done()


def test_two_ops_of_one_body():
    bench = Bench()
    bench.main(bench.send(), bench.send(), bench.done)
    (line,) = bench.found()
    # both steps come from one line of this file
    assert line.startswith("tile 'pe': microthread 2 at LINE is used again while that op may still run")


def test_different_queues_do_not_clash():
    bench = Bench()
    bench.main(bench.send(0), bench.send(1), bench.done)
    assert bench.found() == []


def test_input_and_output_queue_share_a_microthread_on_wse2():
    bench = Bench()
    bench.main(bench.send(0), bench.receive(0), bench.done)
    assert "microthread 2 of" in bench.found()[0]
    bench = Bench("wse3")
    bench.main(bench.send(0, ut=0), bench.receive(0, ut=1), bench.done)
    assert bench.found() == []
    bench = Bench("wse3")
    bench.main(bench.send(0, ut=4), bench.send(1, ut=4), bench.done)
    assert "microthread 4 at LINE is used again" in bench.found()[0]


def test_an_op_after_the_completion_is_no_clash():
    bench = Bench()
    bench.main(bench.send(activate=bench.a), bench.done)
    bench.body("a", bench.send())
    assert bench.found() == []


def test_an_op_of_a_task_started_at_once_is_one():
    bench = Bench()
    bench.main(bench.send(activate=bench.b), bench.go(bench.a), bench.done)
    bench.body("a", bench.send())
    assert len(bench.found()) == 1


def test_the_completion_of_another_op_is_a_wait():
    bench = Bench()
    bench.main(bench.send(0, activate=bench.b), bench.receive(1, activate=bench.a), bench.done)
    bench.body("a", bench.send(0))
    assert bench.found() == []


def test_equal_findings_of_several_tiles_are_one_line():
    bench = Bench()
    bench.main(bench.send(), bench.send(), bench.done)
    lines = clashes(bench.program(), "wse2")
    assert next(line for line in lines if "microthread" in line).startswith("tile 'pe': microthread 2")


def test_a_blocked_task_waits_for_its_unblock():
    bench = Bench()
    bench.main(bench.send(unblock=bench.c), bench.go(bench.c), bench.done)
    bench.body("c", bench.send())
    assert bench.found() == []
    bench = Bench()
    bench.main(bench.send(unblock=bench.c), bench.go(bench.c), bench.free(bench.c), bench.done)
    bench.body("c", bench.send())
    assert len(bench.found()) == 1


def test_an_op_that_meets_itself():
    bench = Bench()
    bench.main(bench.go(bench.a), bench.done)
    bench.body("a", bench.send(), bench.go(bench.a))
    (line,) = bench.found()
    assert "microthread 2 at LINE is used again while that op may still run" in line


def test_branches_that_exclude_each_other():
    bench = Bench()

    def either():
        with bench.t.if_(bench.t.timestamp() > 5):
            bench.send()()
        with bench.t.else_():
            bench.send()()

    bench.main(either)
    assert bench.found() == []


def test_calls_go_on_behind_the_call():
    bench = Bench()
    helper = bench.t.function("helper")
    with helper:
        bench.send()()
    bench.main(lambda: helper(), bench.send(), bench.done)
    assert len(bench.found()) == 1


def test_a_later_launch_is_left_out():
    bench = Bench()
    bench.main(bench.send(), bench.done)
    assert bench.found() == []


def test_a_queue_that_feeds_a_task_and_an_op():
    bench = Bench()
    task = bench.t.data_task("eat", bench.inp[0].queue)
    with task:
        pass
    bench.main(bench.receive(0), bench.done)
    assert "input queue 2 feeds data task 'eat' and is read at LINE" in bench.found()[0]


def test_tasks_without_use():
    bench = Bench()
    bench.main(bench.go(bench.a), bench.done)
    found = clashes(bench.program(), "wse2")
    assert [re.sub(r", \S+\.py:\d+", "", line) for line in found] == [
        "tile 'pe': task 'b' (id 11) is never activated",
        "tile 'pe': task 'c' (id 12) is never activated",
        "tile 'pe': task 'c' (id 12) is blocked and never unblocked",
    ]


def test_registers_chosen_by_the_program():
    bench = Bench()
    dsr = bench.t.dsr("src0", 3)
    out = bench.t.dsr("dest", 2)

    def first():
        bench.t.load_to_dsr(dsr, bench.mem)
        bench.t.load_to_dsr(out, bench.out[0], async_=True)
        bench.t.mov32(out, dsr)
        bench.t.load_to_dsr(dsr, bench.mem)

    bench.main(first, bench.done)
    program = bench.program()
    assert not any("register" in line for line in clashes(program, "wse2"))
    program.meta["csl"] = {"registers": {"tile:0": [32 + 3]}}
    (line,) = [line for line in clashes(program, "wse2") if "register" in line]
    assert "descriptor register src0 3 of the asynchronous op at" in line


@pytest.mark.parametrize("color", [1, 21])
def test_what_host_copies_need(color):
    bench = Bench(color=color)
    with bench.t.local_task("late", 27):
        pass
    bench.main(bench.go(bench.a), bench.done)
    program = bench.program()
    found = [line for line in clashes(program, "wse2", host_link=True) if "host copies" in line]
    assert len(found) == 1 and "task 'late'" in found[0] and "has id 27; host copies use 21" in found[0]
    assert not any("host copies" in line for line in clashes(program, "wse2"))
    assert len(host_colors(program)) == (2 if color == 21 else 0)


def test_memory_by_symbol():
    bench = Bench()
    bench.t.array("big", "f32", (10, 20))
    bench.main(bench.done)
    lines = memory_lines(bench.program(), "wse2")
    assert re.fullmatch(
        r"tile 'pe' on PE \(0, 0\): \d+ of 49152 bytes \(\d+ %\), code \d+, registers \d+", lines[0]
    )
    assert re.fullmatch(r" +800 0x[0-9a-f]{4}  big: \[10, 20\]f32", lines[1])
    assert re.fullmatch(r" +32 0x[0-9a-f]{4}  data: \[8\]u32", lines[2])
