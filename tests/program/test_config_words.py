"""Configuration words as generation 2 has them: what a load gives back, and what a store does; engine and oracle alike."""

from __future__ import annotations

import numpy as np
import pytest

import wafersim as ws
from oracle.run import FINISHED
from oracle.run import Machine as Oracle
from wafersim import _core

ARCH = "wse2-sdk"
MACHINES = {"oracle": (Oracle, (10_000,)), "engine": (_core.Machine, (10_000, -1, 0, -1, None))}
W, E, S, N, R = range(5)  # directions, and bits of the masks


def color_word(rx, *tx):
    return 1 << 5 + rx | sum(1 << d for d in tx)


def run(machine, lay):
    """The words of the array ``out`` at every PE that has one, by place."""
    program, arch = lay.build(check=False), ws.Arch.load(ARCH)
    kind, limits = MACHINES[machine]
    m = kind(program.tables, arch.ints(), arch.vop_costs(), 0)
    m.launch(program.meta["functions"]["main"]["number"], [])
    assert m.run(*limits) == FINISHED
    out = {}
    for key, symbol in program.meta["symbols"]["out"].items():
        for y, x in np.argwhere(program.tables["tile_map"] == int(key.removeprefix("tile:"))):
            raw = m.read(int(x), int(y), 1, 1, symbol["address"], 8)
            out[int(x), int(y)] = np.ascontiguousarray(raw).view(np.uint16).ravel().tolist()
    return out


def one_pe(body, **route):
    """A PE that runs ``body(pe, color, keep)``; ``keep(i, reg)`` stores a word."""
    lay = ws.Layout(1, 1, arch=ARCH)
    color = lay.color("c", 3)
    pe = lay.tile("worker")
    out = pe.array("out", "u16", 4)
    with pe.function("main"):
        body(pe, color, lambda i, value: pe.store(out, i, value))
        pe.done()
    lay.place(pe)
    if route:
        lay.route(color, 0, 0, **route)
    return lay


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("route", "word"),
    [
        ({"rx": "WEST", "tx": "EAST"}, 0x555),
        ({"rx": "WEST", "tx": "EAST", "switches": [{"rx": "RAMP"}], "ring": True}, 0x1000 | 0x550 | 8 | R),
        (
            {"rx": "WEST", "tx": "EAST", "switches": [{"tx": "SOUTH"}, {"rx": "NORTH"}], "initial": 2},
            0x45B2 | 0x100,
        ),
        ({"rx": "RAMP", "tx": "EAST", "switches": [{"rx": "RAMP"}]}, 0x550 | 8 | R),
        ({"rx": "RAMP", "tx": ("EAST", "NORTH"), "switches": [{"rx": "RAMP"}]}, 0x550 | 8 | R),
    ],
)
def test_the_switch_word_says_what_the_route_class_says(machine, route, word):
    lay = one_pe(lambda pe, c, keep: keep(0, pe.load_at("u16", pe.switch_config_address(c))), **route)
    assert run(machine, lay)[0, 0][0] == word


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("stored", "loaded", "position"),
    [
        (0x555, 0x555, 0),
        (0x55D, 0x55D, 0),  # the select bit of an invalid position stays
        (0x525, 0x525, 0),  # behind an invalid position none counts
        (0x6000 | 0x52C, 0x4000 | 0x52C, 2),  # behind the last position: the last
        (0x3000 | 0x576, 0x1000 | 0x576, 0),
        (0x8000 | 0x55C, 0x55C, 0),
    ],
)
def test_the_switch_word_is_held_as_stored(machine, stored, loaded, position):
    def body(pe, c, keep):
        pe.store_at("u16", pe.switch_config_address(c), pe.let("u16", stored))
        keep(0, pe.load_at("u16", pe.switch_config_address(c)))
        keep(1, pe.switch_get(c))

    assert run(machine, one_pe(body, rx="WEST", tx="EAST"))[0, 0][:2] == [loaded, position]


@pytest.mark.parametrize("machine", MACHINES)
def test_the_switch_word_survives_a_store_of_the_color_word(machine):
    def body(pe, c, keep):
        pe.store_at("u16", pe.color_config_address(c), pe.let("u16", color_word(R, S)))
        keep(0, pe.load_at("u16", pe.switch_config_address(c)))
        keep(1, pe.load_at("u16", pe.color_config_address(c)))

    lay = one_pe(body, rx="WEST", tx="EAST", switches=[{"rx": "RAMP"}, {"tx": "NORTH"}])
    assert run(machine, lay)[0, 0][:2] == [0x500 | N << 4 | 8 | R, color_word(R, S)]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_color_without_a_route_has_words_too(machine):
    def body(pe, c, keep):
        keep(0, pe.load_at("u16", pe.color_config_address(c)))
        keep(1, pe.load_at("u16", pe.switch_config_address(c)))
        pe.store_at("u16", pe.color_config_address(c), pe.let("u16", color_word(W, R)))
        keep(2, pe.load_at("u16", pe.color_config_address(c)))
        keep(3, pe.load_at("u16", pe.switch_config_address(c)))

    assert run(machine, one_pe(body))[0, 0] == [0, 0, color_word(W, R), 0x555]


@pytest.mark.parametrize("machine", MACHINES)
def test_position_1_keeps_only_its_input_when_the_outputs_of_position_0_change(machine):
    """Position 1 takes from the RAMP; after a new color word it sends where position 0 does: south, not east."""
    lay = ws.Layout(2, 2, arch=ARCH)
    color = lay.color("c", 3)
    sender, receiver = lay.tile("sender"), lay.tile("receiver")
    with sender.function("main"):
        sender.store_at("u16", sender.color_config_address(color), sender.let("u16", color_word(W, S)))
        sender.switch_set(color, 1)
        sender.mov32(sender.fabout_dsd(sender.output_queue(2, color), 1), 77)
        sender.done()
    out = receiver.array("out", "u16", 4)
    with receiver.data_task("word", receiver.input_queue(2, color)) as value:
        receiver.store(out, 0, value.to("u16"))
    lay.place(sender)
    lay.place(receiver, 1, 0)
    lay.place(receiver, 0, 1)
    lay.route(color, 0, 0, rx="WEST", tx="EAST", switches=[{"rx": "RAMP"}])
    lay.route(color, 1, 0, rx="WEST", tx="RAMP")
    lay.route(color, 0, 1, rx="NORTH", tx="RAMP")
    out = run(machine, lay)
    assert out[0, 1][0] == 77 and out[1, 0][0] == 0
