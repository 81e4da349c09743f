"""The timeline: it changes nothing, agrees with the counters, keeps to its rectangle, window and bound, and opens elsewhere."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import wafersim as ws
from command_line import call
from small_programs import CASES, same, snapshot
from wafersim.errors import ConfigError
from wafersim.program.schema import Counter, Event
from wafersim.record.timeline import DTYPE, KINDS, MAIN_THREAD, RECEIVE, SEND, STRETCH, TASK, VECTOR
from wafersim.simulate.runner import prepare
from wafersim.simulate.watching import Watch, parse_filter


def traced(name, **options):
    sim = CASES[name]()
    sim.timeline(**options)
    return sim, sim.run()


def chain(**options):
    """A chain reduce of 8 words over 4 PEs: PE (3, 0) sends 8 wavelets west, and so on to PE (0, 0)."""
    return prepare("reduce", "wse2", "4x1", {"words": 8}).execute(watch=Watch(**options)).timeline


@pytest.mark.smoke
@pytest.mark.parametrize("name", CASES)
def test_tracing_changes_nothing(name):
    plain = CASES[name]()
    plain.run()
    sim, _ = traced(name)
    assert same(snapshot(sim), snapshot(plain)) == []
    sim, _ = traced(name, window=(3, 20), rect=(0, 0, 1, 1), most=5)
    assert same(snapshot(sim), snapshot(plain)) == []


@pytest.mark.parametrize("name", CASES)
def test_entries_agree_with_the_counters(name):
    _, record = traced(name)
    timeline = record.timeline
    entries, shape = timeline.entries, record.has_tile.shape
    assert entries.dtype == DTYPE
    cycles = np.zeros((*shape, len(Counter)), np.int64)
    counts = np.zeros((*shape, len(KINDS)), np.int64)
    np.add.at(counts, (entries["y"], entries["x"], entries["kind"]), 1)
    for row in entries[entries["kind"] == STRETCH]:
        cycles[row["y"], row["x"], Counter[timeline.names[row["name"]].upper()]] += row["end"] - row["begin"]
    waits = [kind for kind in Counter if not kind.name.startswith("BUSY")]
    assert np.array_equal(cycles[..., waits], record.counters[..., waits])
    assert not cycles[..., [kind for kind in Counter if kind not in waits]].any()
    assert np.array_equal(counts[..., TASK], record.event_counts[..., Event.TASK_STARTS])
    assert np.array_equal(counts[..., SEND], record.event_counts[..., Event.WAVELETS_SENT])
    assert np.array_equal(counts[..., RECEIVE], record.event_counts[..., Event.WAVELETS_RECEIVED])
    started = record.event_counts[..., Event.VECTOR_OPS]
    assert (counts[..., VECTOR] <= started).all()  # ops of length zero are none
    elements = np.zeros(shape, np.int64)
    vectors = entries[entries["kind"] == VECTOR]
    np.add.at(elements, (vectors["y"], vectors["x"]), vectors["value"])
    if not any("dfilt" in timeline.names[row["name"]] for row in vectors):
        assert np.array_equal(elements, record.event_counts[..., Event.VECTOR_ELEMENTS])


def test_a_chain_is_seen_cycle_by_cycle():
    timeline = chain()
    last, middle = timeline.of_pe(3, 0), timeline.of_pe(2, 0)
    assert last["begin"][last["kind"] == SEND].tolist() == list(range(4, 12))
    received = middle["begin"][middle["kind"] == RECEIVE]
    assert (np.diff(received) == 1).all()
    assert middle["value"][middle["kind"] == RECEIVE].tolist() == last["value"][last["kind"] == SEND].tolist()
    (op,) = middle[middle["kind"] == VECTOR]
    assert timeline.names[op["name"]] == "fadds"
    assert (op["thread"], op["value"], op["open"]) == (MAIN_THREAD, 8, False)
    assert op["end"] == received[-1] + 1
    assert "exchange/lines.py" in timeline.lines[op["line"]]  # the place in the program's source
    (task,) = middle[middle["kind"] == TASK]
    assert timeline.names[task["name"]] == "main"
    assert (task["begin"], task["end"] > op["end"]) == (0, True)
    (waiting,) = middle[(middle["kind"] == STRETCH) & (middle["begin"] == op["begin"])]
    assert timeline.names[waiting["name"]] == "stall_input"
    assert waiting["end"] == received[0]


def test_microthreads_and_names_of_tasks():
    _, record = traced("mixed")
    timeline = record.timeline
    vectors = timeline.entries[timeline.entries["kind"] == VECTOR]
    assert (vectors["thread"] < MAIN_THREAD).any()
    declared = set(record.timeline.names)
    tasks = {timeline.names[row["name"]] for row in timeline.entries if row["kind"] == TASK}
    assert "main" in tasks
    assert len(tasks) > 1
    assert tasks <= declared


def test_rectangle_and_window():
    whole, part = chain(), chain(rect=(1, 0, 2, 1), window=(10, 20))
    assert set(part.entries["x"]) == {1, 2}
    inside = (whole.entries["begin"] < 20) & (whole.entries["end"] > 10)
    inside &= np.isin(whole.entries["x"], (1, 2))
    expected = whole.entries[inside].copy()
    stretches = expected["kind"] == STRETCH
    expected["begin"][stretches] = expected["begin"][stretches].clip(10)
    expected["end"][stretches] = expected["end"][stretches].clip(max=20)

    def rows(timeline, entries):
        fields = ("kind", "x", "begin", "end", "thread", "value")
        return sorted(
            (*(int(row[f]) for f in fields), timeline.names[row["name"]] if row["name"] >= 0 else "")
            for row in entries
        )

    assert rows(part, part.entries) == rows(whole, expected)


def test_pauses_do_not_show():
    _, record = traced("mixed")
    sim = CASES["mixed"]()
    sim.timeline()
    again = sim.run(pause_at=7)
    seen_open = again.timeline.entries["open"].any()
    while again.status == "paused":
        again = sim.run(pause_at=sim.cycle + 13)
    assert seen_open
    assert np.array_equal(again.timeline.entries, record.timeline.entries)


def test_what_does_not_fit_is_said():
    whole, short = chain(), chain(most=20)
    assert whole.dropped == 0
    assert whole.complete_until is None
    assert 20 <= len(short.entries) <= 24  # stretches of waiting PEs come late
    assert short.dropped > 20
    assert short.complete_until > 8
    over = whole.entries[whole.entries["end"] <= short.complete_until]
    assert len(over) > 10
    kept = {tuple(row) for row in short.entries[["kind", "x", "y", "begin", "end"]].tolist()}
    assert {tuple(row) for row in over[["kind", "x", "y", "begin", "end"]].tolist()} <= kept
    for text in (short.text(), short.table()):
        assert f"{short.dropped} entries dropped: complete only up to cycle {short.complete_until}" in text
    assert short.summary()["dropped"] == short.dropped


def test_stuck_runs_show_what_is_open():
    lay = ws.Layout(1, 1)
    red = lay.color("red", 1)
    lay.route(red, rx="WEST", tx="RAMP")
    pe = lay.tile("waiter")
    got = pe.array("got", "u32", 4)
    with pe.function("main"):
        pe.mov32(pe.mem_dsd(got, extent=4), pe.fabin_dsd(pe.input_queue(0, red), extent=4))
        pe.done()
    lay.place(pe)
    sim = ws.Simulator(lay.build())
    sim.timeline()
    sim.launch("main")
    record = sim.run(raise_on_stuck=False)
    assert record.status == "stuck"
    still = record.timeline.entries[record.timeline.entries["open"]]
    assert sorted(still["kind"].tolist()) == [TASK, VECTOR]
    assert (still["end"] == sim.cycle).all()


@pytest.mark.parametrize(
    "options",
    [
        {"rect": (0, 0, 5, 1)},
        {"rect": (-1, 0, 1, 1)},
        {"rect": (0, 0, 0, 1)},
        {"rect": (0, 0)},
        {"rect": "all"},
        {"window": (5, 5)},
        {"window": (-1, 5)},
        {"window": (0.5, 2)},
        {"most": 0},
        {"most": 1 << 40},
    ],
    ids=str,
)
def test_mistakes(options):
    with pytest.raises(ConfigError):
        chain(**options)


def test_filters():
    assert parse_filter("") == Watch()
    assert parse_filter("pe=3,4") == Watch(rect=(3, 4, 1, 1))
    assert parse_filter(" rect=1,2,3,2 ; cycles=5:9; most=7") == Watch((1, 2, 3, 1), (5, 9), 7)


# --- other forms -----------------------------------------------------------------------------------------------------


def test_text_shows_stalls_threads_and_wavelets():
    text = chain().text(pes=[(2, 0)])
    rows = dict(line.strip().split(" |", 1) for line in text.splitlines() if " |" in line)
    assert rows["cycles"].startswith("#ppiiiii")
    assert rows["main"].strip(" |").startswith("[fadds=")
    assert rows["gets"].count("1") == 8
    narrow = chain().text(pes=[(2, 0)], width=10)
    assert "a letter is 4 cycles" in narrow
    table = chain().table([(3, 0)])
    assert "send on color" in table
    assert "PE (2, 0)" not in table


def test_chrome_format_has_every_interval_once():
    timeline = chain()
    events = json.loads(timeline.to_chrome())["traceEvents"]
    drawn = [event for event in events if event["ph"] == "X"]
    idle = sum(timeline.names[row["name"]] == "idle" for row in timeline.entries if row["kind"] == STRETCH)
    assert len(drawn) == len(timeline.entries) - idle
    assert {event["name"] for event in events if event["ph"] == "M"} == {"process_name", "thread_name"}
    lanes = {(event["pid"], event["tid"]) for event in drawn}
    assert lanes == {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert {event["pid"] for event in drawn} == {e["pid"] for e in events if e["name"] == "process_name"}


def test_the_command_line_saves_it_in_open_formats(tmp_path):
    where = tmp_path / "out"
    command = [
        "run",
        "reduce",
        "--grid",
        "4x1",
        "--set",
        "words=8",
        "--trace",
        "rect=1,0,2,0",
        "--out",
        str(where),
    ]
    result = call(*command, "--json")
    assert result.code == 0, result.err
    answer = json.loads(result.out)["timeline"]
    assert set(answer["files"]) == {"timeline.pftrace", "timeline.arrow", "timeline.json", "timeline.csv"}
    assert answer["rect"] == [1, 0, 2, 1]
    assert answer["dropped"] == 0
    rows = list(csv.DictReader(io.StringIO((where / "timeline.csv").read_text())))
    assert len(rows) == answer["entries"]
    assert {row["x"] for row in rows} == {"1", "2"}
    assert json.loads((where / "timeline.json").read_text())["otherData"]["entries"] == answer["entries"]
    assert ws.Record.load(where).info["timeline"] == answer
    assert "timeline" not in json.loads(call("run", "reduce", "--json").out)
