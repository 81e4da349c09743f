"""Random programs: equal to the wavelet engine where accepted, word by word and without a limit.

Where visits are looked up the program is repeated side by side, so that there is something to look up.
"""

from __future__ import annotations

import pytest

from tests.stream.compare import difference, paused_and_whole, random_programs, repeated

CHUNK = 25
DEFAULT, LONG = 500, 5_000  # seeds; about 15 programs each, of which nearly half are accepted

#: of the long suite: a credit that crosses with news of the words it is for; a word at the ramp behind its op's last beat
ONCE_DIFFERED = (1088, 2557)


def _check(first: int) -> int:
    failed, accepted = [], 0
    for seed in range(first, first + CHUNK):
        for number, generated in enumerate(random_programs(seed)):
            most_words = (seed + number) % 2
            for name, what in (
                ("looked up", difference(repeated(generated, 3, 2), most_words)),
                ("made", difference(generated, most_words, look_up=False)),
            ):
                if what:
                    failed.append(f"seed {seed}, program {number}, {name}: {what}")
            accepted += what is not None
    assert not failed, "\n".join(failed)
    return accepted


@pytest.mark.parametrize("first", [pytest.param(0, marks=pytest.mark.smoke), *range(CHUNK, DEFAULT, CHUNK)])
def test_programs(first):
    assert _check(first) >= CHUNK  # else the generator and this fidelity have drifted apart


@pytest.mark.parametrize("seed", ONCE_DIFFERED)
def test_programs_that_once_differed(seed):
    for number, generated in enumerate(random_programs(seed)):
        assert not difference(generated, (seed + number) % 2, look_up=False)


def test_pauses_change_nothing():
    compared = 0
    for seed in range(8):
        for generated in random_programs(seed):
            whole, paused = paused_and_whole(repeated(generated, 3, 2)) or (None, None)
            assert whole == paused, f"seed {seed}"
            compared += whole is not None
    assert compared >= 8


@pytest.mark.long
@pytest.mark.parametrize("first", range(DEFAULT, LONG, CHUNK))
def test_more_programs(first):
    _check(first)
