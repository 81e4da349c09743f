"""Public CSL programs run unmodified; needs a checkout, named by ``WAFERSIM_CSL_EXAMPLES``."""

from __future__ import annotations

import os
from pathlib import Path

import conformance
import pytest

CHECKOUT = os.environ.get("WAFERSIM_CSL_EXAMPLES", "")

#: of the checkout's 100 scripts, at least so many pass or ran
FEWEST = 90


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
