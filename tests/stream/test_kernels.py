"""Library kernels take the same cycles at both fidelities, and every PE has the same time stamps."""

from __future__ import annotations

import pytest

from tests.stream.compare import run_both
from wafersim import run
from wafersim.simulate import stream
from wafersim.simulate.runner import prepare

CASES = [
    ("gemm", "8x8", {"tile": 2}, True),
    ("gemm", "8x8", {"tile": 4}, False),  # back-pressure
    ("gemm", "12x12", {"tile": 6}, False),  # two colors compete for the ramp
    ("gemm", "5x5", {"tile": 17}, False),
    ("gemm", "16x16", {"tile": 7}, False),  # words and credits of one link cross in a cycle
    ("reduce", "6x2", {"words": 16}, None),
    ("reduce", "8x2", {"words": 9, "algorithm": "star"}, False),  # switches
    ("reduce", "16x1", {"words": 64, "algorithm": "star"}, False),
    ("allreduce", "7x5", {"words": 33}, None),
    ("allreduce", "6x6", {"words": 5, "algorithm": "star"}, None),
    ("allreduce", "2x4", {"words": 20, "algorithm": "ring"}, None),  # two queues in turn after a long rest
    ("allreduce", "3x5", {"words": 4, "algorithm": "ring"}, None),
    ("allreduce", "5x3", {"words": 12, "algorithm": "tree"}, None),
    ("broadcast", "9x7", {"words": 64}, None),
    ("broadcast", "16x1", {"words": 1}, None),
    ("gemv", "6x6", {}, None),
    ("relay", "9x1", {}, None),
    ("stencil", "7x6", {}, None),
]


@pytest.mark.smoke
@pytest.mark.parametrize("most_words", [None, 1, 7])
@pytest.mark.parametrize(("kernel", "grid", "params", "clean"), CASES)
def test_cycles_and_stamps_are_equal(kernel, grid, params, clean, most_words):
    both = run_both(kernel, grid, params, most_words=most_words)
    assert both.stream.status == both.wavelet.status == "finished"
    assert both.stream.cycles == both.wavelet.cycles
    compared = 0
    for found, expected in zip(both.stamps, both.wavelet_stamps, strict=True):
        if found is not None:
            assert found == expected
            compared += 1
    assert compared > 0
    assert both.stream.info["stream"]["late"] == 0
    events = both.wavelet["pe"]
    pressed = int(events["backpressure"].sum()) + int(events["arbitration_losses"].sum())
    if clean is not None:
        assert clean == (pressed == 0), pressed


def assert_same_times(both):
    """The cycles of the run, and every time stamp that stream knows."""
    assert both.stream.cycles == both.wavelet.cycles
    for found, expected in zip(both.stamps, both.wavelet_stamps, strict=True):
        assert found is None or found == expected


PACED = [
    ("gemm", "8x8", {"tile": 4}),
    ("allreduce", "6x6", {"words": 33, "algorithm": "star"}),
    ("allreduce", "2x4", {"words": 20, "algorithm": "ring"}),
    ("relay", "9x1", {"words": 300}),
    ("stencil", "5x4", {"tile": 4}),
    ("fft", "4x1", {"n": 8, "part": "rows", "pencils": 4}),  # filters change what two colors compete for
]


@pytest.mark.parametrize("arch", ["wse3", "wse3-sdk"])
@pytest.mark.parametrize(("kernel", "grid", "params"), PACED)
def test_generation_3_with_the_pace_of_its_ramp(kernel, grid, params, arch):
    both = run_both(kernel, grid, params, arch)
    assert_same_times(both)


def test_the_pace_counts_all_moves_of_a_ramp():
    """9/8 cycles per word since the first word, not anew with each message."""
    short, long = (run_both("relay", "3x1", {"words": words}, "wse3").stream.cycles for words in (8, 8_000))
    assert long - short > 7_992 * 9 / 8


PACKED = [
    ("reduce", "7x2", {"dtype": "f16", "words": 63, "algorithm": "star"}),
    ("allreduce", "3x3", {"dtype": "f16"}),
    ("allreduce", "6x4", {"dtype": "f16", "algorithm": "ktree"}),
    (
        "gemm",
        "4x4",
        {"dtype": "f16", "algorithm": "mesh", "tile": 7},
    ),  # SAVE_ADDRESS of one descriptor register
    ("gemv", "4x4", {"dtype": "f16", "algorithm": "mesh"}),
]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize(("kernel", "grid", "params"), PACKED)
def test_two_elements_in_a_word(kernel, grid, params, arch):
    """Generation 3 takes two words in one beat where two have come."""
    both = run_both(kernel, grid, params, arch)
    assert_same_times(both)


def test_what_recurs_is_looked_up(monkeypatch):
    both = run_both("broadcast", "40x30", {"words": 256})
    figures = both.stream.info["work"]
    assert figures["made"] < figures["looked_up"] / 10
    assert both.stream.cycles == both.wavelet.cycles
    monkeypatch.setattr(stream, "LOOK_UP", False)  # then stretches of local code are
    made = run_both("broadcast", "40x30", {"words": 256}).stream
    assert made.info["work"]["stretches_recorded"] < made.info["work"]["stretches"] / 20
    assert (made.cycles, made.events) == (both.stream.cycles, both.stream.events)


def test_a_full_memo_forgets_what_is_not_in_use(monkeypatch):
    whole = run("gemm", grid="32x32", params={"tile": 8}, fidelity="stream", values=False, grain=4096)
    monkeypatch.setattr(stream, "MEMO_BYTES", 12 << 20)
    often = run("gemm", grid="32x32", params={"tile": 8}, fidelity="stream", values=False, grain=4096)
    assert whole.info["work"]["memo_renewals"] == 0 < often.info["work"]["memo_renewals"]
    assert (often.cycles, often.events, often.metrics) == (whole.cycles, whole.events, whole.metrics)


def test_a_memo_that_is_not_worth_it_is_left():
    both = run_both("gemm", "24x24", {"tile": 4})
    assert both.stream.info["work"]["looking_up"] == 0  # most situations were new
    assert_same_times(both)


def test_cost_is_flat_in_words():
    events = [run_both("reduce", "12x1", {"words": words}).stream.events for words in (64, 128, 4096)]
    assert max(events) <= 1.2 * min(events)


MESH = {"algorithm": "mesh", "schedule": "overlap", "dtype": "f32"}
LOOKED_UP = [
    ("gemm", "4x4", MESH | {"mt": 6, "kt": 6, "nt": 6}, "wse3"),  # its colors take turns after long rests
    ("gemm", "3x3", MESH | {"mt": 4, "kt": 4, "nt": 4}, "wse3"),
    ("gemm", "8x8", {"tile": 6}, "wse2"),
    ("stencil", "9x7", {"variant": "tiled", "tile": "16x16", "iterations": 4}, "wse3"),
    ("allreduce", "13x9", {"words": 17}, "wse2"),
]


@pytest.mark.parametrize(("kernel", "grid", "params", "arch"), LOOKED_UP)
def test_looked_up_and_made_are_the_same_run(kernel, grid, params, arch, monkeypatch):
    """Every visit and message, not the cycles alone: what a situation leaves out decides nothing."""
    prepared = prepare(kernel, arch, grid, params)
    found = []
    for look_up in (True, False):
        monkeypatch.setattr(stream, "LOOK_UP", look_up)
        record = prepared.execute(fidelity="stream", values=False)
        found.append((record.cycles, record.events, record.info["stream"]))
    assert found[0] == found[1]
    assert found[0][0] == prepared.execute().cycles
