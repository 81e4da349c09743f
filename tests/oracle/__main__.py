"""Reproduce a seed: ``python -m tests.oracle --seed N``."""

from __future__ import annotations

import argparse
from typing import Any

from wafersim.program.schema import Op, VOp

from .diff import STATUS, Result, check, run_oracle
from .generate import generate
from .minimise import Keep, shrink
from .survey import survey
from .timeline import first_cycle


def listing(result: Result) -> str:
    """The program's code, one line per instruction."""
    lines = []
    for row, ins in enumerate(result.oracle.code):
        kind = VOp(ins[1]).name if ins[0] == Op.VOP else str(ins[1])
        lines.append(f"{row:4} {Op(ins[0]).name:12} {kind:8} {ins[2:]}")
    return "\n".join(lines)


def _engine() -> Any:
    from wafersim import _core

    return _core.Machine


def reproduce(seed: int, keep: Keep, minimise: bool, code: bool) -> int:
    """Print the first difference of a seed; returns the exit status."""
    machine = _engine()
    if minimise:
        prefix = check(seed, machine, keep).first().split(":")[0].split(" of PE")[0]
        keep = shrink(seed, machine, prefix)
        print(f"smaller: python -m tests.oracle --seed {seed} --without {keep}")
    result = check(seed, machine, keep)
    oracle = result.oracle
    print(
        f"seed {seed}: {oracle.width} x {oracle.height} PEs, {STATUS[result.status]} after {oracle.cycle} cycles"
    )
    print("features:", ", ".join(sorted(result.generated.features)))
    for line in result.differences or ["oracle and engine agree"]:
        print(line)
    if result.differences:
        print(first_cycle(result.generated, machine))
    if code:
        print(listing(result))
    return bool(result.differences)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--seed", type=int, help="the program to run on oracle and engine")
    parser.add_argument("--without", default="", help="parts to leave out: flow:0,block:2,...")
    parser.add_argument("--minimise", action="store_true", help="leave out all parts that are not needed")
    parser.add_argument("--code", action="store_true", help="list the code")
    parser.add_argument("--alone", action="store_true", help="run the oracle only")
    parser.add_argument("--survey", type=int, metavar="N", help="statistics of seeds 0 .. N - 1")
    options = parser.parse_args()
    if options.survey is not None:
        print(survey(range(options.survey)).text())
        return 0
    if options.seed is None:
        parser.error("--seed or --survey is needed")
    keep = Keep.parse(options.without)
    if options.alone:
        oracle, status = run_oracle(generate(options.seed, keep))
        print(STATUS[status], oracle.cycle, oracle.fault() or oracle.waits())
        return 0
    return reproduce(options.seed, keep, options.minimise, options.code)


if __name__ == "__main__":
    raise SystemExit(main())
