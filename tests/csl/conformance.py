"""Runs every ``commands_*.sh`` of a checkout of the public CSL examples, unmodified, and prints a table.

    python tests/csl/conformance.py CHECKOUT [-k WORD] [-j 2] [--timeout 600] [--json FILE]

Each script runs in a copy of its folder, with the commands ``cslc`` and ``cs_python`` of `wafersim sdk-shims` first in
``PATH``. A pass is exit code 0, and the verdict where a script only prints one; scripts that measure the host link
count as "ran".
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

#: folder -> text that a passing script prints, where its exit code says nothing about its values
VERDICTS = {"spmv-hypersparse": "Result within tolerance 1e-08: PASS"}

#: folders whose scripts measure the link between host and wafer and check no values
ONLY_RUN = {"bandwidth-test"}

#: what an output holds when the fault is the script's -> why it cannot pass as it is
SCRIPT_FAULTS = {"fg: no job control": "the script holds a placeholder that was never expanded (%...)"}


@dataclass
class Outcome:
    """How one script went."""

    folder: str
    script: str
    status: str  # pass, ran, fail, timeout
    seconds: float
    reason: str
    whose: str  # "", "ours", "the script's"


def scripts_of(checkout: Path, word: str = "") -> list[Path]:
    """The scripts whose path holds the word (or matches it as an expression), in order."""
    found = sorted(checkout.rglob("commands_*.sh"))
    return [path for path in found if re.search(word, str(path.relative_to(checkout)))]


def prepare(checkout: Path, script: Path, room: Path) -> Path:
    """A copy of the script's folder in ``room``, beside links to what lies beside it; the copy."""
    folder = script.parent
    for beside in folder.parent.iterdir():
        if beside != folder:
            (room / beside.name).symlink_to(beside)
    shutil.copytree(folder, room / folder.name)
    return room / folder.name


def run_one(
    checkout: Path,
    script: Path,
    shims: Path,
    timeout: float,
    keep: Path | None = None,
    variables: dict[str, str] | None = None,
) -> Outcome:
    """Run one script, with more environment variables."""
    name = script.parent.name
    with tempfile.TemporaryDirectory(prefix="csl-") as room:
        copy = prepare(checkout, script, Path(room))
        environment = os.environ | {
            "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0",
        } | (variables or {})  # fmt: skip
        output = Path(room) / "output.txt"
        begin = time.monotonic()
        with output.open("w") as out:
            process = subprocess.Popen(
                ["bash", str(copy / script.name)], cwd=copy, env=environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            code = _wait(process, timeout)
        seconds = time.monotonic() - begin
        text = output.read_text(errors="replace")
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{name}-{script.stem}.txt").write_text(text)
    return judge(name, script.name, code, text, seconds)


def _wait(process: subprocess.Popen, timeout: float) -> int | None:
    """Exit code; None after a timeout, when the whole group of processes is ended."""
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def judge(folder: str, script: str, code: int | None, text: str, seconds: float) -> Outcome:
    """What an exit code and an output mean."""
    fault = next((why for sign, why in SCRIPT_FAULTS.items() if sign in text), "")
    if code == 0 and VERDICTS.get(folder, "") in text:
        return Outcome(folder, script, "ran" if folder in ONLY_RUN else "pass", seconds, "", "")
    whose = "the script's" if fault else "ours"
    if code is None:
        return Outcome(folder, script, "timeout", seconds, fault or f"no end after {seconds:.0f} s", whose)
    reason = fault or (last_words(text) if code else f"exit 0 without {VERDICTS.get(folder)!r}")
    return Outcome(folder, script, "fail", seconds, reason, whose)


def last_words(text: str) -> str:
    """The line that says best why a script failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for pattern in (r"^wafersim: |: error: ", r"^\w*(Error|Exception)\b", r"rror"):
        found = [line for line in lines if re.search(pattern, line)]
        if found:
            return found[-1]
    return lines[-1] if lines else "no output"


def run_all(
    checkout: Path, word: str = "", jobs: int = 2, timeout: float = 600, keep: Path | None = None
) -> Iterable[Outcome]:
    """Run the scripts, so many at a time; outcomes in the order of the scripts."""
    with shims() as folder, ThreadPoolExecutor(jobs) as pool:
        scripts = scripts_of(checkout, word)
        yield from pool.map(lambda s: run_one(checkout, s, folder, timeout, keep), scripts)


@contextmanager
def shims() -> Iterator[Path]:
    """A folder with the commands that the scripts call."""
    from wafersim.sdk.shims import write_shims

    package = str(Path(sys.modules["wafersim"].__file__).resolve().parent.parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory(prefix="csl-shims-") as folder:
        write_shims(Path(folder))
        yield Path(folder)


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as text, with a summary."""
    rows = [
        f"{o.folder:36} {o.script:18} {o.status:8} {o.seconds:7.1f} s  {o.whose:13} {o.reason[:160]}".rstrip()
        for o in outcomes
    ]
    counts = {
        status: sum(o.status == status for o in outcomes) for status in ("pass", "ran", "fail", "timeout")
    }
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    seconds = sum(o.seconds for o in outcomes)
    return "\n".join([*rows, f"{len(outcomes)} scripts: {summary}; {seconds:.0f} s of running time"])


def arguments(description: str) -> argparse.Namespace:
    """What a run over a checkout's scripts is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("-k", dest="word", default="", help="only scripts whose path matches this expression")
    parser.add_argument("-j", dest="jobs", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=600, help="seconds per script")
    parser.add_argument("--json", type=Path, help="write the outcomes to this file")
    parser.add_argument("--keep", type=Path, help="write every script's output to this folder")
    return parser.parse_args()


def main() -> int:
    args = arguments(__doc__.splitlines()[0])
    outcomes = []
    for outcome in run_all(args.checkout.resolve(), args.word, args.jobs, args.timeout, args.keep):
        outcomes.append(outcome)
        print(table([outcome]).splitlines()[0], flush=True)
    print(table(outcomes).splitlines()[-1])
    if args.json:
        args.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")
    return 0 if all(o.status in ("pass", "ran") for o in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
