"""Child processes that answer requests, one JSON line in and one out; one that dies is replaced."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from wafersim.errors import ConfigError, error_answer, fate
from wafersim.simulate.batch import grouped


def run_in_processes(
    asked: list[Mapping[str, Any]], processes: int, timeout: float | None
) -> list[dict[str, Any]]:
    """The answers of child processes, in the order of the requests."""
    answers: list[dict[str, Any]] = [{}] * len(asked)
    todo: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    groups = _spread(grouped(asked), processes)
    for group in groups:
        todo.put(group)
    children = [_Child(timeout) for _ in range(min(processes, len(groups)))]

    def serve(child: _Child) -> None:
        while True:
            try:
                group = todo.get_nowait()
            except queue.Empty:
                return
            for number in group:
                answers[number] = child.ask(asked[number])

    threads = [threading.Thread(target=serve, args=(child,), daemon=True) for child in children]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for child in children:
            child.close()
    return answers


def _spread(groups: list[list[int]], processes: int) -> list[list[int]]:
    """Large groups cut in pieces, so that all processes have work; the longest first."""
    most = max(1, -(-sum(map(len, groups)) // processes))
    pieces = [group[k : k + most] for group in groups for k in range(0, len(group), most)]
    return sorted(pieces, key=len, reverse=True)


class _Child:
    """One process at a time; `ask` starts it if there is none."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def ask(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request, whatever happens to the process."""
        request_id = fields.get("id")
        try:
            line = json.dumps(dict(fields), allow_nan=False).encode() + b"\n"
        except (TypeError, ValueError) as error:
            return error_answer(request_id, ConfigError.__name__, f"request: no JSON: {error}")
        if self._closed:
            return error_answer(request_id, "Interrupted", "interrupted")
        process = self._process = self._process or _start()
        assert process.stdin is not None and process.stdout is not None
        timed_out = threading.Event()

        def stop() -> None:
            timed_out.set()
            process.kill()

        timer = threading.Timer(self._timeout, stop) if self._timeout is not None else None
        if timer is not None:
            timer.start()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            output = process.stdout.readline()
        except OSError:  # it died before it read the request
            output = b""
        finally:
            if timer is not None:
                timer.cancel()
        if output.endswith(b"\n"):
            return dict(json.loads(output))
        self._end()
        if timed_out.is_set():
            return error_answer(request_id, "Timeout", f"the run was killed after {self._timeout:g} s")
        return error_answer(
            request_id, "Crashed", f"the process of the run {fate(process.returncode)} and gave no answer"
        )

    def close(self) -> None:
        """No more requests."""
        self._closed = True
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


def _start() -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-P", "-m", "wafersim.simulate.pool_child"]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
