"""Runs every script of a checkout of the public CSL examples at both fidelities, and prints what differs.

    python tests/csl/fidelities.py CHECKOUT [-k WORD] [-j 2] [--timeout 600] [--json FILE]

A script is "equal" if it goes as it does at fidelity wavelet, every command of its host begins and ends in the same
cycle, and every word that the host got is the same (checksums in the table of the session). Of several sessions of a
script the last is compared. NumPy's global random numbers are seeded, so that both runs have the same inputs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import conformance

#: runs before every script: some draw their inputs without a seed
SEEDED = "import numpy\n\nnumpy.random.seed(0)\n"

#: what a run at fidelity stream says when it cannot represent a program
REFUSAL = "fidelity stream cannot represent this program: "


@dataclass
class Compared:
    """One script at both fidelities."""

    folder: str
    script: str
    status: str  # equal, refused, differs, or what it is at fidelity wavelet if that is no pass
    cycles: int | None  # at fidelity wavelet, of the last session
    stream_cycles: int | None
    seconds: float
    stream_seconds: float
    reason: str


def session(folder: Path) -> dict[str, Any]:
    """The table of commands that a run left, {} if it did not come so far."""
    path = folder / "session.json"
    return json.loads(path.read_text()) if path.exists() else {}


def difference(right: dict[str, Any], found: dict[str, Any]) -> str:
    """The first command that went otherwise; "" if none did."""
    if not right or not found:
        return "" if right == found else "only one of the two sessions came to its end"
    for number, (a, b) in enumerate(zip(right["commands"], found["commands"], strict=False)):
        for key in ("kind", "name", "words", "crc32", "begin", "end"):
            if a.get(key) != b.get(key):
                return f"command {number} ({a['kind']} {a['name']}): {key} {b.get(key)}, wavelet {a.get(key)}"
    if len(right["commands"]) != len(found["commands"]):
        return f"{len(found['commands'])} commands, wavelet {len(right['commands'])}"
    return (
        "" if right["cycles"] == found["cycles"] else f"cycles {found['cycles']}, wavelet {right['cycles']}"
    )


def compare(checkout: Path, script: Path, shims: Path, timeout: float, keep: Path | None) -> Compared:
    """Run one script at both fidelities."""
    outcomes, sessions = [], []
    (shims / "seeded").mkdir(exist_ok=True)
    (shims / "seeded" / "sitecustomize.py").write_text(SEEDED)
    for fidelity in ("wavelet", "stream"):
        with tempfile.TemporaryDirectory(prefix="csl-records-") as records:
            variables = {
                "WAFERSIM_FIDELITY": fidelity,
                "WAFERSIM_RECORD": records,
                "PYTHONPATH": os.pathsep.join([str(shims / "seeded"), os.environ["PYTHONPATH"]]),
            }
            folder = None if keep is None else keep / fidelity
            outcomes.append(conformance.run_one(checkout, script, shims, timeout, folder, variables))
            sessions.append(session(Path(records)))
        if outcomes[0].status not in ("pass", "ran"):
            break
    right, found = outcomes[0], outcomes[-1]
    status, reason = judge(right, found, *sessions) if len(sessions) == 2 else (right.status, right.reason)
    return Compared(
        right.folder, right.script, status, sessions[0].get("cycles"), sessions[-1].get("cycles"),
        round(right.seconds, 1), round(found.seconds, 1), reason,
    )  # fmt: skip


def judge(right: Any, found: Any, session: dict[str, Any], other: dict[str, Any]) -> tuple[str, str]:
    """Status and reason of a script that ran at both fidelities."""
    if REFUSAL in found.reason:
        return "refused", found.reason.split(REFUSAL, 1)[1].removesuffix("; run at fidelity wavelet")
    if found.status != right.status:
        return "differs", f"{found.status}: {found.reason}"
    what = difference(session, other)
    return ("differs", what) if what else ("equal", "")


def compare_all(
    checkout: Path, word: str, jobs: int, timeout: float, keep: Path | None
) -> Iterator[Compared]:
    """All scripts, so many at a time, in their order."""
    with conformance.shims() as shims, ThreadPoolExecutor(jobs) as pool:
        scripts = conformance.scripts_of(checkout, word)
        yield from pool.map(lambda s: compare(checkout, s, shims, timeout, keep), scripts)


def line(c: Compared) -> str:
    """One row of the table."""
    cycles = f"{c.cycles}" + ("" if c.stream_cycles in (None, c.cycles) else f" / {c.stream_cycles}")
    return (
        f"{c.folder:36} {c.script:18} {c.status:8} {cycles:>16} {c.seconds:7.1f} s {c.stream_seconds:7.1f} s  "
        f"{c.reason[:200]}"
    ).rstrip()


def main() -> int:
    args = conformance.arguments(__doc__.splitlines()[0])
    rows = []
    for row in compare_all(args.checkout.resolve(), args.word, args.jobs, args.timeout, args.keep):
        rows.append(row)
        print(line(row), flush=True)
    print(", ".join(f"{count} {status}" for status, count in Counter(r.status for r in rows).most_common()))
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 1 if any(row.status == "differs" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
