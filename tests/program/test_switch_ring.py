"""Sentinel control wavelets and a ring of switch positions, on both generations; equal on the oracle."""

from __future__ import annotations

import re

import numpy as np
import pytest
from example_module import load_example

import wafersim as ws
from oracle.diff import compare
from oracle.run import FINISHED
from oracle.run import Machine as Oracle
from source_tree import needs_source_tree
from wafersim import _core
from wafersim.program.schema import Event, Port

pytestmark = needs_source_tree
ARCHES = ("wse2-sdk", "wse3-sdk")


@pytest.fixture(scope="module")
def example():
    return load_example("switch_ring")


def messages(example, rounds, seed=0):
    rng = np.random.default_rng(seed)
    words = rng.standard_normal((rounds, 4, example.LONGEST)).astype(np.float32)
    return words, rng.integers(1, example.LONGEST + 1, (rounds, 4)).astype(np.uint16)


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_every_neighbor_gets_its_own_messages(example, arch, rounds):
    good, record = example.run_once(*messages(example, rounds), arch)
    assert good
    assert record.status == "finished" and record.info["warnings"] == []


@pytest.mark.parametrize("arch", ARCHES)
def test_empty_and_longest_messages(example, arch):
    words, lengths = messages(example, 3)
    lengths[0], lengths[1] = 0, example.LONGEST
    assert example.run_once(words, lengths, arch)[0]


def test_each_link_carries_its_words_and_one_sentinel_per_round(example):
    words, lengths = messages(example, 3)
    _, record = example.run_once(words, lengths)
    sent = lengths.sum(axis=0) + len(lengths)
    ports = (Port.WEST, Port.EAST, Port.SOUTH, Port.NORTH)
    assert record.links[0, 1, 1, list(ports)].tolist() == sent.tolist()
    starts = record.event_counts[..., Event.TASK_STARTS]
    # the launch, a data task per word, a control task per message
    assert starts[1, 0] == 1 + lengths[:, 0].sum() + len(lengths)
    # the launch and the end of each message
    assert starts[0, 1] == 1 + len(lengths)


@pytest.mark.parametrize("arch", ARCHES)
def test_the_oracle_agrees_cycle_for_cycle(example, arch):
    words, lengths = messages(example, 2)
    program, constants = example.build(2, arch), ws.Arch.load(arch)
    machines = []
    for kind, limits in ((Oracle, (20_000,)), (_core.Machine, (20_000, -1, 0, -1, None))):
        machine = kind(program.tables, constants.ints(), constants.vop_costs(), 0)
        tile = f"tile:{program.tables['tile_map'][1, 1]}"
        for name, values in (("words", words), ("lengths", lengths)):
            address = program.meta["symbols"][name][tile]["address"]
            machine.write(1, 1, 1, 1, address, np.frombuffer(values.tobytes(), np.uint8).reshape(1, 1, -1))
        machine.launch(program.meta["functions"]["main"]["number"], [])
        machines.append((machine, machine.run(*limits)))
    (oracle, status), (engine, engine_status) = machines
    assert status == FINISHED
    assert compare(oracle, status, engine, engine_status) == []


def test_the_script_prints_verified_and_cycles(example, capsys):
    example.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(re.fullmatch(r"wse\d-sdk: verified, \d+ cycles", line) for line in lines)
