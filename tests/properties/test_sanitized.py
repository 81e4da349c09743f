"""Random programs on a core that was built with the sanitizers; the oracle is not asked, any finding ends the process.

Runs only where ``WAFERSIM_SANITIZED`` is set, as the continuous integration does for its sanitizer build.
"""

from __future__ import annotations

import os

import pytest

from tests.oracle.diff import MAX_CYCLES, run_engine
from tests.oracle.generate import generate
from tests.properties.directed import DIRECTED
from wafersim import _core

PROGRAMS, CHUNK = 1000, 100

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.skipif(not os.environ.get("WAFERSIM_SANITIZED"), reason="for the sanitizer build only"),
]


def look_at_everything(machine) -> None:
    """All that a record and a stuck report read."""
    machine.counters()
    machine.events()
    machine.link_wavelets()
    machine.waits()
    machine.leftovers()
    machine.prints()
    machine.fault()


@pytest.mark.parametrize("first", range(0, PROGRAMS, CHUNK))
def test_random_programs(first):
    for seed in range(first, first + CHUNK):
        machine, _ = run_engine(generate(seed), _core.Machine)
        look_at_everything(machine)
        # cut in two, without running ahead
        machine = generate(seed).make(_core.Machine)
        machine.set_run_ahead(False)
        machine.run(37)
        look_at_everything(machine)
        machine.inspect(0, 0)
        machine.run(MAX_CYCLES)


@pytest.mark.parametrize("name", DIRECTED)
def test_programs_written_by_hand(name):
    machine, _ = run_engine(DIRECTED[name](), _core.Machine)
    look_at_everything(machine)
