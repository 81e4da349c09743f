"""Scripts run as Python would run them, with the host modules in this process and in no other."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from sdk_programs import doubling, environment, run_script, wafersim

from wafersim.errors import ConfigError
from wafersim.sdk import hook, settings
from wafersim.sdk.shims import write_shims

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from cerebras.sdk.runtime.sdkruntimepybind import SdkRuntime, MemcpyDataType, MemcpyOrder
from cerebras.sdk.sdk_utils import memcpy_view
import helper
assert __name__ == "__main__" and helper.VALUE == 3
runner = SdkRuntime(sys.argv[1], cmaddr=None)
runner.load()
runner.run()
runner.launch("twice", np.int16(3), nonblock=False)
data = np.zeros(24, np.uint32)
runner.memcpy_d2h(data, runner.get_id("x"), 0, 0, 3, 2, 4, streaming=False,
                  data_type=MemcpyDataType.MEMCPY_32BIT, order=MemcpyOrder.ROW_MAJOR, nonblock=False)
runner.stop()
np.testing.assert_equal(data, np.tile([0, 2, 4, 6], 6))
print("SUCCESS!")
"""


def test_a_script_runs_with_its_neighbors_and_arguments(tmp_path):
    doubling(tmp_path / "out")
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "helper.py").write_text("VALUE = 3\n")
    (tmp_path / "host" / "run.py").write_text(SCRIPT)
    done = wafersim("python", "--record", "records", "host/run.py", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "SUCCESS!\n"
    assert (tmp_path / "records" / "002-launch-twice" / "manifest.json").exists()
    assert "launch twice" in (tmp_path / "sim.log").read_text()


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ("raise SystemExit(7)", 7, ""),
        ("import sys; sys.exit('out of luck')", 1, "out of luck"),
        ("x = 1\nassert x == 2, 'wrong values'", 1, "AssertionError: wrong values"),
        (
            "from cerebras.sdk.runtime.sdkruntimepybind import SdkRuntime\nSdkRuntime('nowhere')",
            1,
            "run cslc first",
        ),
        ("import cerebras.pytorch", 1, "wafersim does not offer it"),
    ],
)
def test_exit_codes_pass_through(tmp_path, source, code, words):
    done = run_script(tmp_path / "run.py", source, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr
    assert "runpy" not in done.stderr


def test_errors_name_the_line_of_the_script(tmp_path):
    done = run_script(
        tmp_path / "run.py",
        "from cerebras.sdk.runtime.sdkruntimepybind import SdkRuntime\n\nrunner = SdkRuntime('nowhere')\n",
        cwd=tmp_path,
    )
    assert "run.py:3: runner = SdkRuntime('nowhere')" in done.stderr


def test_missing_script_is_bad_input(tmp_path):
    done = wafersim("python", "nowhere.py", cwd=tmp_path)
    assert done.returncode == 2 and "nowhere.py: no such script" in done.stderr


def test_other_processes_see_no_modules(tmp_path):
    done = run_script(
        tmp_path / "run.py",
        "import subprocess, sys\nimport cerebras.sdk.sdk_utils\n"
        "sys.exit(subprocess.run([sys.executable, '-c', 'import cerebras'], capture_output=True).returncode)",
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "cerebras" not in sys.modules and not any(isinstance(f, hook.Importer) for f in sys.meta_path)


def test_every_offered_name_exists():
    import importlib

    for parts in hook.MODULES.values():
        for module, names in parts:
            for name in names:
                assert hasattr(importlib.import_module(module), name), (module, name)
    assert set(hook.RENAMED.values()) <= set(hook.MODULES)


def test_shims_call_this_installation(tmp_path):
    paths = write_shims(tmp_path / "bin")
    assert [path.name for path in paths] == ["cslc", "cs_python"]
    (tmp_path / "run.py").write_text("import sys, cerebras.sdk.sdk_utils\nsys.exit(len(sys.argv))\n")
    command = [str(paths[1]), "run.py", "--name", "a b"]
    assert subprocess.run(command, cwd=tmp_path, env=environment()).returncode == 3
    text = subprocess.run([paths[0], "--help"], env=environment(), capture_output=True, text=True).stdout
    assert "--fabric-offsets" in text
    write_shims(tmp_path / "bin")
    paths[0].write_text("#!/bin/sh\nanother compiler\n")
    with pytest.raises(ConfigError, match="not a wafersim command"):
        write_shims(tmp_path / "bin")


def test_a_script_runs_at_fidelity_stream(tmp_path):
    doubling(tmp_path / "out")
    (tmp_path / "helper.py").write_text("VALUE = 3\n")
    (tmp_path / "run.py").write_text(SCRIPT)
    tables = []
    for fidelity in ("wavelet", "stream"):
        records = tmp_path / fidelity
        done = wafersim("python", "--fidelity", fidelity, "--record", records, "run.py", "out", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "SUCCESS!\n"
        tables.append(json.loads((records / "session.json").read_text()))
    assert [table.pop("fidelity") for table in tables] == ["wavelet", "stream"]
    assert tables[0] == tables[1]
    assert tables[0]["commands"][-1]["crc32"] > 0


def test_an_unknown_fidelity_is_refused(monkeypatch):
    monkeypatch.setenv("WAFERSIM_FIDELITY", "quick")
    with pytest.raises(ConfigError, match=r"WAFERSIM_FIDELITY='quick'.*stream, wavelet"):
        settings.current()
