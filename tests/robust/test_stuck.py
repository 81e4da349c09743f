"""A stuck run says who waits on what, why, and where in the source; a run that is not stuck never says so."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

import pytest
import quiet_programs
import stuck_programs

import wafersim as ws


@dataclass(frozen=True)
class Said:
    """What the wait at the line marked ``# waits`` must say."""

    kind: str
    pe: tuple[int, int]
    thread: str
    op: str
    task: tuple[int, str] | None = None  # number and name; None: launched function "main"
    color: str | None = None
    progress: tuple[int, int] | None = None
    places: tuple[str, ...] = ()
    waits_for: tuple[tuple[int, int], ...] = ()
    others: dict[tuple[int, int], str] = field(default_factory=dict)  # further PEs that wait, and their kind


EXPECTED = {
    "missing_sender": Said(
        "missing sender", (1, 0), "main", "fmovs", (9, "receive"), "4 (red)", (0, 8),
        ("PE (0, 0) can send on color 4 (red), and has no task active, though its launch is not done",),
        ((0, 0),), {(0, 0): "no done"},
    ),
    "count_mismatch": Said(
        "count mismatch", (1, 0), "microthread 2", "fmovs", None, "4 (red)", (5, 8),
        ("PE (0, 0) can send on color 4 (red), and has ended",), ((0, 0),),
    ),
    "cyclic_wait": Said(
        "waiting sender", (0, 0), "main", "mov32", None, "5 (westward)", (0, 4),
        ("PE (1, 0) can send on color 5 (westward), and waits itself",), ((1, 0),), {(1, 0): "waiting sender"},
    ),
    "unbound_queue": Said(
        "unbound queue", (0, 0), "main", "mov32", None, "4 (red)", (12, 64),
        ("color 4 (red) at PE (1, 0) goes to the RAMP, but no input queue is bound to it",), ((1, 0),),
    ),
    "full_fifo": Said("full FIFO", (0, 0), "microthread 1", "fmovs", None, None, (4, 10), (), ((0, 0),)),
    "blocked_task": Said("blocked task", (0, 0), "task 10", "done", (10, "finish"), None, None, (), ((0, 0),)),
    "switch_position": Said(
        "switch position", (0, 0), "main", "mov32", None, "4 (red)", (12, 64),
        ("color 4 (red) at PE (1, 0): 2 wavelets from WEST wait, switch position 0 takes from RAMP",), ((1, 0),),
        {(2, 0): "switch position"},
    ),
    "dead_branch": Said(
        "dead branch", (0, 0), "main", "mov32", None, "4 (red)", (22, 64),
        ("color 4 (red) at PE (1, 0): a multicast to EAST and RAMP waits for EAST",
         "input queue 2 (color 4 (red)) of PE (2, 0) is full with 6 wavelets that nobody takes; that PE has ended"),
        ((2, 0),), {(1, 0): "waiting sender"},
    ),
    "queue_clash": Said(
        "queue clash", (1, 0), "main", "mov32", None, "4 (red)", None,
        ("input queue 2 is held by microthread 2, after 4 of 8 elements",), ((1, 0),),
    ),
    "self_wait": Said(
        "self wait", (0, 0), "main", "mov32", (12, "work"), "6 (loop)", (16, 64),
        ("input queue 2 (color 6 (loop)) of PE (0, 0) is full with 6 wavelets; no op reads it, and that PE waits itself",),
        ((0, 0),),
    ),
}  # fmt: skip


def waiting_line(function) -> str:
    """``file:line`` of the line marked ``# waits`` in a function of `stuck_programs`."""
    lines, first = inspect.getsourcelines(function)
    (number,) = [first + k for k, line in enumerate(lines) if line.rstrip().endswith("# waits")]
    return f"stuck_programs.py:{number}"


def run_stuck(program, arch="wse2") -> ws.DeadlockError:
    sim = ws.Simulator(program, arch)
    for name in sim.functions:
        if name != "finish":
            sim.launch(name)
    with pytest.raises(ws.DeadlockError) as caught:
        sim.run(max_cycles=1_000_000)
    return caught.value


def test_there_are_ten_kinds():
    assert [f.__name__ for f in stuck_programs.PROGRAMS] == list(EXPECTED)
    assert len({said.kind for said in EXPECTED.values()}) == 10


@pytest.mark.smoke
@pytest.mark.parametrize("make", stuck_programs.PROGRAMS, ids=lambda f: f.__name__)
def test_the_report_names_pe_color_task_op_line_and_kind(make):
    said, error = EXPECTED[make.__name__], run_stuck(make())
    (wait,) = [w for w in error.waits if tuple(w["pe"]) == said.pe and w["kind"] == said.kind]
    assert wait["source"].endswith(waiting_line(make))
    assert (wait["thread"], wait["what"]) == (said.thread, said.op)
    if said.task is None:
        assert (wait["task"], wait["function"]) == (-1, "main")
    else:
        assert (wait["task"], wait["task_name"]) == said.task
    if said.progress is not None:
        assert (wait["done"], wait["length"]) == said.progress
    for place in said.places:
        assert place in wait["places"]
    assert [tuple(pe) for pe in wait["waits_for"]] == list(said.waits_for)
    # the one sentence holds all of it
    wanted = [said.thread, said.op, waiting_line(make), said.kind, *said.places]
    wanted += [repr(said.task[1])] if said.task else ["'main'"]
    wanted += [f"color {said.color}"] if said.color else []
    for words in wanted:
        assert words in wait["text"] or (words == "'main'" and said.thread.startswith("task"))
    others = {tuple(w["pe"]): w["kind"] for w in error.waits if tuple(w["pe"]) != said.pe}
    assert others == said.others


@pytest.mark.parametrize("make", stuck_programs.PROGRAMS, ids=lambda f: f.__name__)
def test_the_message_is_one_line_with_cycle_place_and_cause(make):
    said, error = EXPECTED[make.__name__], run_stuck(make())
    message = str(error)
    assert "\n" not in message
    assert re.match(r"stuck after \d+ cycles: ", message)
    for words in (f"PE ({said.pe[0]}, {said.pe[1]})", said.kind, waiting_line(make)):
        assert words in message
    assert error.record.status == "stuck"
    assert error.record.info["waits"] == error.waits
    assert error.record.cycles == int(re.match(r"stuck after (\d+) ", message).group(1))


def test_the_cyclic_wait_names_its_cycle_and_nothing_else_has_one():
    for make in stuck_programs.PROGRAMS:
        message = str(run_stuck(make()))
        named = "; the waits form a cycle: (0, 0) -> (1, 0) -> (0, 0)" in message
        assert named == (make is stuck_programs.cyclic_wait)
        assert ("form a cycle" in message) == named


def test_the_cause_is_named_before_what_follows_from_it():
    message = str(run_stuck(stuck_programs.dead_branch()))
    assert message.index("dead branch") < message.index("waiting sender")


def test_a_record_instead_of_an_exception():
    sim = ws.Simulator(stuck_programs.count_mismatch())
    sim.launch("main")
    record = sim.run(raise_on_stuck=False)
    assert record.status == "stuck"
    assert record.info["waits"][0]["kind"] == "count mismatch"
    np_counts = record["pe"]
    assert np_counts is not None


def test_like_waits_of_a_region_become_one_sentence():
    """A whole column misses its sender: one group over the column's PEs, not one line each."""
    lay = ws.Layout(2, 5, name="column")
    red = lay.color("red", 4)
    lay.route(red, x=0, y=0, height=5, rx="RAMP", tx="EAST")
    lay.route(red, x=1, y=0, height=5, rx="WEST", tx="RAMP")
    pe = lay.tile("taker")
    lay.place(pe, x=1, y=0, height=5)
    y = pe.array("y", "u32", 4)
    with pe.function("main"):
        pe.mov32(pe.mem_dsd(y), pe.fabin_dsd(pe.input_queue(2, red), extent=4))
        pe.done()
    message = str(run_stuck(lay.build()))
    assert "PEs (1, 0)..(1, 4): main" in message
    assert message.count("missing sender") == 1
    assert "no PE sends on color 4 (red) towards PE (1, 0)" in message


def test_two_unrelated_shortages_are_no_cycle():
    """Both PEs miss words of each other on microthreads that lead to nothing: a shortage twice, not a ring."""
    lay = ws.Layout(2, 1, name="two shortages")
    east, west = lay.color("eastward", 4), lay.color("westward", 5)
    lay.route(east, x=0, rx="RAMP", tx="EAST")
    lay.route(east, x=1, rx="WEST", tx="RAMP")
    lay.route(west, x=1, rx="RAMP", tx="WEST")
    lay.route(west, x=0, rx="EAST", tx="RAMP")
    for x, (inward, outward) in enumerate(((west, east), (east, west))):
        pe = lay.tile(f"pe{x}")
        lay.place(pe, x=x)
        data, y = pe.array("data", "u32", 3), pe.array("y", "u32", 4)
        with pe.function("main"):
            pe.mov32(pe.fabout_dsd(pe.output_queue(3, outward), extent=3), pe.mem_dsd(data))
            pe.mov32(pe.mem_dsd(y), pe.fabin_dsd(pe.input_queue(2, inward), extent=4), async_=True)
            pe.done()
    error = run_stuck(lay.build())
    assert [w["kind"] for w in error.waits] == ["count mismatch"] * 2
    assert "form a cycle" not in str(error)


def test_a_launch_whose_done_stands_behind_an_endless_receive():
    lay = ws.Layout(2, 1, name="endless")
    red = lay.color("red", 4)
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    left, right = lay.tile("left"), lay.tile("right")
    lay.place(left)
    lay.place(right, x=1)
    data, last = left.array("data", "u32", 3), right.array("last", "u32", 1)
    with left.function("main"):
        left.mov32(left.fabout_dsd(left.output_queue(3, red), extent=3), left.mem_dsd(data))
        left.done()
    with right.function("main"):
        right.mov32(right.ptr(last), right.fabin_dsd(right.input_queue(2, red)))
        right.done()
    (wait,) = run_stuck(lay.build()).waits
    assert (wait["kind"], wait["what"], wait["done"]) == ("no done", "mov32", 3)
    assert (
        "(function 'main') never signalled completion, and its main thread is in an op without an end"
        in wait["text"]
    )
    assert "mov32 after 3 elements, at test_stuck.py:" in wait["text"]


def test_a_long_ring_is_named_without_end():
    n = 30
    lay = ws.Layout(n, 1, name="ring")
    colors = [lay.color(f"c{k}", k) for k in (2, 3)]
    back = lay.color("back", 9)
    lay.route(back, x=n - 1, rx="RAMP", tx="WEST")
    lay.route(back, x=1, width=n - 2, rx="EAST", tx="WEST")
    lay.route(back, x=0, rx="EAST", tx="RAMP")
    for x in range(n):
        pe = lay.tile(f"pe{x}")
        lay.place(pe, x=x)
        inward = back if x == 0 else colors[(x - 1) % 2]
        outward = back if x == n - 1 else colors[x % 2]
        if x < n - 1:
            lay.route(outward, x=x, rx="RAMP", tx="EAST")
            lay.route(outward, x=x + 1, rx="WEST", tx="RAMP", replace=True)
        y = pe.array("y", "u32", 2)
        with pe.function("main"):
            pe.mov32(pe.mem_dsd(y), pe.fabin_dsd(pe.input_queue(2, inward), extent=2))
            pe.mov32(pe.fabout_dsd(pe.output_queue(3, outward), extent=2), pe.mem_dsd(y))
            pe.done()
    message = str(run_stuck(lay.build()))
    assert "the waits form a cycle: (0, 0) -> (29, 0) -> (28, 0)" in message
    assert message.endswith("-> ... (18 more) -> (0, 0)")


@pytest.mark.smoke
@pytest.mark.parametrize("make", quiet_programs.PROGRAMS, ids=lambda f: f.__name__)
def test_no_false_alarm(make):
    program, warnings = make()
    sim = ws.Simulator(program, "wse3" if program.meta["generation"] == 3 else "wse2")
    for name in sim.functions:
        sim.launch(name)
    record = sim.run(max_cycles=10_000_000)
    assert record.status == "finished"
    assert record.info["warnings"] == warnings


def test_there_are_twenty_quiet_programs():
    assert len(quiet_programs.PROGRAMS) >= 20
