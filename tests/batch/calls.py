"""What orders of the tests call: runs that crash, hang, eat memory, sleep, or say how they went."""

from __future__ import annotations

import json
import os
import signal
import time

ANSWER = {"schema": 1, "status": "finished", "verified": True, "cycles": 1}


def answer(order, progress=None):
    """Does what the request's ``params`` say."""
    params = order["fields"]["params"]
    if "log" in params:
        with open(params["log"], "a") as file:
            file.write(json.dumps(["begin", params.get("n"), os.getpid(), time.monotonic()]) + "\n")
    if params.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if params.get("exit"):
        os._exit(int(params["exit"]))
    if params.get("raise"):
        raise RuntimeError(params["raise"])
    if params.get("bytes"):
        held = bytearray(params["bytes"])
        held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    time.sleep(params.get("seconds", 0))
    if "log" in params:
        with open(params["log"], "a") as file:
            file.write(json.dumps(["end", params.get("n"), os.getpid(), time.monotonic()]) + "\n")
    return {**ANSWER, "n": params.get("n"), "pid": os.getpid()}


def order(timeout=None, memory=None, **params):
    """An order for `answer`."""
    made = {"fields": {"params": params}, "call": "calls:answer"}
    if timeout is not None:
        made["timeout"] = timeout
    if memory is not None:
        made["memory"] = memory
    return made
