"""Every seeded engine bug is noticed by thirty seconds of comparison with the oracle."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from tests.properties.mutants import MUTANTS

CSRC = Path(__file__).resolve().parents[2] / "csrc"


def test_there_are_forty_and_each_changes_one_line():
    assert len(MUTANTS) >= 40
    assert len({m.name for m in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        before, after = mutant.old.split("\n"), mutant.new.split("\n")
        assert len(before) == len(after)
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1, mutant.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_the_fragment_is_still_there_once(mutant):
    """A mutant that no longer applies would silently test nothing: after a change of the line, mend the list."""
    assert (CSRC / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_all_are_caught(tmp_path):
    for tool in ("cmake", "ninja", "c++"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    if importlib.util.find_spec("pybind11") is None:
        pytest.skip("pybind11 is not installed")
    from tests.properties.run_mutants import run

    outcomes = run([], programs=5000, seconds=30.0, folder=tmp_path / "build")[0]
    assert [o.name for o in outcomes if not o.caught] == []
