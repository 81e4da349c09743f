"""Frames: sampling changes nothing, the samples add up, limits hold, and they survive the disk."""

from __future__ import annotations

import numpy as np
import pytest

import wafersim as ws
from command_line import call
from small_programs import CASES, same, snapshot
from wafersim.errors import ConfigError
from wafersim.program.schema import Counter
from wafersim.record import Record
from wafersim.record.frames import LAYERS, Frames
from wafersim.simulate.sampling import run_sampled


@pytest.mark.parametrize("name", CASES)
def test_sampling_changes_nothing_and_adds_up(name):
    plain = CASES[name]()
    plain.run()
    sim = CASES[name]()
    record = run_sampled(sim, 8)
    assert same(snapshot(sim), snapshot(plain)) == []
    frames = record.frames
    assert 1 <= len(frames) <= 9
    assert frames.edges[0] == 0
    assert frames.edges[-1] == record.cycles
    sums = dict(zip(LAYERS, frames.layers.sum(axis=(1, 2, 3)), strict=True))
    busy = record.counters[:, :, : Counter.STALL_BANK].sum()
    assert sums["busy"] == busy
    assert sums["stall"] == record.counters[:, :, Counter.STALL_BANK : Counter.IDLE].sum()
    assert sums["stall_input"] == record.counters[:, :, Counter.STALL_INPUT].sum()
    assert sums["wavelets"] == record.links.sum() == frames.ports.sum()
    assert (frames.share("busy") <= 1).all()


def test_steps_double_until_there_are_few_enough():
    record = run_sampled(CASES["gemm"](), 6)
    lengths = np.diff(record.frames.edges)
    assert 3 <= len(record.frames) <= 7
    assert len(set(lengths[:-1])) == 1
    assert lengths[-1] <= lengths[0]


def test_a_known_length_gives_equal_frames():
    cycles = CASES["gemm"]().run().cycles
    assert len(run_sampled(CASES["gemm"](), 10, cycles=cycles).frames) == 10


@pytest.mark.parametrize("most", [1, 31, 32, 33, 63, 64, 65, 200])
def test_a_limit_of_cycles_is_kept(most):
    record = run_sampled(CASES["gemm"](), 4, max_cycles=most)
    assert record.status == "limit"
    assert record.cycles == most == record.frames.edges[-1]


def test_a_limit_of_events_ends_the_run():
    assert run_sampled(CASES["gemm"](), 4, max_events=50).status == "limit"


def test_blocks_of_a_wide_grid():
    record = ws.run("broadcast", grid="200x2", words=4)
    from wafersim.record.frames import block_size, count_pes, sample

    block = block_size(200, 2)
    assert block == (3, 1)
    assert count_pes(record, block).shape == (2, 67)
    assert count_pes(record, block).sum() == 400
    layers, ports = sample(record, block)
    assert layers[LAYERS.index("wavelets")].sum() == record.links.sum() == ports.sum()


def test_frames_survive_the_disk_and_are_checked(tmp_path):
    said = call("run", "reduce", "--grid", "5x1", "--frames", "4", "--out", str(tmp_path / "run"))
    assert said.code == 0
    frames = Record.load(tmp_path / "run").frames
    assert len(frames) >= 2
    parts = frames.parts()
    again = Frames.from_parts(parts)
    assert np.array_equal(again.layers, frames.layers)
    parts["frames.ports.npy"] = parts["frames.ports.npy"][:-1]
    with pytest.raises(ConfigError, match="do not fit"):
        Frames.from_parts(parts)


def test_bad_numbers_of_frames(tmp_path):
    assert call("run", "reduce", "--frames", "4").err.startswith("wafersim: --frames needs --out")
    assert call("run", "reduce", "--frames", "1", "--out", str(tmp_path / "a")).code == 2
    stream = ("run", "reduce", "--fidelity", "stream", "--no-values")
    assert call(*stream, "--frames", "4", "--out", str(tmp_path / "a")).code == 2
