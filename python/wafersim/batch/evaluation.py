"""`evaluate`: many run requests within a budget, each answered by a dict, none able to spoil the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from wafersim.batch.arguments import Budget, Limits, check_batch
from wafersim.batch.call import Call
from wafersim.batch.executors import choose
from wafersim.batch.scheduler import stopped
from wafersim.store import ResultStore

Answer = dict[str, Any]


def evaluate(
    batch: Iterable[Mapping[str, Any]],
    *,
    executor: Any = None,
    workers: int | None = None,
    budget: Budget | float | None = None,
    timeout: float | None = None,
    memory: int | None = None,
    total_memory: int | None = None,
    minimize: str | None = None,
    store: ResultStore | str | Path | None = None,
    columns: bool = False,
    isolate: bool | None = None,
    cancel: threading.Event | None = None,
    on_answer: Callable[[int, Answer], None] | None = None,
) -> list[Answer]:
    """Carry out run requests; one answer per request, in the order of the requests.

    Parameters
    ----------
    batch : iterable of dict
        Requests with the fields of `wafersim worker`: ``kernel`` or ``program`` (a file), ``arch``, ``grid``,
        ``params``, ``seed``, limits, and an ``id`` that comes back; with ``minimize`` also a ``group``.
    executor : optional
        ``"processes"`` (the default: spawned, isolated, kept for the next call), ``"threads"``, ``"inline"``
        (this thread), the address of a Dask scheduler (``"tcp://host:8786"``), or any
        ``concurrent.futures.Executor``.
    workers : int, optional
        Runs at a time; default the processors, or what the executor has.
    budget : Budget or float, optional
        Seconds of host time, or ``Budget(seconds=, runs=)``. What was not begun or not done by then is
        answered with the reason ``budget``.
    timeout : float, optional
        Seconds of host time for each run. Isolated runs are killed, others stop at their next look.
    memory : int, optional
        Bytes that a run may take, checked before it begins and, where it is isolated, while it runs.
    total_memory : int, optional
        Bytes that all runs at a time may take together; default 0.8 of what is available on this host, no
        limit on a cluster. Large runs wait for each other.
    minimize : {"cycles", "seconds"}, optional
        Only the best of each ``group`` is wanted: runs go in the order of their estimates, and one that
        cannot become the best (by its lower bound, or by its cycles so far) gets the status ``pruned``.
    store : ResultStore or path, optional
        Where answers are kept and found again; those found have ``"stored": true``.
    columns : bool
        Keep whole records in the store, with their columns, and answer with their directory as ``record``.
    isolate : bool, optional
        For an executor of your own or a cluster: run in a process of its own on the worker's side. Default:
        on a cluster yes, else no.
    cancel : threading.Event, optional
        Set it to stop; unfinished requests are answered with the reason ``cancelled``.
    on_answer : callable, optional
        Called with the number of a request and its answer, as they come.

    Returns
    -------
    list of dict
        The fields of ``wafersim run --json`` and ``estimate``; a request that gave no good run has a
        ``reason`` with a ``code`` of `wafersim.errors.REASONS`, and if it gave no run at all also
        ``"status": "error"`` and ``error`` (``kind``, ``message``).

    Raises
    ------
    ConfigError
        The call itself is wrong; a bad request is answered.

    Notes
    -----
    Order of work for each request: fields, names, grid and parameters; what is in the store; the estimate
    with its lower bound (microseconds, `wafersim.estimates`); the static checks of the program (SRAM, colors,
    queues, routes) where it is built; the run.

    Examples
    --------
    >>> import wafersim as ws
    >>> asked = [{"kernel": "reduce", "grid": "4x1", "params": {"words": w}} for w in (4, 8, 0)]
    >>> answers = ws.evaluate(asked, executor="inline")
    >>> [answer["status"] for answer in answers]
    ['finished', 'finished', 'error']
    >>> answers[2]["reason"]
    {'code': 'bad_request'}
    """
    asked = check_batch(batch)
    limits = Limits.of(budget, timeout, memory, total_memory, minimize, columns, store)
    opened = ResultStore(store) if isinstance(store, str | Path) else store
    chosen = choose(executor, workers, isolate)
    call = Call(asked, limits, chosen, opened, cancel, on_answer)
    try:
        call.run()
    finally:
        chosen.close()
        if opened is not None:
            opened.flush()
    why = call.why_stopped or ("cancelled", "the batch was cancelled")
    for number in range(len(asked)):
        if number not in call.answers:
            call.finish(number, stopped(*why))
    return [call.answers[number] for number in range(len(asked))]
