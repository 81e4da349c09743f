"""Random programs: the engine and the oracle agree cycle for cycle and value for value."""

from __future__ import annotations

import pytest

from tests.oracle.diff import check
from wafersim import _core

CHUNK = 50
DEFAULT, LONG = 2_000, 20_000

#: of the long suite: a teardown as a run's last event; RAW and a claim at one time; a control wavelet for no task
#: beside a blocked data task; a flushed queue emptied by a slow beat
ONCE_DIFFERED = (16421, 17825, 18258, 19958)


def _check_chunk(first: int) -> None:
    failed = []
    for seed in range(first, first + CHUNK):
        try:
            result = check(seed, _core.Machine)
        except Exception as error:
            failed.append((seed, repr(error)))
            continue
        if result.differences:
            failed.append((seed, result.first()))
    if failed:
        lines = [f"seed {seed}: {what}" for seed, what in failed]
        repro = f"python -m tests.oracle --seed {failed[0][0]} --minimise"
        pytest.fail("\n".join([f"{len(failed)} of {CHUNK} programs differ", *lines, f"reproduce: {repro}"]))


@pytest.mark.parametrize("first", range(0, DEFAULT, CHUNK))
def test_programs(first: int) -> None:
    _check_chunk(first)


@pytest.mark.parametrize("seed", ONCE_DIFFERED)
def test_programs_that_once_differed(seed: int) -> None:
    assert not check(seed, _core.Machine).differences


@pytest.mark.long
@pytest.mark.parametrize("first", range(DEFAULT, LONG, CHUNK))
def test_more_programs(first: int) -> None:
    _check_chunk(first)
