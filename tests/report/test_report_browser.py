"""Pages in a real browser: quick, quiet, without a network, the right PE under the mouse."""

from __future__ import annotations

import pytest
from browser import Opened, chromium  # noqa: F401 (a fixture)
from pages import ALONE, RING, noisy_record, stuck_record

import wafersim as ws
from wafersim.report.page import run_page
from wafersim.report.wafer_map import palette
from wafersim.report.write import write_page

#: most time until the map is drawn, and most bytes of a page of a whole wafer with eight layers
MOST_MS, MOST_BYTES = 3000, 15_000_000

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def opened(chromium, tmp_path, record):  # noqa: F811
    path = tmp_path / "report.html"
    write_page(run_page(record), path)
    page = Opened(chromium, path)
    assert page.complaints == []
    assert page.network == []
    assert page.cpu_ms > 0
    return page


def rgb(step: int) -> tuple[int, ...]:
    text = palette()[step]
    return tuple(int(text[k : k + 2], 16) for k in (1, 3, 5))


def test_a_stuck_program(chromium, tmp_path):  # noqa: F811
    record = stuck_record()
    page = opened(chromium, tmp_path, record)
    assert page.is_quick(MOST_MS)
    busy = record["pe"]["busy_cycles"]
    for x, y in (RING[3], ALONE, (0, 0), (11, 6), (11, 0), (0, 6)):
        said = page.hover(x, y)
        tile = f"ring{RING.index((x, y))}" if (x, y) in RING else "waiting" if (x, y) == ALONE else "worker"
        assert f"PE ({x}, {y})" in said
        assert f"program (tile): {tile}" in said
        assert f"busy: {busy[y, x]} cycles" in said
    assert page.page.evaluate("Bokeh.documents[0].get_model_by_name('map').select('waits').length") == 2
    assert "the waits form a cycle" in page.page.inner_text("#why-it-stopped")


def test_colors_lie_where_the_pes_are(chromium, tmp_path):  # noqa: F811
    """(2, 5) is dark and (5, 2) light: a map with swapped or mirrored axes would show it the other way."""
    record = stuck_record()
    page = opened(chromium, tmp_path, record)
    busy = record["pe"]["busy_cycles"]
    assert busy[5, 2] < busy[2, 5] == busy.max()
    assert page.colors([(5, 2), (2, 4), (11, 0), (9, 5)]) == [rgb(255)] * 4
    page.page.select_option("#layer", label="program (tile)")
    page.page.wait_for_timeout(200)
    worker, others = page.colors([(0, 0)])[0], page.colors([(1, 5), (8, 2), (7, 4)])
    assert worker == rgb(255), "the last tile has the highest number"
    assert worker not in others


def test_the_time_slider_shows_frames(chromium, tmp_path):  # noqa: F811
    from wafersim.simulate.runner import prepare

    record = prepare("reduce", "wse2", "9x2", {"algorithm": "chain", "words": 40}).execute(frames=8)
    page = opened(chromium, tmp_path, record)
    assert page.page.is_visible("#slider")
    page.page.fill("#frame", "1")
    assert "cycles 0 to" in page.page.inner_text("#when")
    assert "in these cycles" in page.hover(8, 1)
    page.page.select_option("#layer", label="program (tile)")
    assert "not sampled" in page.page.inner_text("#when")


def test_a_whole_wafer_at_fidelity_stream(chromium, tmp_path):  # noqa: F811
    record = ws.run("broadcast", grid="750x994", fidelity="stream", values=False)
    page = opened(chromium, tmp_path, record)
    assert page.is_quick(MOST_MS)
    assert (tmp_path / "report.html").stat().st_size < MOST_BYTES
    assert page.page.locator("#layer option").count() >= 8
    said = page.hover(749, 993)
    assert "program (tile): receiver" in said
    assert "busy" not in said
    assert "nothing is counted per PE" in page.page.inner_text("#the-wafer")


def test_eight_layers_of_a_whole_wafer_that_cannot_be_compressed(chromium, tmp_path):  # noqa: F811
    record = noisy_record()
    page = opened(chromium, tmp_path, record)
    assert page.is_quick(MOST_MS)
    assert 8_000_000 < (tmp_path / "report.html").stat().st_size < MOST_BYTES
    assert page.page.locator("#layer option").count() == 8
    x, y = 612, 77
    said = page.hover(x, y)
    shown = int(said.split("busy: ≈ ")[1].split(" cycles")[0].replace(",", ""))
    busy = record["pe"]["busy_cycles"]
    assert abs(shown - int(busy[y, x])) <= (busy.max() - busy.min()) / 254


def test_a_script_in_a_name_stays_text(chromium, tmp_path):  # noqa: F811
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    record = stuck_record(name=evil)
    record.info |= {"kernel": evil, "warnings": [evil], "params": {evil: evil}, "metrics": {evil: 1}}
    record.colors[0]["name"] = evil
    page = opened(chromium, tmp_path, record)
    assert evil in page.page.inner_text("h1")
    assert page.page.evaluate("document.querySelectorAll('img').length") == 0
