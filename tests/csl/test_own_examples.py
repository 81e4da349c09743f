"""The CSL examples of ``examples/csl`` compile with the command in their first lines, run and check themselves."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "csl"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())

#: Imports once, then compiles and runs every folder in a child of its own: "name exit-code" per line.
DRIVER = """
import os, runpy, sys
from wafersim.cli.cslc import cslc
from wafersim.sdk.script import run_script
import wafersim.csl.compile, wafersim.sdk.runtime, wafersim.program, numpy
for line in sys.stdin.read().splitlines():
    folder, *words = line.split("\\t")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(folder)
            with open("log", "w") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            code = cslc.main(words, standalone_mode=False) or run_script(("run.py",))
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(os.path.basename(folder), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_examples(arch, tmp_path):
    lines = []
    for name in NAMES:
        shutil.copytree(EXAMPLES / name, tmp_path / name)
        command = re.search(r"^cslc (.*)$", (tmp_path / name / "run.py").read_text(), re.MULTILINE)
        assert command is not None, name
        words = shlex.split(command.group(1).replace("--arch=wse3", f"--arch={arch}"))
        lines.append("\t".join([str(tmp_path / name), *words]))
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input="\n".join(lines), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    for name in NAMES:
        log = (tmp_path / name / "log").read_text()
        assert f"{name} 0\n" in done.stdout and "SUCCESS!" in log, (name, log, done.stdout, done.stderr)


def test_every_example_is_listed():
    text = (EXAMPLES / "README.md").read_text()
    assert NAMES and all(f"    {name}/" in text for name in NAMES)
