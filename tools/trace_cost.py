"""How many more instructions does a run take because it could be traced and is not? Needs valgrind.

Builds the core twice, with and without WAFERSIM_TRACE, counts the instructions inside `Machine::run` with
callgrind, and fails above 1 %.  `--with FILE --without FILE` takes two built cores instead.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST = 0.01

#: runs whose routers, tasks, vector ops and waits are all busy
RUNS = (
    "reduce --grid 8x4 --set words=64 --set algorithm=chain",
    "gemm --grid 6x6 --set tile=4",
    "stencil --arch wse2-sdk --grid 5x4 --set tile=1x1",
)


def build(where: Path, trace: bool) -> Path:
    """A core, with or without tracing."""
    pybind11 = subprocess.run(
        [sys.executable, "-m", "pybind11", "--cmakedir"], check=True, capture_output=True, text=True
    ).stdout.strip()
    options = [f"-DWAFERSIM_TRACE={'ON' if trace else 'OFF'}", f"-Dpybind11_DIR={pybind11}"]
    command = ["cmake", "-S", str(ROOT), "-B", str(where), "-DCMAKE_BUILD_TYPE=Release", *options]
    subprocess.run([*command, f"-DPython_EXECUTABLE={sys.executable}"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(where), "-j", "2"], check=True, stdout=subprocess.DEVNULL)
    return next(where.glob("_core*.so"))


def count(core: Path, run: str, scratch: Path) -> int:
    """Instructions inside the core's run loop."""
    package = scratch / "package"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(
        ROOT / "python", package, ignore=shutil.ignore_patterns("_core*.so", "__pycache__"), symlinks=True
    )
    shutil.copy(core, package / "wafersim" / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}")
    valgrind = ["valgrind", "--tool=callgrind", "--toggle-collect=wafersim::Machine::run*"]
    command = [sys.executable, "-m", "wafersim", "run", *run.split()]
    done = subprocess.run(
        [*valgrind, f"--callgrind-out-file={scratch / 'out'}", *command],
        env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None or int(found.group(1)) == 0:
        raise SystemExit(f"{run}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return int(found.group(1))


def main() -> int:
    """Compare both cores on every run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with", dest="with_trace", type=Path)
    parser.add_argument("--without", type=Path)
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is needed: apt-get install valgrind")
    worst = -1.0
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        cores = [
            given or build(scratch / f"build-{trace}", trace)
            for given, trace in ((options.with_trace, True), (options.without, False))
        ]
        for run in RUNS:
            on, off = (count(core, run, scratch) for core in cores)
            worst = max(worst, on / off - 1)
            print(f"{run}: {on:,} instructions, without tracing {off:,}: {on / off - 1:+.3%}")
    print(f"worst: {worst:+.3%}, allowed {MOST:+.0%}")
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
