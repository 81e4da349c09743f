"""Old against new: builds two versions, lets their benchmarks take turns, and compares round by round.

    python bench/compare.py OLD_REF [NEW_REF] [--turns 7] [--select EXPRESSION]

NEW_REF defaults to the working tree. Fails only if the best new round is slower than the worst old one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def command(*words: str | Path, cwd: Path = ROOT) -> None:
    """Run a command; stop with its output if it fails."""
    done = subprocess.run(list(map(str, words)), cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def build(ref: str | None, folder: Path) -> Path:
    """Install the version of ``ref`` (None: the working tree) in an environment; gives its Python."""
    source = ROOT
    if ref is not None:
        source = folder / "source"
        command("git", "worktree", "add", "--detach", source, ref)
    command(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    command(python, "-m", "pip", "install", "-q", f"{source}[test]", cwd=folder)
    if ref is not None:
        command("git", "worktree", "remove", "--force", source)
    return python


def measure(python: Path, folder: Path, select: str) -> dict[str, float]:
    """Benchmark name -> seconds of the quickest round of one turn, with the working tree's benchmarks."""
    report = folder / "report.json"
    options = ["-q", f"--benchmark-json={report}", "-p", "no:cacheprovider", "-k", select]
    command(python, "-m", "pytest", ROOT / "bench", *options, cwd=folder)
    return {entry["name"]: entry["stats"]["min"] for entry in json.loads(report.read_text())["benchmarks"]}


def compare(old: list[float], new: list[float]) -> tuple[float, bool]:
    """Ratio of the best rounds (below 1: new is quicker), and whether the new one is clearly slower."""
    return min(new) / min(old), min(new) > max(old)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old")
    parser.add_argument("new", nargs="?")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--select", default="stream or traffic or tasks or elements or gemm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folders = {"old": Path(name) / "old", "new": Path(name) / "new"}
        pythons = {}
        for side, ref in (("old", options.old), ("new", options.new)):
            folders[side].mkdir()
            pythons[side] = build(ref, folders[side])
        times: dict[str, dict[str, list[float]]] = {"old": {}, "new": {}}
        for turn in range(options.turns):
            for side in ("old", "new") if turn % 2 == 0 else ("new", "old"):
                for bench, seconds in measure(pythons[side], folders[side], options.select).items():
                    times[side].setdefault(bench, []).append(seconds)
    slower = False
    for bench in sorted(times["new"]):
        if bench not in times["old"]:
            continue
        ratio, worse = compare(times["old"][bench], times["new"][bench])
        slower = slower or worse
        print(f"{bench:50} {ratio:6.2f} x the old time{'  SLOWER' if worse else ''}")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
