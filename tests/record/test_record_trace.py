"""Traces for other tools: parsed with the official schema, balanced, in order; the same events in Arrow; bounds kept."""

from __future__ import annotations

import json
import time
from collections import defaultdict

import numpy as np
import pytest

from command_line import call
from small_programs import CASES, same, snapshot
from wafersim.errors import ConfigError
from wafersim.program.schema import Port
from wafersim.record.timeline import DTYPE, KINDS, LINK, RECEIVE, SEND, STRETCH, VECTOR, Timeline
from wafersim.record.trace_files import flows, to_arrow
from wafersim.simulate.runner import prepare
from wafersim.simulate.sampling import run_sampled
from wafersim.simulate.watching import Watch, checked_kinds, parse_filter


@pytest.fixture(scope="module")
def schema():
    return pytest.importorskip(
        "perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason="no perfetto package"
    )


class Parsed:
    """A trace as its packets say: slices per track, names, flows, counters."""

    def __init__(self, schema, data: bytes) -> None:
        trace = schema.Trace()
        trace.ParseFromString(data)
        event = schema.TrackEvent
        self.tracks, self.parents, self.processes, names, lines = {}, {}, {}, {}, {}
        self.slices, self.counters, self.notes = defaultdict(list), defaultdict(list), []
        open_slices = defaultdict(list)
        for packet in trace.packet:
            for entry in packet.interned_data.event_names:
                names[entry.iid] = entry.name
            for entry in packet.interned_data.source_locations:
                lines[entry.iid] = (entry.file_name, entry.line_number)
            if packet.HasField("track_descriptor"):
                track = packet.track_descriptor
                self.tracks[track.uuid] = track.process.process_name or track.name
                self.parents[track.uuid] = track.parent_uuid
            if not packet.HasField("track_event"):
                continue
            body, at = packet.track_event, packet.timestamp
            if body.type == event.TYPE_SLICE_BEGIN:
                notes = {note.name_iid: note for note in body.debug_annotations}
                open_slices[body.track_uuid].append(
                    (
                        at,
                        names[body.name_iid],
                        list(body.flow_ids),
                        lines.get(body.source_location_iid),
                        notes,
                    )
                )
            elif body.type == event.TYPE_SLICE_END:
                begin, *rest = open_slices[body.track_uuid].pop()
                self.slices[self.place(body.track_uuid)].append((begin, at, *rest))
            elif body.type == event.TYPE_COUNTER:
                self.counters[self.tracks[body.track_uuid]].append((at, body.double_counter_value))
            else:
                self.notes.append(body.name)
        assert not any(open_slices.values()), "every slice ends"

    def place(self, uuid: int) -> tuple[str, str]:
        return self.tracks[self.parents[uuid]], self.tracks[uuid]


def traced(name, **options):
    sim = CASES[name]()
    sim.timeline(kinds=KINDS, **options)
    return sim.run()


@pytest.mark.parametrize("name", CASES)
def test_links_change_nothing_and_count_every_hop(name):
    plain = CASES[name]()
    plain.run()
    sim = CASES[name]()
    sim.timeline(kinds=("link",))
    record = sim.run()
    assert same(snapshot(sim), snapshot(plain)) == []
    entries = record.timeline.entries
    assert set(entries["kind"].tolist()) <= {LINK}
    counts = np.zeros(record.links.shape, np.int64)
    place = {color["number"]: k for k, color in enumerate(record.colors)}
    for row in entries:
        counts[place[int(row["color"])], row["y"], row["x"], row["thread"]] += 1
    assert np.array_equal(counts[..., : Port.RAMP], record.links[..., : Port.RAMP])


@pytest.mark.parametrize("name", CASES)
def test_a_trace_is_parsed_by_the_official_schema(name, schema):
    record = traced(name)
    timeline = record.timeline
    parsed = Parsed(schema, timeline.to_perfetto())
    idle = timeline.names.index("idle") if "idle" in timeline.names else -2
    shown = timeline.entries[~((timeline.entries["kind"] == STRETCH) & (timeline.entries["name"] == idle))]
    assert sum(map(len, parsed.slices.values())) == len(shown)
    wanted = sorted((int(row["begin"]), int(row["end"])) for row in shown)
    assert sorted((s[0], s[1]) for slices in parsed.slices.values() for s in slices) == wanted
    for place, slices in parsed.slices.items():
        ends = [s[1] for s in slices]
        begins = [s[0] for s in slices]
        assert begins == sorted(begins), place
        assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False)), (
            f"{place}: slices overlap"
        )
    stalls = {s[1 + 1] for place, slices in parsed.slices.items() if place[1] == "stalls" for s in slices}
    assert "idle" not in stalls


def test_names_lines_payloads_and_flows(schema):
    record = prepare("reduce", "wse2", "4x1", {"words": 8}).execute(watch=Watch(kinds=KINDS))
    parsed = Parsed(schema, record.timeline.to_perfetto({int(c["number"]): c["name"] for c in record.colors}))
    sends = parsed.slices["PE (3, 0)", "sends"]
    got = parsed.slices["PE (2, 0)", "receives"]
    assert len(sends) == len(got) == 8
    assert sends[0][2] in {color["name"] for color in record.colors}
    assert [s[3] for s in sends] == [g[3] for g in got]
    assert all(len(s[3]) == 1 for s in sends), "random words tell themselves apart"
    ops = parsed.slices["PE (2, 0)", "main thread: vector ops"]
    assert ops[0][2] == "fadds"
    assert ops[0][4][0].endswith(".py")
    assert ops[0][4][1] > 0
    assert any(track == "tasks" for _, track in parsed.slices)
    assert sum(value for _, value in parsed.counters["links WEST"]) > 0


def test_flows_join_only_what_is_certain():
    rows = np.zeros(7, DTYPE)
    rows["kind"] = [SEND, RECEIVE, RECEIVE, SEND, SEND, RECEIVE, SEND]
    rows["color"] = 3
    rows["value"] = [1, 1, 1, 2, 2, 2, 9]  # a multicast; two sends of one word; a word that nobody got
    found = flows(rows)
    assert found[0] == found[1] == found[2] > 0
    assert not found[3:].any()
    assert not flows(rows[:0]).size


def test_what_was_dropped_is_said_in_the_trace(schema):
    timeline = traced("gemm", most=50).timeline
    assert timeline.dropped > 0
    assert Parsed(schema, timeline.to_perfetto()).notes == [timeline.missing()]


def test_arrow_holds_the_same_events():
    import nanoarrow as na

    timeline = traced("fifos").timeline
    rows = na.ArrayStream(timeline).read_all().to_pylist()
    assert len(rows) == len(timeline.entries)
    for row, entry in zip(rows, timeline.entries, strict=True):
        assert (row["x"], row["y"], row["begin"], row["end"]) == tuple(
            int(entry[n]) for n in ("x", "y", "begin", "end")
        )
        assert row["kind"] == KINDS[entry["kind"]]
        assert row["name"] == (timeline.names[entry["name"]] if entry["name"] >= 0 else "")
        assert row["source"] == (timeline.lines[entry["line"]] if entry["line"] >= 0 else "")
        assert (row["value"], row["color"], row["open"]) == (
            entry["value"],
            entry["color"],
            int(entry["open"]),
        )


def test_an_empty_timeline_is_an_empty_table(schema):
    sim = CASES["gemm"]()
    sim.timeline(window=(1 << 40, 1 << 41))
    timeline = sim.run().timeline
    assert len(timeline.entries) == 0
    assert not Parsed(schema, timeline.to_perfetto()).slices
    assert to_arrow(timeline).read_all().to_pylist() == []


def test_kinds_are_filtered_and_checked():
    assert parse_filter("kinds=link,task").kinds == ("task", "link")
    assert checked_kinds(None) == KINDS[:LINK]
    sim = CASES["gemm"]()
    sim.timeline(kinds=["task"])
    assert set(sim.run().timeline.summary()["by_kind"].items()) >= {
        ("vector", 0),
        ("stretch", 0),
        ("send", 0),
    }
    for bad in ("kinds=", "kinds=tasks", "kinds=task,", "kinds=task;kinds=link"):
        with pytest.raises(ConfigError, match=r"trace|timeline"):
            parse_filter(bad)


def test_the_command_writes_every_file(tmp_path):
    out = tmp_path / "run"
    said = call(
        "run",
        "reduce",
        "--grid",
        "4x1",
        "--trace",
        "rect=0,0,1,0;kinds=task,link",
        "--out",
        str(out),
        "--json",
    )
    answer = json.loads(said.out)["timeline"]
    assert set(answer["files"]) == {"timeline.pftrace", "timeline.arrow", "timeline.json", "timeline.csv"}
    assert answer["by_kind"]["link"] > 0 == answer["by_kind"]["send"]
    for name in answer["files"]:
        assert (out / name).stat().st_size > 100
    words = call("run", "reduce", "--grid", "4x1", "--trace", "most=5", "--out", str(out)).out
    assert "DROPPED" in words


def test_sampling_and_tracing_together():
    sim = CASES["gemm"]()
    sim.timeline(kinds=("task",))
    sampled = run_sampled(sim, 6)
    assert np.array_equal(sampled.timeline.entries, _only_tasks())
    assert any("whole wafer" in name for name in _counter_names(sampled))


def _only_tasks():
    sim = CASES["gemm"]()
    sim.timeline(kinds=("task",))
    return sim.run().timeline.entries


def _counter_names(record):
    from wafersim.record.trace_files import _frame_counters

    return [name for name, _, _ in _frame_counters(record.frames)]


def many(count: int) -> Timeline:
    """A made-up timeline of so many entries on 64x64 PEs: ops with lines, sends and receives, stalls."""
    rows = np.zeros(count, DTYPE)
    place = np.arange(count)
    rows["kind"] = np.array([VECTOR, SEND, RECEIVE, STRETCH])[place % 4]
    rows["thread"] = np.where(rows["kind"] == VECTOR, 8, -1)
    rows["x"], rows["y"] = place // 4 % 64, place // 256 % 64
    rows["begin"] = place // 16384 * 20 + 3
    rows["end"] = rows["begin"] + np.where(place % 4 == 0, 17, 1)
    rows["name"] = np.where(rows["kind"] == STRETCH, 1, np.where(rows["kind"] == VECTOR, 0, -1))
    rows["color"] = np.where((rows["kind"] == SEND) | (rows["kind"] == RECEIVE), 5, -1)
    rows["value"] = place * 2654435761 & 0xFFFFFFFF
    rows["line"] = np.where(rows["kind"] == VECTOR, 0, -1)
    return Timeline(rows, ["fmacs", "stall_input"], ["kernel.py:12: x"], (0, 0, 64, 64), (0, 1 << 61))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_five_million_events_at_five_million_a_second(schema):
    """The encoder alone, by the time it computes; finding flows before it is measured apart and printed."""
    from wafersim import _core

    timeline, count = many(5_000_000), 5_000_000
    began = time.process_time()
    joined = flows(timeline.entries)
    print(f"flows: {time.process_time() - began:.2f} s")
    rows = timeline.entries.view(f"V{DTYPE.itemsize}")
    best = 1e9
    for _ in range(3):
        began = time.process_time()
        data, slices = _core.perfetto(
            rows, joined, (0, 0), (64, 64), timeline.names, [(5, "red")], [("kernel.py", 12)], [], ""
        )
        best = min(best, time.process_time() - began)
        assert slices == count
    print(f"{count / best / 1e6:.1f} million events per second, {len(data) / count:.1f} bytes per event")
    assert count / best >= 5_000_000
    trace = schema.Trace()
    trace.ParseFromString(data)
    assert sum(packet.HasField("track_event") for packet in trace.packet) == 2 * count


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_tracing_costs_nothing_while_it_is_off():
    """Builds the core twice: minutes. valgrind counts instructions, which does not depend on the machine's load."""
    import shutil
    import subprocess
    import sys

    from source_tree import ROOT

    if not (ROOT / "csrc").is_dir() or shutil.which("valgrind") is None:
        pytest.skip("the source tree and valgrind are needed")
    subprocess.run([sys.executable, str(ROOT / "tools" / "trace_cost.py")], check=True, timeout=3000)
