"""A sweep whose points sleep, and a log of when each began and ended.

python naps.py FOLDER POINTS SECONDS WORKERS LOG [ADDRESS]
"""

from __future__ import annotations

import json
import os
import sys
import time

from wafersim.sweep import run_sweep
from wafersim.sweep.axes import Axis
from wafersim.sweep.spec import Constraint, Objective, Spec, Target


def log(path, *words):
    """One line, appended at once."""
    if path:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, (json.dumps(words) + "\n").encode())
        os.close(file)


def answer(order, progress=None):
    """Sleeps; its figures depend on the point alone."""
    number = order["fields"]["params"]["words"]
    seconds, path = float(os.environ["NAP_SECONDS"]), os.environ.get("NAP_LOG")
    begin = time.monotonic()
    log(path, "begin", number)
    time.sleep(seconds)
    log(path, "end", number)
    wall = time.monotonic() - begin
    return {
        "schema": 1, "status": "finished", "verified": True, "cycles": number * 7919 % 1009, "wall_s": wall,
        "area": abs(number - 500) + number % 7,
    }  # fmt: skip


def spec(points, **changes):
    """Points 0, 1, 2 ... in a grid."""
    fields = {
        "name": "naps", "mode": "grid",
        "axes": (Axis("params.words", (), 0, points - 1, 1),),
        "targets": (Target("nap", "kernel", {"kernel": "reduce"}, "naps:answer"),),
        "objectives": (Objective("nap.cycles", "min"), Objective("nap.area", "min")),
        "constraints": (Constraint("nap.cycles", at_most=1000),),
        "points": points,
    }  # fmt: skip
    return Spec(**{**fields, **changes})


if __name__ == "__main__":
    folder, points, seconds, workers, path = sys.argv[1:6]
    os.environ["NAP_SECONDS"], os.environ["NAP_LOG"] = seconds, path
    begin = time.monotonic()
    result = run_sweep(
        spec(int(points)), folder, workers=int(workers), executor=sys.argv[6] if sys.argv[6:] else None
    )
    print(json.dumps({"seconds": time.monotonic() - begin, "runs": result.runs, "found": result.found}))
