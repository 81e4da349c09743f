"""From what a user names to an executor: processes, threads, this thread, a Dask cluster, or their own."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from wafersim.batch.children import NURSERY, serve_isolated
from wafersim.batch.serving import serve
from wafersim.errors import ConfigError

KINDS = ("processes", "threads", "inline")

#: most workers of one call
MOST_WORKERS = 1024

_ADDRESS = re.compile(r"(?:[a-z]{2,8}://)?(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):\d{1,5}")

#: seconds that a cluster has to answer
CONNECT_SECONDS = 10

Answer = dict[str, Any]


@dataclass
class Chosen:
    """An executor and how orders travel on it.

    Attributes
    ----------
    task : callable
        Takes an order, gives an answer; importable on the other side.
    workers : int
        Orders at a time.
    is_isolated : bool
        Each order runs in a process that can be killed.
    is_here : bool
        Tasks run in threads of this process, so that a progress callback reaches them.
    is_remote : bool
        Workers may not see this machine's files.
    has_own_threads : bool
        A pool of threads of this process that nobody else uses.
    """

    executor: Executor
    task: Callable[..., Answer]
    workers: int
    is_isolated: bool = False
    is_here: bool = False
    is_remote: bool = False
    has_own_threads: bool = False
    close: Callable[[], None] = lambda: None

    def kill(self) -> None:
        """Kill the processes of isolated orders of this process's threads."""
        if self.is_isolated and not self.is_remote:
            NURSERY.kill_busy("cancelled")


class Inline(Executor):
    """Does each task when it is submitted, in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future that is done."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def choose(executor: Any, workers: int | None, isolate: bool | None) -> Chosen:
    """The executor for what a user named.

    Raises
    ------
    ConfigError
        Neither a kind, nor an address, nor an executor; a bad number of workers; no cluster there.
    """
    if workers is not None and (
        isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS
    ):
        raise ConfigError(f"workers={workers!r}, a whole number 1 .. {MOST_WORKERS} or None wanted")
    if executor is None or executor == "processes":
        return _threads(serve_isolated, workers, isolated=True)
    if executor == "threads":
        return _threads(serve, workers)
    if executor == "inline":
        return Chosen(Inline(), serve, 1, is_here=True)
    if isinstance(executor, str):
        return _dask(executor, workers, isolate)
    if not isinstance(executor, Executor):
        kinds = ", ".join(repr(kind) for kind in KINDS)
        raise ConfigError(
            f"executor: {type(executor).__name__} given; wanted {kinds}, the address of a Dask scheduler, "
            "or a concurrent.futures.Executor"
        )
    return _given(executor, workers, isolate)


def _threads(task: Callable[..., Answer], workers: int | None, isolated: bool = False) -> Chosen:
    count = workers or usable_cpus()
    pool = ThreadPoolExecutor(count, thread_name_prefix="wafersim")
    return Chosen(
        pool, task, count, isolated, is_here=not isolated, has_own_threads=True,
        close=lambda: pool.shutdown(wait=True, cancel_futures=True),
    )  # fmt: skip


def usable_cpus() -> int:
    """Processors that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def _given(executor: Executor, workers: int | None, isolate: bool | None) -> Chosen:
    count = workers or getattr(executor, "_max_workers", None) or usable_cpus()
    threads = isinstance(executor, ThreadPoolExecutor)
    local = threads or isinstance(executor, ProcessPoolExecutor | Inline)
    return Chosen(
        executor, serve_isolated if isolate else serve, int(count), bool(isolate),
        is_here=(threads or isinstance(executor, Inline)) and not isolate,
        is_remote=not local or (bool(isolate) and not threads),
    )  # fmt: skip


def _dask(address: str, workers: int | None, isolate: bool | None) -> Chosen:
    if not _ADDRESS.fullmatch(address):
        raise ConfigError(
            f"executor {address[:80]!r}: wanted {', '.join(KINDS)}, or the address of a Dask scheduler "
            "such as tcp://host:8786"
        )
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError:
        raise ConfigError("a Dask cluster needs distributed: pip install 'wafersim[dask]'") from None
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise ConfigError(f"executor {address}: no Dask scheduler answers there ({text})") from None
    threads = sum(client.ncores().values())
    if not threads:
        client.close()
        raise ConfigError(f"executor {address}: the cluster has no workers")
    task = serve if isolate is False else serve_isolated
    return Chosen(
        client.get_executor(pure=False, retries=0), task, workers or threads, isolate is not False,
        is_remote=True, close=client.close,
    )  # fmt: skip
