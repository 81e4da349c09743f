"""Compiles every mutant of `mutants` and runs the random programs against it until one of them tells.

    python tests/properties/run_mutants.py [NAME ...] [--programs 500] [--seconds 30] [--build DIR] [--json FILE]

Objects of the unchanged core are made once; a mutant compiles the sources that see the changed file, and links.  The oracle runs once per
program; every mutant is tried in a process of its own, so that crashes and endless loops count as noticed too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pickle
import shlex
import signal
import subprocess
import sys
import sysconfig
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "python")]

from tests.oracle import diff  # noqa: E402
from tests.oracle.generate import generate  # noqa: E402
from tests.properties.mutants import MUTANTS, Mutant  # noqa: E402

#: a mutant that runs longer than this (all programs) hangs
HANG_S = 120


@dataclass
class Outcome:
    """What became of a mutant: the seed of the program that noticed it, and what it noticed."""

    name: str
    caught: bool
    seed: int | str | None
    how: str
    compile_s: float
    run_s: float


class Build:
    """The core, compiled once; mutants are compiled beside it."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.folder = folder
        cmakedir = subprocess.run(
            [python, "-m", "pybind11", "--cmakedir"], capture_output=True, text=True, check=True
        )
        configure = [
            "cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
            "-DCMAKE_CXX_FLAGS_RELEASE=-O1", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", f"-Dpybind11_DIR={cmakedir.stdout.strip()}",
            f"-DPython_EXECUTABLE={python}",
        ]  # fmt: skip
        subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ninja", "-C", str(folder)], check=True, stdout=subprocess.DEVNULL)
        self.core = next(folder.glob(f"_core*{sysconfig.get_config_var('EXT_SUFFIX')}"))
        self.commands = {
            Path(entry["file"]): entry for entry in json.loads((folder / "compile_commands.json").read_text())
        }

    def users_of(self, file: Path) -> list[Path]:
        """The sources that are compiled from a file: itself, or all that include it."""
        if file.suffix == ".cpp":
            return [file]
        deps = subprocess.run(
            ["ninja", "-C", str(self.folder), "-t", "deps"], capture_output=True, text=True, check=True
        )
        users, current = [], ""
        for line in deps.stdout.splitlines():
            if line and not line.startswith(" "):
                current = line.split(":")[0]
            elif line.strip() == str(file):
                users += [source for source, entry in self.commands.items() if self._object(entry) == current]
        return users

    @staticmethod
    def _object(entry: dict[str, Any]) -> str:
        words = shlex.split(entry["command"])
        return words[words.index("-o") + 1]

    def mutate(self, mutant: Mutant) -> Path:
        """The shared object of the core with the bug."""
        file = ROOT / "csrc" / mutant.file
        text = file.read_text()
        if text.count(mutant.old) != 1:
            raise SystemExit(
                f"{mutant.name}: {mutant.old!r} occurs {text.count(mutant.old)} times in {mutant.file}, 1 wanted"
            )
        work = self.folder / "mutants" / mutant.name
        (work / "csrc" / mutant.file).parent.mkdir(parents=True, exist_ok=True)
        changed = work / "csrc" / mutant.file
        changed.write_text(text.replace(mutant.old, mutant.new))
        objects = {self._object(entry): self._object(entry) for entry in self.commands.values()}
        for source in self.users_of(file):
            words = shlex.split(self.commands[source]["command"])
            at = words.index("-o") + 1
            out = work / words[at].replace("/", "_")  # two sources may have one name
            objects[words[at]] = str(out)
            words[at] = str(out)
            words[words.index(str(source))] = str(changed if source == file else source)
            words[1:1] = [f"-I{work / 'csrc'}", "-w"]  # the changed header is found first
            subprocess.run(words, cwd=self.folder, check=True)
        core = work / self.core.name
        link = ["c++", "-shared", "-o", str(core), *objects.values()]
        subprocess.run(link, cwd=self.folder, check=True)
        return core


def directed_programs() -> dict[str, Any]:
    """The programs of `directed`, made in a process of their own: that loads the installed core."""
    code = (
        "import pickle, sys; from tests.properties.directed import DIRECTED, TOO_LONG; "
        "pickle.dump({n: make() for n, make in DIRECTED.items() if n not in TOO_LONG}, sys.stdout.buffer)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:2])}
    out = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, check=True)
    return pickle.loads(out.stdout)


def load(core: Path) -> Any:
    """The Machine class of a shared object."""
    spec = importlib.util.spec_from_file_location("_core", core)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Machine


@dataclass
class Subset:
    """Programs with what the oracle says about them, and the CPU seconds that took.

    No core is loaded here: a process loads one core only.
    """

    cases: list[Any]
    seconds: float

    @classmethod
    def make(cls, count: int, seconds: float) -> Subset:
        """The programs written by hand, and as many of the first ``count`` random ones as fit in the time."""
        began = time.process_time()
        cases = [(name, program, *diff.run_oracle(program)) for name, program in directed_programs().items()]
        for seed in range(count):
            if time.process_time() - began > seconds:
                break
            generated = generate(seed)
            cases.append((seed, generated, *diff.run_oracle(generated)))
        return cls(cases, time.process_time() - began)

    def first_difference(self, core: Path) -> tuple[int | str | None, str]:
        """Seed and words of the first program that notices; ``(None, "")`` if none does."""
        machine = load(core)
        for seed, generated, oracle, status in self.cases:
            try:
                engine, engine_status = diff.run_engine(generated, machine)
            except Exception as error:
                return seed, f"{type(error).__name__}: {error}"
            found = diff.compare(oracle, status, engine, engine_status)
            if found:
                return seed, found[0]
        return None, ""


def in_child(subset: Subset, core: Path) -> tuple[int | str | None, str]:
    """`Subset.first_difference` in a forked process; a crash or a hang is a difference."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            signal.alarm(HANG_S)
            answer = subset.first_difference(core)
        except BaseException:
            answer = (None, "harness: " + traceback.format_exc())
        with os.fdopen(writing, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if not text:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        return -1, "hangs" if number == signal.SIGALRM else f"crashes (signal {number})"
    seed, how = json.loads(text)
    if how.startswith("harness"):
        raise SystemExit(how)
    return seed, how


def run(names: list[str], programs: int, seconds: float, folder: Path) -> tuple[list[Outcome], Subset]:
    """Every mutant (of these names, or all) against the subset."""
    unknown = set(names) - {m.name for m in MUTANTS}
    if unknown:
        raise SystemExit(f"no such mutant: {', '.join(sorted(unknown))}")
    build = Build(folder)
    subset = Subset.make(programs, seconds)
    began = time.perf_counter()
    seed, how = in_child(subset, build.core)
    if how:
        raise SystemExit(f"the unchanged core differs at seed {seed}: {how}")
    print(
        f"{len(subset.cases)} programs: oracle {subset.seconds:.1f} CPU seconds, "
        f"unchanged core {time.perf_counter() - began:.1f} s",
        flush=True,
    )
    outcomes = []
    for mutant in [m for m in MUTANTS if not names or m.name in names]:
        began = time.perf_counter()
        core = build.mutate(mutant)
        compiled = time.perf_counter()
        seed, how = in_child(subset, core)
        outcome = Outcome(mutant.name, bool(how), seed, how, compiled - began, time.perf_counter() - compiled)
        outcomes.append(outcome)
        print(
            f"{'caught' if outcome.caught else 'MISSED':7} {mutant.name} (seed {seed}): {how[:150]}",
            flush=True,
        )
    return outcomes, subset


def main() -> int:
    """0 if all were noticed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--programs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "mutants")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    outcomes, subset = run(args.names, args.programs, args.seconds, args.build)
    missed = [o.name for o in outcomes if not o.caught]
    print(
        f"{len(outcomes) - len(missed)} of {len(outcomes)} caught"
        + (f"; missed: {', '.join(missed)}" if missed else "")
    )
    if args.json:
        args.json.write_text(
            json.dumps({"programs": len(subset.cases), "outcomes": [asdict(o) for o in outcomes]}, indent=1)
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
