"""Isolated processes that answer orders, one JSON line in and one out; one that dies is replaced."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from wafersim.errors import ConfigError, error_answer, fate

#: a process is replaced after so many orders, or when it holds so much
MOST_ORDERS = 5000
MOST_RSS_BYTES = 1 << 30

#: a run stops itself at its time-out; a process that has not answered so many seconds later is killed
GRACE_SECONDS = 1.0

#: an interpreter that closed its output takes so long to end at most
_SECONDS_TO_END = 5.0

Answer = dict[str, Any]


class Child:
    """One process at a time; `ask` starts it if there is none."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._orders = 0
        self._killed_for: str | None = None
        self._lock = threading.Lock()
        self._turn = 0

    def start(self) -> None:
        """Start the process, if there is none, so that it is ready when an order comes."""
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process, self._orders = _start(), 0

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.poll() is None

    def ask(self, order: Mapping[str, Any], timeout: float | None = None) -> Answer:
        """The answer to one order, whatever happens to the process."""
        try:
            return self._ask(order, timeout)
        finally:
            self.forgive()

    def _ask(self, order: Mapping[str, Any], timeout: float | None) -> Answer:
        try:
            line = json.dumps(dict(order), allow_nan=False).encode() + b"\n"
        except (TypeError, ValueError) as error:
            return _error(ConfigError.__name__, f"request: no JSON: {error}", "bad_request")
        self.start()
        process = self._process
        assert process is not None
        if self._killed_for is not None:
            process.kill()  # told so before there was one
        output = self._talk(process, line, timeout)
        if not output and self._killed_for is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_END)  # so that its own end is told, not ours
        if output.endswith(b"\n"):
            self._orders += 1
            return self._taken(json.loads(output))
        self._end()
        if self._killed_for == "timeout":
            text = f"the run was killed after {timeout:g} s"
            return _error("Timeout", text, "timeout", seconds=timeout)
        if self._killed_for is not None:
            return _error("Interrupted", self._killed_for, "cancelled")
        died = f"the process of the run {fate(process.returncode)} and gave no answer"
        return _error("Crashed", died, "crashed", returncode=process.returncode)

    def forgive(self) -> None:
        """Forget a kill that came too late for its order, and the process that it hit."""
        if self._killed_for is not None:
            self._end()
            self._killed_for = None

    def _talk(self, process: subprocess.Popen[bytes], line: bytes, timeout: float | None) -> bytes:
        assert process.stdin is not None and process.stdout is not None
        with self._lock:
            self._turn += 1
            turn = self._turn
        timer = None if timeout is None else threading.Timer(timeout + GRACE_SECONDS, self._late, (turn,))
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            return process.stdout.readline()
        except (OSError, ValueError):  # it died before it read the order
            return b""
        finally:
            if timer is not None:
                timer.cancel()
            with self._lock:
                self._turn += 1  # a timer that has run out already hits nobody

    def _late(self, turn: int) -> None:
        with self._lock:
            if turn == self._turn:
                self.kill("timeout")

    def _taken(self, said: Mapping[str, Any]) -> Answer:
        answer: Answer = said["answer"]
        out_of_memory = (answer.get("reason") or {}).get("code") == "host_memory"
        if out_of_memory or self._orders >= MOST_ORDERS or said["rss"] > MOST_RSS_BYTES:
            self._end()
        return answer

    def kill(self, why: str) -> None:
        """Kill the process of an `ask` in another thread, which then says why; also before it has started."""
        self._killed_for = why
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()

    def close(self) -> None:
        """End the process."""
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what it never read
                    stream.close()


def _error(kind: str, message: str, code: str, **facts: Any) -> Answer:
    return error_answer(None, kind, message, {"code": code, **facts})


def _start() -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-P", "-m", "wafersim.batch.child", str(os.getpid())]
    # a session of its own: Ctrl-C reaches the parent, and the parent ends its children
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )


class Nursery:
    """Children of this process: idle ones wait for the next order, however short an executor lives."""

    def __init__(self, most_idle: int = 16) -> None:
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._most_idle = most_idle

    def ask(self, order: Mapping[str, Any]) -> Answer:
        """The answer of some child."""
        with self._lock:
            child = self._idle.pop() if self._idle else Child()
            self._busy.add(child)
        try:
            return child.ask(order, order.get("timeout"))
        finally:
            with self._lock:
                self._busy.discard(child)
                child.forgive()
                keep = len(self._idle) < self._most_idle
                if keep:
                    self._idle.append(child)
            if not keep:
                child.close()

    def kill_busy(self, why: str) -> None:
        """Kill every child that works; its order is answered with ``why``."""
        with self._lock:
            for child in self._busy:
                child.kill(why)

    def close(self) -> None:
        """End the idle children."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()


#: of this process, on whatever executor its threads belong
NURSERY = Nursery()
atexit.register(NURSERY.close)


def serve_isolated(order: Mapping[str, Any]) -> Answer:
    """`serving.serve` in a process of its own."""
    return NURSERY.ask(order)
