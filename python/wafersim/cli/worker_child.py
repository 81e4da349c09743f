"""The process of one worker request: one JSON line in, one JSON line out, then it ends."""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from typing import Any

#: how often the child looks whether its worker is still there
_PARENT_CHECK_SECONDS = 1.0


def main() -> None:
    """Serve one request; whatever the run prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _limit_memory(int(sys.argv[1]))
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    import wafersim.kernels
    import wafersim.simulate  # noqa: F401 - loaded while the worker waits for a request

    line = sys.stdin.buffer.readline()
    if line:
        answers.write(json.dumps(answer(json.loads(line)), allow_nan=False) + "\n")
        answers.flush()


def answer(fields: dict[str, Any]) -> dict[str, Any]:
    """The record's summary, or the error in its place; the request's id in both."""
    from wafersim.cli.main import classify
    from wafersim.errors import error_answer
    from wafersim.simulate import request as requests

    request_id = fields.get("id")
    try:
        request = requests.from_fields(fields)
        if request.dry_run:
            from wafersim.cli.estimate import estimate

            return {"id": request_id, **estimate(request)}
        return {"id": request_id, **requests.execute(request).summary()}
    except (Exception, KeyboardInterrupt) as error:
        _, kind, message = classify(error)
        return error_answer(request_id, kind, message)


def _limit_memory(limit: int) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _end_with_parent(parent: int) -> None:
    """End the process when its worker has gone, even in the middle of a run."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
