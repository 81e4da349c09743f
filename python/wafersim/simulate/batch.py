"""`evaluate`: many run requests at once, each answered by a dict, none able to spoil the others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from wafersim.errors import ConfigError, error_answer, error_words
from wafersim.simulate import request as requests

if TYPE_CHECKING:
    from wafersim.record import Record
    from wafersim.simulate.request import Request

#: built programs that are kept for later requests of the batch
_MOST_BUILT = 4


def evaluate(
    batch: Iterable[Mapping[str, Any]], *, processes: int | None = None, timeout: float | None = None
) -> list[dict[str, Any]]:
    """Carry out run requests; one answer per request, in the order of the requests.

    Parameters
    ----------
    batch : iterable of dict
        Requests with the fields of `wafersim worker`: ``kernel`` or ``program`` (a file), ``arch``, ``grid``,
        ``params``, ``seed``, limits, and an ``id`` that comes back.
    processes : int, optional
        Child processes that share the work; a run that crashes costs its own answer only. Default: all runs
        happen in this process, one after the other.
    timeout : float, optional
        Seconds after which the process of a run is killed; needs ``processes``.

    Returns
    -------
    list of dict
        The fields of ``wafersim run --json``; or ``{"id", "status": "error", "error": {"kind", "message"}}``.

    Raises
    ------
    ConfigError
        The batch itself is wrong (not a list of dicts, a bad number of processes); a bad request is answered.

    Notes
    -----
    Requests that ask for the same program (kernel, arch, grid, parameters; or file) build it once per process
    and are sent to the same process.

    Examples
    --------
    >>> import wafersim as ws
    >>> asked = [{"kernel": "reduce", "grid": "4x1", "params": {"words": w}} for w in (4, 8, 0)]
    >>> [answer["status"] for answer in ws.evaluate(asked)]
    ['finished', 'finished', 'error']
    """
    if isinstance(batch, Mapping | str | bytes):
        raise ConfigError(f"evaluate: an iterable of requests wanted, one {type(batch).__name__} given")
    asked = list(batch)
    for number, one in enumerate(asked):
        if not isinstance(one, Mapping):
            raise ConfigError(f"evaluate: request {number} is a {type(one).__name__}, a dict wanted")
    whole = isinstance(processes, int) and not isinstance(processes, bool)
    if processes is not None and not (whole and 1 <= processes <= 1024):
        raise ConfigError(f"evaluate: processes={processes!r}, a whole number 1 .. 1024 or None wanted")
    if timeout is not None and (processes is None or isinstance(timeout, bool) or not 0 < timeout < 1e9):
        raise ConfigError(
            f"evaluate: timeout={timeout!r}, a positive number of seconds wanted, and processes with it"
        )
    if processes is not None:
        from wafersim.simulate.pool import run_in_processes

        return run_in_processes(asked, processes, timeout)
    builder = Builder()
    answers: list[dict[str, Any]] = [{}] * len(asked)
    for group in grouped(asked):
        for number in group:
            answers[number] = builder.answer(asked[number])
    return answers


def grouped(asked: list[Mapping[str, Any]]) -> list[list[int]]:
    """Numbers of the requests, those of one program together, in the order of their first ones."""
    groups: dict[str, list[int]] = {}
    for number, one in enumerate(asked):
        groups.setdefault(_program_key(one), []).append(number)
    return list(groups.values())


def _program_key(fields: Mapping[str, Any]) -> str:
    which = {name: fields.get(name) for name in ("kernel", "program", "arch", "grid", "params")}
    if which["program"] is not None:
        which["params"] = None  # arguments of the launch
    return json.dumps(which, sort_keys=True, default=repr)


class Builder:
    """Answers requests in this process and keeps the programs that it built last."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def answer(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The record's summary, or the error in its place; the request's id in both."""
        request_id = fields.get("id")
        try:
            request = requests.from_fields(fields)
            if request.dry_run:
                raise ConfigError("request: dry_run is for the command line and its worker")
            return {"id": request_id, **self._run(request, _program_key(fields)).summary()}
        except Exception as error:
            kind, message = error_words(error)
            return error_answer(request_id, kind, message)

    def _run(self, request: Request, key: str) -> Record:
        if request.kernel is not None and request.launch is not None:
            raise ConfigError("launch: only a program file has functions to choose from")
        built = self._built.pop(key, None)
        if built is None:
            built = requests.build(request)
        self._built[key] = built
        while len(self._built) > _MOST_BUILT:
            del self._built[next(iter(self._built))]
        return requests.run_built(request, built)
