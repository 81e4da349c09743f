"""A CSL library translated by hand: switches, teardown, run-time routes; exact against NumPy, equal on the oracle."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest
from example_module import load_example

import wafersim as ws
from oracle.diff import compare
from oracle.run import FINISHED
from oracle.run import Machine as Oracle
from source_tree import ROOT, needs_source_tree
from wafersim import _core
from wafersim.program.schema import CodeCol, Event, Op, Port, TileCol

pytestmark = needs_source_tree
ARCH = "wse2-sdk"


@pytest.fixture(scope="module")
def example():
    module = load_example("csl_allreduce")
    module.build = functools.cache(module.build)
    return module


def vectors(width, height, words, seed=0):
    return np.random.default_rng(seed).standard_normal((height, width, words)).astype(np.float32)


@pytest.mark.parametrize(
    ("width", "height", "words"), [(2, 2, 1), (3, 5, 1), (5, 3, 7), (4, 4, 4), (2, 6, 16), (8, 8, 16)]
)
@pytest.mark.parametrize("op", ["ADD", "MAX"])
def test_every_pe_has_the_exact_result(example, width, height, words, op):
    sim = ws.Simulator(example.build(width, height), arch=ARCH)
    good, record = example.reduce_once(sim, vectors(width, height, words), getattr(example, op))
    assert good
    assert record.status == "finished"
    # the initial route of all PEs points east, so the last column's leaves the program; it is never used
    assert record.info["warnings"] == []
    (warning,) = record.info["program_warnings"]
    assert "the route to EAST" in warning and "leaves the program" in warning


def test_a_second_call_finds_the_color_in_teardown_again_and_takes_as_long(example):
    sim = ws.Simulator(example.build(3, 5), arch=ARCH)
    cycles = []
    for seed in range(3):
        good, record = example.reduce_once(sim, vectors(3, 5, 4, seed), example.ADD)
        assert good
        cycles.append(record.cycles)
    assert cycles[0] == cycles[1] == cycles[2]


def test_lengths_and_ops_mix_in_one_simulator(example):
    sim = ws.Simulator(example.build(4, 3), arch=ARCH)
    for words, op in ((16, example.ADD), (1, example.MAX), (9, example.MAX), (2, example.ADD)):
        good, _ = example.reduce_once(sim, vectors(4, 3, words, words), op)
        assert good


@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30, 0.0])
def test_the_nine_state_norm_neither_overflows_nor_underflows(example, scale):
    sim = ws.Simulator(example.build(3, 5), arch=ARCH)
    x = vectors(3, 5, 16) * np.float32(scale)
    sim.write("x", x)
    sim.launch("nrm2")
    record = sim.run()
    norm = np.linalg.norm(x[..., 0].astype(np.float64))
    np.testing.assert_allclose(sim.read("x")[..., 0], norm, rtol=1e-6)
    assert record.status == "finished"


def test_tasks_and_wavelets_are_those_of_the_structure(example):
    width, height, words = 3, 5, 2
    sim = ws.Simulator(example.build(width, height), arch=ARCH)
    _, record = example.reduce_once(sim, vectors(width, height, words), example.ADD)
    y, x = np.mgrid[:height, :width]
    last_x, last_y = x == width - 1, y == height - 1
    # launch, 4 states, 3 teardowns, 3 locks; send_data and send_ctrl: per line one turn, or one per neighbor
    starts = 11 + np.where(last_x, width, 3) + np.where(last_y, height, 3) + (last_x & last_y)
    assert (record.event_counts[..., Event.TASK_STARTS] == starts).all()
    message = words + 1  # a vector and its control wavelet; the teardown comes once
    links = record.links[0]
    assert (links[..., Port.EAST] == np.where(last_x, 0, (x + 1) * message + 1)).all()
    assert (links[..., Port.SOUTH] == np.where(last_y, 0, (y + 1) * message + 1)).all()
    assert (links[..., Port.WEST] == np.where(x > 0, message, 0)).all()
    assert (links[..., Port.NORTH] == np.where(last_x & (y > 0), message, 0)).all()


def test_no_words_is_a_fault_at_the_assertion(example):
    sim = ws.Simulator(example.build(2, 2), arch=ARCH)
    sim.launch("allreduce", n=0, op=example.ADD)
    with pytest.raises(ws.FaultError, match="assertion"):
        sim.run()


def test_one_row_is_refused(example):
    with pytest.raises(ws.ProgramError, match="2 x 2"):
        example.build(5, 1)


@pytest.mark.parametrize(("width", "height", "words"), [(3, 5, 3), (4, 4, 16)])
def test_the_oracle_agrees_cycle_for_cycle(example, width, height, words):
    program, arch = example.build(width, height), ws.Arch.load(ARCH)
    x = vectors(width, height, 16)
    machines = []
    for kind, limits in ((Oracle, (20_000,)), (_core.Machine, (20_000, -1, 0, -1, None))):
        machine = kind(program.tables, arch.ints(), arch.vop_costs(), 0)
        for y, row in enumerate(program.tables["tile_map"]):
            for column, tile in enumerate(row):
                address = program.meta["symbols"]["x"][f"tile:{tile}"]["address"]
                machine.write(column, y, 1, 1, address, x[y, column].view(np.uint8).reshape(1, 1, -1))
        machine.launch(program.meta["functions"]["allreduce"]["number"], [words, example.ADD])
        machines.append((machine, machine.run(*limits)))
    (oracle, status), (engine, engine_status) = machines
    assert status == FINISHED
    assert compare(oracle, status, engine, engine_status) == []


def test_the_script_prints_verified_and_cycles(example, capsys):
    example.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    assert all(re.fullmatch(r".*: verified, \d+ cycles", line) for line in lines)


def test_generation_3_is_refused_because_its_queues_are_bound_to_one_color(example):
    with pytest.raises(ws.ProgramError, match=r"generation 3 has one color per queue"):
        example.build(3, 3, "wse3-sdk")


def test_the_documented_numbers_of_instructions_are_those_of_the_tile(example):
    program = example.build(3, 3)
    tile = program.tables["tiles"][program.meta["tile_names"].index("middle_middle")]
    first = tile[TileCol.CODE_FIRST]
    code = program.tables["code"][first : first + tile[TileCol.NUM_CODE]]
    page = (ROOT / "docs" / "spikes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[^|]*\| ((?:`[A-Z_]+`(?:, )?)+) \| (\d+) \|$", page, re.MULTILINE)
    assert len(rows) == 12
    for names, number in rows:
        ops = [Op[name] for name in re.findall(r"`([A-Z_]+)`", names)]
        assert np.isin(code[:, CodeCol.OP], ops).sum() == int(number), names
    words = np.isin(code[:, CodeCol.OP], [Op.LOAD, Op.STORE]) & (code[:, CodeCol.A] < 0)
    words &= code[:, CodeCol.IMM] >= int(ws.Arch.load(ARCH).sram_bytes)
    assert f"{words.sum()} go to configuration words" in page
