"""Changed sources compile or are refused, within bounds of time and memory."""

from __future__ import annotations

import sys

import pytest
from fuzzing import LIMIT_S, Fuzzer, mutate, peak_bytes, samples

from wafersim.csl.compile import compile_csl

MOST_BYTES = 1 << 30


def run(folder, seed, count):
    """Fuzz in a folder; every failure is a reason to fail."""
    fuzzer = Fuzzer(folder, seed)
    before = peak_bytes()
    for _ in range(count):
        fuzzer.step()
        assert not fuzzer.failures, "\n".join(fuzzer.failures[0]) + f"\n{fuzzer.where}"
    assert fuzzer.slowest < LIMIT_S
    assert peak_bytes() - before < MOST_BYTES
    return fuzzer


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_samples_compile(arch, tmp_path):
    for layout, program in samples():
        (tmp_path / "layout.csl").write_text(layout)
        (tmp_path / "pe.csl").write_text(program)
        assert compile_csl(tmp_path / "layout.csl", arch=arch).program.height >= 1


def test_mutations_change_the_text_and_can_be_repeated():
    import random

    text = samples()[0][1]
    changed = [mutate(text, random.Random(seed)) for seed in range(200)]
    assert changed == [mutate(text, random.Random(seed)) for seed in range(200)]
    assert len(set(changed)) > 150  # some swap a token with itself


def test_a_thousand_programs(tmp_path):
    fuzzer = run(tmp_path, 7, 1000)
    assert fuzzer.outcomes["compiled"] > 100
    assert fuzzer.outcomes["refused"] > 100


@pytest.mark.long
@pytest.mark.timeout(0)
def test_a_hundred_thousand_programs(tmp_path):
    fuzzer = run(tmp_path, 11, 100_000)
    print(dict(fuzzer.outcomes), f"slowest {fuzzer.slowest:.1f} s", file=sys.stderr)
