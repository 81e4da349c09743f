"""``wafersim worker``: run requests as JSON lines in, answers as JSON lines out.

Each request runs in a child process of its own. A child that crashes or is killed costs its own answer only.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Any

import click

from wafersim.errors import error_answer, fate

#: longest request line accepted
MAX_LINE_BYTES = 1 << 20


@click.command()
@click.option("--timeout", type=float, metavar="S", help="Kill a request's process after so many seconds.")
@click.option("--memory-limit", type=int, metavar="BYTES", help="Address space a request's process may use.")
@click.option("--json", "as_json", is_flag=True, help="Accepted as everywhere; answers are always JSON.")
def worker(timeout: float | None, memory_limit: int | None, as_json: bool) -> int:
    """Serve run requests: one JSON object per line in, one JSON object per line out, in the same order.

    \b
    {"id": 1, "kernel": "reduce", "arch": "wse2", "grid": "8x1", "params": {"words": 64}}

    The fields are those of the answer of `wafersim run --json`; an optional "id" comes back.
    """
    from wafersim.errors import ConfigError

    if timeout is not None and not 0 < timeout < 1e9:
        raise ConfigError(f"--timeout {timeout}: a positive number of seconds wanted")
    if memory_limit is not None and memory_limit < 1 << 28:
        raise ConfigError(f"--memory-limit {memory_limit}: at least {1 << 28} bytes (256 MiB) wanted")
    del as_json
    with _Children(memory_limit) as children:
        for line in _lines(sys.stdin.buffer):
            answer = _answer(line, children, timeout)
            sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")
            sys.stdout.flush()
    return 0


def _lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Request lines without blank ones; None for a line that is too long."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            yield None
        elif line.strip():
            yield line


def _answer(line: bytes | None, children: _Children, timeout: float | None) -> dict[str, Any]:
    if line is None:
        return error_answer(None, "ConfigError", f"the line is longer than {MAX_LINE_BYTES} bytes")
    try:
        request = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return error_answer(
            None, "ConfigError", f"the line is not JSON: {' '.join(str(error).split())[:200]}"
        )
    if not isinstance(request, dict):
        return error_answer(None, "ConfigError", "the line is not a JSON object")
    return children.serve(request, timeout)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not allowed")


class _Children:
    """One process per request; the next one starts while nobody waits, so that a request does not."""

    def __init__(self, memory_limit: int | None) -> None:
        self._memory_limit = memory_limit
        self._spare: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Children:
        self._spare = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._spare is not None:
            _end(self._spare)

    def serve(self, request: dict[str, Any], timeout: float | None) -> dict[str, Any]:
        """The answer of a fresh process to one request."""
        child = self._spare or self._start()
        self._spare = None
        if child.poll() is not None:
            child = self._start()
        request_id = request.get("id")
        try:
            output, _ = child.communicate(json.dumps(request).encode() + b"\n", timeout)
        except subprocess.TimeoutExpired:
            return error_answer(request_id, "Timeout", f"the run was killed after {timeout:g} s (--timeout)")
        finally:
            _end(child)
            self._spare = self._start()
        return _decode(output, child.returncode, request_id)

    def _start(self) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-P", "-m", "wafersim.cli.worker_child", str(self._memory_limit or 0)]
        # a session of its own: Ctrl-C reaches the worker, and the worker ends its child
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def _decode(output: bytes, returncode: int, request_id: Any) -> dict[str, Any]:
    try:
        answer = json.loads(output)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    return error_answer(
        request_id, "Crashed", f"the process of the run {fate(returncode)} and gave no answer"
    )
