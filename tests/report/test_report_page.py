"""What a page holds, without a browser: nothing foreign, nothing unescaped, layers equal to the record's figures."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from pages import ALONE, RING, stuck_record

import wafersim as ws
from command_line import call
from records import make_record
from wafersim.record.frames import LAYERS
from wafersim.report.layers import Layer, layers_of
from wafersim.report.page import pair_page, run_page
from wafersim.report.waits import arrows

bokeh = pytest.importorskip("bokeh", reason="no bokeh: pages have no map")


def data_of(page):
    return json.loads(re.search(r'id="wafer-data">(.*?)</script>', page, re.DOTALL).group(1))


@pytest.fixture(scope="module")
def reduce_record():
    from wafersim.simulate.runner import prepare

    return prepare("reduce", "wse2", "9x2", {"algorithm": "chain", "words": 40}).execute(frames=8)


def test_the_page_names_no_other_place(reduce_record):
    page = run_page(reduce_record)
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', own)
    assert "default-src 'none'" in own


def test_layers_are_the_records_figures(reduce_record):
    layers = {layer.name: layer for layer in layers_of(reduce_record, reduce_record.source.program())}
    assert np.array_equal(layers["busy"].values, reduce_record["pe"]["busy_cycles"])
    assert np.array_equal(layers["stall_input_cycles"].values, reduce_record["pe"]["stall_input_cycles"])
    assert np.array_equal(layers["link_WEST"].values, reduce_record.links.sum(axis=0)[:, :, 3])
    assert layers["program"].names[layers["program"].values[0, 0]].startswith("root")
    assert not layers["sram"].measured
    assert layers["busy"].frames == LAYERS.index("busy")
    assert "link_NORTH" not in layers, "nothing went north: absent, not zero"


def test_steps_span_the_range_and_leave_zero_for_no_tile():
    values = np.array([[5, 7, 9], [0, 5, 5]])
    shown = values > 0
    layer = Layer("a", "a", "cycles", values, shown)
    assert layer.steps().tolist() == [[1, 128, 255], [0, 1, 1]]
    assert layer.about()["exact"]
    same = Layer("a", "a", "cycles", np.full((2, 2), 4), np.ones((2, 2), bool))
    assert set(same.steps().ravel().tolist()) == {1}


@pytest.mark.parametrize("span", [1, 7, 200, 253, 254])
def test_small_ranges_are_exact(span):
    values = np.arange(span + 1)[None, :] + 1000
    layer = Layer("a", "a", "", values, np.ones(values.shape, bool))
    back = np.rint(layer.about()["low"] + (layer.steps().astype(float) - 1) / 254 * max(1, span))
    assert np.array_equal(back, values)


def test_no_layer_of_what_was_not_counted():
    record = ws.run("broadcast", grid="6x3", fidelity="stream", values=False)
    layers = layers_of(record, record.source.program())
    assert layers
    assert not any(layer.measured for layer in layers)
    page = run_page(record)
    assert "not measured" in page
    assert "Where the cycles went" not in page


def test_a_record_without_program_or_counts_has_no_map():
    record = ws.run("broadcast", grid="6x3", fidelity="stream", values=False)
    record.source = None
    assert "Nothing was counted per PE" in run_page(record)


def test_arrows_follow_the_waits():
    found, alone, left_out = arrows(stuck_record().info["waits"])
    ring = {(start, end) for start, end, in_ring in found if in_ring}
    assert ring == {(pe, RING[k - 1]) for k, pe in enumerate(RING)}
    assert [(start, end) for start, end, in_ring in found if not in_ring] == [(ALONE, (1, 5))]
    assert (alone, left_out) == ([], 0)
    assert arrows([{"text": "no place"}, {"pe": "evil"}, {"pe": [1, 2], "waits_for": [["a", 1]]}]) == (
        [],
        [(1, 2)],
        0,
    )


def test_strings_are_escaped_everywhere():
    evil = "</script><script>x</script>"
    record = make_record()
    record.info |= {"kernel": evil, "arch": evil, "params": {evil: evil}, "warnings": [evil], "not_modelled": [evil],
                    "metrics": {evil: evil}, "validity": evil, "status": "stuck", "waits": [{"text": evil}]}  # fmt: skip
    record.colors[0]["name"] = evil
    page = run_page(record, evil)
    assert evil not in page
    assert "<script>x" not in page
    assert "<script>x" not in pair_page(ws.compare(record, make_record(cycles=200)), evil, evil)


def test_the_command_samples_again_and_says_how_to_repeat(tmp_path):
    run, out = tmp_path / "run", tmp_path / "r.html"
    call("run", "reduce", "--grid", "5x1", "--set", "words=8", "--out", str(run))
    said = call("report", str(run), "-o", str(out), "--json")
    assert said.code == 0
    answer = json.loads(said.out)
    page = out.read_text()
    assert answer["bytes"] == len(page.encode())
    assert answer["frames"] == len(data_of(page)["frames"]["edges"]) - 1 > 2
    assert "--grid 5x1 --arch wse2" in page
    assert "critical path:" in page
    quick = call("report", str(run), "-o", str(out), "--quick", "--json")
    assert json.loads(quick.out)["frames"] is None
    assert "Not sampled" in out.read_text()


def test_a_page_of_two(tmp_path):
    for name, words in (("a", "8"), ("b", "16")):
        call("run", "reduce", "--grid", "5x1", "--set", f"words={words}", "--out", str(tmp_path / name))
    out = tmp_path / "pair.html"
    assert call("compare", str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(out)).code == 0
    assert "parameter words: 8 -&gt; 16" in out.read_text()


def test_bad_places_are_bad_input(tmp_path):
    assert call("report", str(tmp_path / "nowhere")).code == 2
    run = tmp_path / "run"
    call("run", "reduce", "--grid", "3x1", "--out", str(run))
    said = call("report", str(run), "--quick", "-o", str(tmp_path / "no" / "r.html"))
    assert (said.code, said.err.count("\n")) == (2, 1)
