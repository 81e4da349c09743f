"""FIFOs in memory: the same cycles, bytes and ends as at fidelity wavelet, with values and without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.stream.compare import difference, repeated
from tests.stream.fifo_programs import fifo_program
from wafersim import _core
from wafersim.errors import UnsupportedError
from wafersim.program import Layout
from wafersim.program.schema import TileCol
from wafersim.simulate import Simulator
from wafersim.simulate.stream import StreamSimulator

CHUNK, DEFAULT, LONG = 200, 400, 10_000  # seeds
WORDS = 40


def _check(first: int, endless: bool = False, **options: Any) -> None:
    failed, accepted = [], 0
    for seed in range(first, first + CHUNK):
        generated = fifo_program(seed, endless)
        for values in (True, False):
            what = difference(generated, most_words=seed % 2, values=values, **options)
            accepted += what is not None
            if what:
                failed.append(f"seed {seed}, values {values}: {what}")
    assert not failed, "\n".join(failed)
    assert accepted >= 2 * CHUNK - 2  # nothing of what they do is to be refused


@pytest.mark.parametrize("first", range(0, DEFAULT, CHUNK))
def test_random_programs(first):
    _check(first)


def test_random_programs_with_endless_ops():
    _check(0, endless=True)


def test_random_programs_with_threads():
    for seed in range(30):
        generated = repeated(fifo_program(seed, endless=seed % 3 == 0), 1, 3)
        assert not difference(generated, 0, values=True, threads=2), f"seed {seed}"


@pytest.mark.long
@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("first", range(DEFAULT, LONG, CHUNK))
def test_more_random_programs(first, endless):
    _check(first, endless)


def test_random_programs_are_about_what_they_say():
    """Ops that end early, tasks that FIFOs activate and lengths set at run time occur, and most programs end."""
    ended, wakes = 0, 0
    for seed in range(100):
        generated = fifo_program(seed)
        ended += generated.make(_core.Machine).run(20_000) == 0
        tables = generated.tables
        wakes += bool((tables["fifos"][:, -2:] >= 0).any())
    assert ended >= 40
    assert wakes >= 20


class Line:
    """Three PEs in a row, so many rows: from the left through a FIFO of the middle to the right."""

    def __init__(
        self, capacity: int, rows: int = 1, late: int = 0, slow: int = 0, twice: bool = False,
        arch: str = "wse2", **tasks: bool,
    ) -> None:  # fmt: skip
        self.layout = layout = Layout(3, rows, arch=arch)
        self.left, self.middle, self.right = (layout.tile(name) for name in ("left", "middle", "right"))
        for x, pe in enumerate((self.left, self.middle, self.right)):
            layout.place(pe, x=x, y=0, width=1, height=rows)
        red, blue = layout.color("red", 5), layout.color("blue", 6)
        for color, x in ((red, 0), (blue, 1)):
            layout.route(color, x=x, y=0, height=rows, rx="RAMP", tx="EAST", switches=[{"tx": "EAST"}])
            layout.route(color, x=x + 1, y=0, height=rows, rx="WEST", tx="RAMP")
        self._outer(red, blue, slow, twice)
        middle = self.middle
        self.into, self.onward = middle.input_queue(2, red), middle.output_queue(3, blue)
        self.late = late
        self.woken = middle.array("woken", "u16", 2, export=True)
        acts: dict[str, Any] = {}
        for number, end in enumerate(("push", "pop")):
            if not tasks.get(end):
                continue
            task = middle.local_task(end, id=12 + number)
            acts[f"activate_{end}"] = task
            with task:
                middle.store(self.woken, number, middle.load(self.woken, number) + 1)
        self.fifo = middle.fifo("fifo", "f32", capacity, **acts)

    def _outer(self, red: Any, blue: Any, slow: int, twice: bool) -> None:
        left, right = self.left, self.right
        source, sent = (
            left.array("source", "f32", WORDS, export=True),
            left.array("sent", "u16", 1, export=True),
        )
        out = left.output_queue(2, red)
        with left.function("main"):
            with left.for_range(slow):
                left.store(sent, 0, left.load(sent, 0))
            if twice:  # two reads of one bank: a word in two cycles
                left.fadds(left.fabout_dsd(out, WORDS), left.mem_dsd(source), left.mem_dsd(source))
            else:
                left.mov32(left.fabout_dsd(out, WORDS), left.mem_dsd(source))
            left.store(sent, 0, left.timestamp().to("u16"))
            left.done()
        got, last = right.array("got", "f32", WORDS, export=True), right.input_queue(2, blue)
        with right.function("main"):
            right.mov32(right.mem_dsd(got), right.fabin_dsd(last, WORDS), async_=True)
            right.done()

    def pause(self) -> None:
        with self.middle.for_range(self.late):
            self.middle.store(self.woken, 0, self.middle.load(self.woken, 0))

    def program(self) -> Any:
        return self.layout.build()


def _run(program: Any, rows: int = 1, **options: Any) -> dict[str, Any]:
    """Both fidelities, which have to agree; what the program left."""
    found = []
    num_bytes = int(program.tables["tiles"][:, TileCol.DATA_BYTES].max())
    arch = f"wse{program.meta['generation']}"
    sims: list[Any] = [Simulator(program, arch), StreamSimulator(program, arch, values=True, **options)]
    for sim in sims:
        sim.write(
            "source", np.tile(np.arange(1, WORDS + 1, dtype=np.float32), (rows, 1, 1)), rect=(0, 0, 1, rows)
        )
        sim.launch("main")
        record = sim.run(raise_on_stuck=False)
        memory = np.asarray(sim._machine.read(0, 0, 3, rows, 0, num_bytes)).tobytes()
        found.append((record.status, record.cycles, memory))
    assert found[0] == found[1]
    blind = StreamSimulator(program, arch)
    blind.write_unknown("source")
    blind.launch("main")
    record = blind.run(raise_on_stuck=False)
    assert (record.status, record.cycles) == found[0][:2]
    read = {"status": record.status, "cycles": record.cycles}
    for name, x in (("sent", 0), ("woken", 1), ("got", 2)):
        read[name] = sims[0].read(name, rect=(x, 0, 1, rows))[0, 0]
    return read


def _through(line: Line, **push: Any) -> Any:
    """Both ends asynchronous, the second one later."""
    middle = line.middle
    with middle.function("main"):
        middle.mov32(line.fifo, middle.fabin_dsd(line.into, WORDS), async_=True, **push)
        line.pause()
        middle.fadds(middle.fabout_dsd(line.onward, WORDS), 1.0, line.fifo, async_=True)
        middle.done()
    return line.program()


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("capacity", [1, 2, 7, 64])
@pytest.mark.parametrize("late", [0, 1, 25])
def test_words_through_a_fifo(capacity, late, arch):
    read = _run(_through(Line(capacity, late=late, arch=arch)))
    assert read["status"] == "finished"
    assert np.array_equal(read["got"], np.arange(2, WORDS + 2))


def test_a_full_fifo_holds_up_the_sender():
    sent = [int(_run(_through(Line(capacity, late=60)))["sent"][0]) for capacity in (64, 1)]
    assert sent[0] < 200 < sent[1]


@pytest.mark.parametrize("rows", [1, 4])
def test_threads(rows):
    for seed in range(3):
        read = _run(_through(Line(seed + 1, rows=rows, late=10 * seed)), rows, threads=2)
        assert np.array_equal(read["got"], np.arange(2, WORDS + 2))


@pytest.mark.parametrize("capacity", [1, 3])
def test_tasks_at_push_and_pop(capacity):
    read = _run(_through(Line(capacity, late=30, push=True, pop=True)))
    assert read["woken"][1]  # it was found full
    read = _run(_through(Line(capacity, slow=20, push=True, pop=True)))
    assert read["woken"][0]  # and empty, by a consumer that is early


def test_a_task_drains_what_a_push_announces():
    line = Line(16, slow=30, push=True)  # nothing comes to the right
    middle = line.middle
    kept = middle.array("kept", "f32", WORDS, export=True)
    poll = middle.local_task("poll", id=20)
    row = middle.dsr("dest", 4)
    with middle.function("main"):
        middle.load_to_dsr(row, middle.mem_dsd(kept, 3), save_address=True)
        middle.mov32(line.fifo, middle.fabin_dsd(line.into, WORDS), async_=True)
        middle.activate(poll)
        middle.done()
    with poll:  # three elements at a time, until one cannot be had
        whole = middle.mov32(row, line.fifo)
        middle.store(line.woken, 1, middle.load(line.woken, 1) + whole)
        with middle.if_(middle.load(line.woken, 1) < WORDS // 3):
            middle.activate(poll)
    program = line.program()
    read = _run(program)
    assert read["woken"][0]  # an empty FIFO ended an op, and the next push activated the task
    assert read["woken"][1] >= WORDS // 3


@pytest.mark.parametrize("kind", ["f32", "i16"])
def test_two_fifos_and_memory(kind):
    line = Line(3)
    middle = line.middle
    first, second = middle.fifo("first", kind, 5), middle.fifo("second", kind, 2)
    a, b = middle.array("a", kind, 24, export=True), middle.array("b", kind, 24, export=True)
    move, add = (middle.fmovs, middle.fadds) if kind == "f32" else (middle.mov16, middle.add16)
    with middle.function("main"):
        with middle.for_range(24) as i:
            middle.store(a, i, i.to(kind))
        move(middle.fifo_dsd(first, 24), middle.mem_dsd(a), async_=True)
        add(second, middle.mem_dsd(a), middle.fifo_dsd(first, 24), async_=True)
        add(middle.mem_dsd(b), middle.mem_dsd(a), second, async_=True)
        middle.mov32(line.fifo, middle.fabin_dsd(line.into, WORDS), async_=True)
        middle.mov32(middle.fabout_dsd(line.onward, WORDS), line.fifo, async_=True)
        middle.done()
    program = line.program()
    read = _run(program)
    assert read["status"] == "finished"
    assert np.array_equal(read["got"], np.arange(1, WORDS + 1))


@pytest.mark.parametrize("capacity", [1, 4, 64])
@pytest.mark.parametrize("slow", [0, 20])
@pytest.mark.parametrize("twice", [False, True])
def test_one_element_a_beat_into_memory(capacity, slow, twice):
    """Both ends are served one element at a time: what is pushed at once may not pass what can be popped."""
    line = Line(capacity, slow=slow, twice=twice)
    middle = line.middle
    kept = middle.array("kept", "f32", 4 * WORDS, export=True)
    onward = middle.local_task("onward", id=20)
    with middle.function("main"):
        rows = middle.mem_dsd(kept, WORDS, stride=4)  # of one bank
        middle.mov32(rows, middle.fifo_dsd(line.fifo, WORDS), async_=True, activate=onward)
        middle.mov32(line.fifo, middle.fabin_dsd(line.into, WORDS), async_=True)
        middle.done()
    with onward:
        middle.mov32(middle.fabout_dsd(line.onward, WORDS), middle.mem_dsd(kept, WORDS, stride=4))
    assert np.array_equal(_run(line.program())["got"], np.arange(1, WORDS + 1) * (1 + twice))


def test_daemons_at_both_ends():
    line = Line(4)
    middle = line.middle
    with middle.function("main"):
        middle.mov32(line.fifo, middle.fabin_dsd(line.into), async_=True)
        middle.mov32(middle.fabout_dsd(line.onward), line.fifo, async_=True)
        middle.done()
    read = _run(line.program())
    assert read["status"] == "finished"
    assert np.array_equal(read["got"], np.arange(1, WORDS + 1))


def test_an_op_that_ends_early_leaves_the_switch_alone():
    line = Line(4, late=5)
    middle = line.middle
    kept = middle.array("kept", "f32", WORDS, export=True)
    with middle.function("main"):
        middle.mov32(middle.mem_dsd(kept), middle.fabin_dsd(line.into, WORDS))
        words = middle.fabout_dsd(line.onward, WORDS, advance_switch=True)
        for k in range(0, WORDS, 4):
            middle.mov32(line.fifo, middle.mem_dsd(kept, 4, offset=k))
            middle.mov32(words, line.fifo)  # of forty words it gets four
        line.pause()
        middle.store(line.woken, 1, middle.switch_get(line.onward.color))
        middle.done()
    read = _run(line.program())
    assert not read["woken"].any()
    assert np.array_equal(read["got"], np.arange(1, WORDS + 1))


def test_an_emptied_fifo():
    line = Line(8)
    middle = line.middle
    with middle.function("main"):
        middle.mov32(line.fifo, middle.fabin_dsd(line.into, WORDS), async_=True)
        line.late = 20
        line.pause()
        middle.reset_fifo(line.fifo)
        middle.mov32(middle.fabout_dsd(line.onward, WORDS - 8), line.fifo, async_=True)
        middle.done()
    read = _run(line.program())
    assert read["status"] == "stuck"  # the right waits for the eight that were dropped
    assert np.array_equal(read["got"][: WORDS - 8], np.arange(9, WORDS + 1))


def _refused(build: Any) -> str:
    line = Line(4)
    other = line.middle.fifo("other", "f32", 4)
    with line.middle.function("main"):
        build(line.middle, line.fifo, other)
        line.middle.done()
    sim = StreamSimulator(line.program(), values=True)
    sim.launch("main")
    with pytest.raises(UnsupportedError) as error:
        sim.run()
    return str(error.value)


def test_refusals():
    def itself(pe: Any, fifo: Any, _other: Any) -> None:
        pe.fadds(pe.fifo_dsd(fifo, 4), 1.0, pe.fifo_dsd(fifo, 4), async_=True)

    def round_trip(pe: Any, fifo: Any, other: Any) -> None:
        pe.mov32(pe.fifo_dsd(fifo), pe.fifo_dsd(other), async_=True)
        pe.mov32(pe.fifo_dsd(other), pe.fifo_dsd(fifo), async_=True)

    def uneven(pe: Any, fifo: Any, _other: Any) -> None:
        a, b = pe.array("a", "f32", 16), pe.array("b", "f32", 16)
        pe.fmacs(pe.fifo_dsd(fifo, 8), pe.mem_dsd(a, 8), pe.mem_dsd(b, 8, stride=2), 2.0, async_=True)

    assert "two operands in one FIFO" in _refused(itself)
    assert "pass elements round" in _refused(round_trip)
    assert "uneven beats beside a FIFO" in _refused(uneven)
