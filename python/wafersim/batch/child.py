"""A process of `children`: answers orders until its standard input ends, or nothing comes for a while."""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import sys
import threading
import time
from typing import Any

#: how often it looks whether its parent is still there
PARENT_CHECK_SECONDS = 1.0
#: it ends when it had nothing to do for so long
IDLE_SECONDS = 300.0


def main() -> None:
    """One JSON line in, one out; whatever the runs print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, args=(int(sys.argv[1]),), daemon=True).start()
    # loaded while nobody waits yet
    import wafersim.kernels
    import wafersim.simulate  # noqa: F401
    from wafersim.batch.serving import serve

    while True:
        if not select.select([sys.stdin.buffer], [], [], IDLE_SECONDS)[0]:
            return
        line = sys.stdin.buffer.readline()
        if not line:
            return
        answers.write(_answer(line, serve) + "\n")
        answers.flush()


def _answer(line: bytes, serve: Any) -> str:
    order = json.loads(line)
    _limit_memory(order.get("memory"))
    answer = serve(order)
    reason = (answer.get("reason") or {}).get("code")
    _limit_memory(None)
    if reason == "host_memory":
        gc.collect()
    return json.dumps({"answer": answer, "rss": _rss()}, allow_nan=False)


def _limit_memory(memory: int | None) -> None:
    """Address space from now on: what is in use, and ``memory`` bytes more; None lifts the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = hard if memory is None else _address_space() + memory
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _rss() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _end_with_parent(parent: int) -> None:
    """End the process when its parent has gone, even in the middle of a run."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
