"""Public CSL programs run unmodified; needs a checkout, named by ``WAFERSIM_CSL_EXAMPLES``."""

from __future__ import annotations

import os
from pathlib import Path

import conformance
import fidelities
import pytest

CHECKOUT = os.environ.get("WAFERSIM_CSL_EXAMPLES", "")

#: of the checkout's 100 scripts, at least so many pass or ran
FEWEST = 90

#: and so many do the same at fidelity stream, to the cycle and the word; the others are refused
FEWEST_EQUAL = 70


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not CHECKOUT, reason="WAFERSIM_CSL_EXAMPLES names no checkout of the public examples")
def test_public_programs_run(capsys):
    outcomes = list(conformance.run_all(Path(CHECKOUT)))
    with capsys.disabled():
        print("\n" + conformance.table(outcomes))
    good = [o for o in outcomes if o.status in ("pass", "ran")]
    assert len(good) >= min(FEWEST, len(outcomes))
    assert sum(o.seconds for o in outcomes) < 2 * 1800


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not CHECKOUT, reason="WAFERSIM_CSL_EXAMPLES names no checkout of the public examples")
def test_public_programs_are_alike_at_both_fidelities(capsys):
    rows = list(fidelities.compare_all(Path(CHECKOUT), "", 2, 600, None))
    with capsys.disabled():
        print("\n" + "\n".join(fidelities.line(row) for row in rows))
    assert not [fidelities.line(row) for row in rows if row.status == "differs"]
    assert sum(row.status == "equal" for row in rows) >= min(FEWEST_EQUAL, len(rows))


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a passing, a failing and a hanging script, and one whose verdict is printed."""
    bodies = {
        (
            "tutorials",
            "good",
        ): 'test -d ../bad\ncommand -v cslc cs_python\ncat "$(command -v cslc)" | grep -q wafersim\n',
        ("tutorials", "bad"): "echo 'wafersim: ConfigError: broken on purpose'\necho more\nexit 3\n",
        ("tutorials", "hangs"): "sleep 60\n",
        ("benchmarks", "spmv-hypersparse"): "echo '[[ Result within tolerance 1e-08: FAIL ]]'\n",
        ("benchmarks", "bandwidth-test"): "true\n",
    }
    for (part, name), body in bodies.items():
        folder = tmp_path / part / name
        folder.mkdir(parents=True)
        (folder / "commands_wse2.sh").write_text("set -e\n" + body)
    return tmp_path


def test_scripts_are_judged(checkout):
    found = {o.folder: o for o in conformance.run_all(checkout, timeout=3)}
    assert {name: o.status for name, o in found.items()} == {
        "good": "pass", "bad": "fail", "hangs": "timeout", "spmv-hypersparse": "fail", "bandwidth-test": "ran",
    }  # fmt: skip
    assert found["bad"].reason == "wafersim: ConfigError: broken on purpose"
    assert "5 scripts: 1 pass, 1 ran, 2 fail, 1 timeout" in conformance.table(list(found.values()))


def test_scripts_run_in_copies(checkout):
    script = checkout / "tutorials" / "good" / "commands_wse2.sh"
    script.write_text("touch left_behind\n")
    list(conformance.run_all(checkout, word="good"))
    assert not (script.parent / "left_behind").exists()


def test_fidelities_are_judged():
    right = {
        "cycles": 9,
        "commands": [{"kind": "memcpy_d2h", "name": "x", "words": 4, "crc32": 7, "begin": 3, "end": 3}],
    }
    other = {"cycles": 9, "commands": [right["commands"][0] | {"crc32": 8}]}
    later = {"cycles": 10, "commands": [right["commands"][0] | {"end": 4}]}
    assert fidelities.difference(right, right) == ""
    assert "crc32 8, wavelet 7" in fidelities.difference(right, other)
    assert "end 4, wavelet 3" in fidelities.difference(right, later)
    assert "came to its end" in fidelities.difference(right, {})
    good = conformance.Outcome("f", "s", "pass", 1, "", "")
    refused = conformance.Outcome("f", "s", "fail", 1, f"UnsupportedError: {fidelities.REFUSAL}FIFOs", "ours")
    assert fidelities.judge(good, refused, right, {}) == ("refused", "FIFOs")
    assert fidelities.judge(good, good, right, other)[0] == "differs"
    assert fidelities.judge(good, good, right, right) == ("equal", "")
