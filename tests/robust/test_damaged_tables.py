"""Tables that went through no check of the builder or the reader: the core refuses them or runs them, it never crashes.

Under the sanitizers any access out of bounds ends the process; without them only the worst does.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from tests.oracle.generate import generate

from wafersim import _core
from wafersim.errors import ProgramError

PROGRAMS, CHUNK = 600, 100
INTERESTING = (-1, 0, 1, 2, 3, 5, 31, 32, 63, 64, 255, 0x7FFF, 0xFFFF, 0x10000, 2**31 - 1, -(2**31))


def damage(tables, rng):
    """A copy with one to five numbers changed."""
    copy = {name: np.array(table) for name, table in tables.items()}
    names = [name for name, table in copy.items() if table.size and name != "grid"]
    for _ in range(rng.choice((1, 1, 2, 5))):
        flat = copy[rng.choice(names)].reshape(-1)
        k = rng.randrange(flat.size)
        if flat.dtype == np.uint8:
            flat[k] = rng.randrange(256)
        else:
            near = int(flat[k]) + rng.choice((-1, 1))
            value = rng.choice((*INTERESTING, near, near, rng.randrange(-70_000, 70_000)))
            limits = np.iinfo(flat.dtype)
            flat[k] = min(max(value, limits.min), limits.max)
    return copy


@pytest.mark.smoke
@pytest.mark.parametrize("first", range(0, PROGRAMS, CHUNK))
def test_damaged_programs(first):
    refused = ran = 0
    for seed in range(first, first + CHUNK):
        rng = Random(seed)
        program = generate(rng.randrange(3000))
        try:
            machine = _core.Machine(damage(program.tables, rng), program.arch_ints, program.vop_costs, 1)
            for function, arguments in program.launches:
                machine.launch(function, arguments)
        except ProgramError as error:
            assert str(error) and "\n" not in str(error)
            refused += 1
            continue
        machine.run(3000)
        machine.waits()
        machine.leftovers()
        assert (machine.counters() >= 0).all()
        machine.inspect(0, 0)
        ran += 1
    assert refused and ran
