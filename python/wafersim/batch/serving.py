"""One order answered in this process: built programs are kept, failures are data."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wafersim.errors import ConfigError, error_answer, error_reason, error_words
from wafersim.simulate import request as requests

if TYPE_CHECKING:
    from wafersim.record import Record
    from wafersim.simulate.request import Request

#: built programs that are kept for later requests
_MOST_BUILT = 4

#: what answers an order unless it says otherwise
RUN = "wafersim.batch.serving:answer_run"

Progress = Callable[[int, int], None]
Answer = dict[str, Any]


def serve(order: Mapping[str, Any], progress: Progress | None = None) -> Answer:
    """The answer to an order: ``fields`` of a request, and how to carry it out.

    Parameters
    ----------
    order : dict
        ``fields``; optional ``call`` (``module:function`` that takes the order and a progress callback),
        ``timeout`` (seconds), ``memory`` (bytes), ``record`` (directory to save the record in).
    """
    try:
        module, _, name = str(order.get("call") or RUN).partition(":")
        function: Callable[..., Answer] = getattr(importlib.import_module(module), name)
        return function(order, progress)
    except (Exception, KeyboardInterrupt) as error:
        return failure(error)


def order_of(
    fields: Mapping[str, Any], request: Request, timeout: float | None, memory: int | None
) -> Answer:
    """The order for a request: the tighter of its own caps and the given ones."""
    order: Answer = {"fields": {name: fields[name] for name in fields if name not in ("id", "group")}}
    for name, own, given in (("timeout", request.timeout, timeout), ("memory", request.memory, memory)):
        caps = [cap for cap in (own, given) if cap is not None]
        if caps:
            order[name] = min(caps)
    return order


def failure(error: BaseException) -> Answer:
    """The answer in the place of a record."""
    if isinstance(error, KeyboardInterrupt):
        return error_answer(None, "Interrupted", "interrupted", error_reason(error))
    return error_answer(None, *error_words(error), error_reason(error))


def answer_run(order: Mapping[str, Any], progress: Progress | None = None) -> Answer:
    """A run's summary, with a ``reason`` if it is no good one."""
    request = requests.from_fields(order["fields"])
    if request.dry_run:
        from wafersim.estimates import estimate

        return estimate(request)
    record = _builder().run(request, order, progress)
    if order.get("record"):
        _save(record, Path(order["record"]))
    return with_reason(record.summary(), request)


def _save(record: Record, folder: Path) -> None:
    if record.counted:  # else there are no columns
        from wafersim.batch.columns import arrow_files

        record.save(folder, arrow_files(record))


def with_reason(answer: Answer, request: Request) -> Answer:
    """The answer, and why it is no finished run with right values, if it is none."""
    status = answer["status"]
    if status == "finished" and answer.get("verified") is not False:
        return answer
    code = "wrong_values" if status == "finished" else status
    reason: Answer = {"code": code}
    if code == "stuck":
        reason["waits"] = [wait["text"] for wait in answer.get("waits", ())[:5]]
    elif code == "fault":
        reason |= {"pe": answer["fault"].get("pe"), "text": answer["fault"].get("text")}
    elif code == "limit":
        reason |= {name: value for name, value in request.limits.items() if value is not None}
        if request.max_seconds is not None and not _counts_reached(answer, request):
            reason["code"] = "timeout"
    elif code == "wrong_values":
        reason["max_abs_error"] = answer.get("max_abs_error")
    return answer | {"reason": reason}


def _counts_reached(answer: Answer, request: Request) -> bool:
    cycles, events = request.max_cycles, request.max_events
    return (cycles is not None and answer["cycles"] >= cycles) or (
        events is not None and answer["events"] >= events
    )


_local = threading.local()


def _builder() -> Builder:
    """That of this thread."""
    if not hasattr(_local, "builder"):
        _local.builder = Builder()
    builder: Builder = _local.builder
    return builder


def program_key(fields: Mapping[str, Any]) -> str:
    """Equal for requests that run the same program."""
    which = {name: fields.get(name) for name in ("kernel", "program", "arch", "grid", "params")}
    if which["program"] is not None:
        which["params"] = None  # arguments of the launch
        try:
            state = Path(str(which["program"])).stat()
            which["file"] = [state.st_mtime_ns, state.st_size]
        except (OSError, ValueError):
            pass  # whoever opens it says so
    return json.dumps(which, sort_keys=True, default=repr)


class Builder:
    """Runs requests in this process and keeps the programs that it built last."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def run(self, request: Request, order: Mapping[str, Any], progress: Progress | None) -> Record:
        """The record of a request, within the order's limits."""
        if request.kernel is not None and request.launch is not None:
            raise ConfigError("launch: only a program file has functions to choose from")
        timeout = order.get("timeout")
        if timeout is not None:
            request.max_seconds = min(timeout, request.max_seconds or timeout)
        key = program_key(order["fields"])
        built = self._built.pop(key, None)
        if built is None:
            built = requests.build(request)
        self._built[key] = built
        while len(self._built) > _MOST_BUILT:
            del self._built[next(iter(self._built))]
        check_cap(request, built, order.get("memory"))
        return requests.run_built(request, built, progress)


def check_cap(request: Request, built: Any, memory: int | None) -> None:
    """Refuse a run whose program needs more memory than the request may take."""
    if memory is None:
        return
    from wafersim.simulate.footprint import host_bytes

    needed = host_bytes(built.built.program if request.kernel is not None else built[0])
    if needed > memory:
        raise ConfigError(
            f"the run needs about {needed} bytes of host memory, it may take {memory} (memory)"
        ).because("host_memory", needed_bytes=needed, allowed_bytes=memory)
