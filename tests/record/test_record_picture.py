"""The heat map: a sound SVG with one sound PNG per panel, pixels in the right places."""

from __future__ import annotations

import base64
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib

import numpy as np

from records import make_record
from wafersim.record.picture import heat_map_svg


def images(svg):
    """Pixels [H, W, 3] of every embedded PNG."""
    for data in re.findall(r"data:image/png;base64,([^\"]+)", svg):
        png = base64.b64decode(data)
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
        assert (depth, kind) == (8, 2)
        at, body = 8, b""
        while at < len(png):
            size = struct.unpack(">I", png[at : at + 4])[0]
            name, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
            assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(name + content)
            body += content if name == b"IDAT" else b""
            at += 12 + size
        rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, 1 + 3 * width)
        assert (rows[:, 0] == 0).all()
        yield rows[:, 1:].reshape(height, width, 3)


def test_panels_show_busy_stalled_and_idle_shares():
    svg = heat_map_svg(make_record(width=5, height=3, holes=[(1, 2)]))
    ElementTree.fromstring(svg)
    busy, stalled, idle, router, scale = images(svg)
    assert busy.shape == stalled.shape == idle.shape == router.shape == (3, 5, 3)
    for panel in (busy, stalled, idle):
        assert panel[2, 1].tolist() == [225, 225, 225]  # no tile
    assert (busy[0, 0] == busy[1, 3]).all()  # all PEs are busy 10 % of the time
    assert (stalled[1, 3] == scale[0, -1]).all()  # PE (3, 1) waits most
    assert (stalled[1, 2] == scale[0, 0]).all()
    assert (idle[1, 3] == scale[0, 0]).all()
    assert (router[1, 4] == scale[0, -1]).all()  # PE (4, 1) sends 12 wavelets, PE (0, 2) takes 3
    assert 0 < router[2, 0].sum() - scale[0, 0].sum() < scale[0, -1].sum()
    for text in (
        "busy: 10.0% to 10.0%",
        "stalled: 5.0% to 65.0%",
        "idle: 25.0% to 85.0%",
        "0 wavelets a cycle to 0.12",
    ):
        assert text in svg


def test_names_are_escaped():
    record = make_record()
    record.info["kernel"] = "<script>alert(1)</script>"
    svg = heat_map_svg(record)
    assert "<script>" not in svg
    ElementTree.fromstring(svg)


def test_a_large_wafer_and_an_empty_run():
    ElementTree.fromstring(heat_map_svg(make_record(width=750, height=994)))
    ElementTree.fromstring(heat_map_svg(make_record(width=1, height=1, cycles=0)))
