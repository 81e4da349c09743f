"""A process of `pool`: answers requests until its standard input ends."""

from __future__ import annotations

import json
import os
import sys

from wafersim.simulate.batch import Builder


def main() -> None:
    """One JSON line in, one out; whatever the runs print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    builder = Builder()
    for line in sys.stdin.buffer:
        answers.write(json.dumps(builder.answer(json.loads(line)), allow_nan=False) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
