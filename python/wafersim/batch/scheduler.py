"""Who runs when: at most so many orders at a time, never more memory than there is, until told to stop."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

from wafersim.batch.executors import Chosen
from wafersim.errors import error_answer

#: a large order waits until so many others have passed it; then everything waits for it
MOST_PASSED = 16
#: seconds between two looks at budget and cancellation
LOOK_SECONDS = 0.05

Answer = dict[str, Any]

#: why to stop, in words, or None to go on
Stop = Callable[[], tuple[str, str] | None]


@dataclass
class Job:
    """One order on its way.

    Attributes
    ----------
    number : int
        Its place among the requests.
    order : dict
        As `serving.serve` takes it.
    num_bytes : int or None
        Host memory that it takes at most; None if it is not known yet.
    """

    number: int
    order: dict[str, Any]
    num_bytes: int | None = 0
    notes: dict[str, Any] = field(default_factory=dict)
    passed: int = 0


class Scheduler:
    """Carries out jobs on a chosen executor.

    Parameters
    ----------
    chosen : Chosen
    total_memory : int or None
        Bytes that all running jobs together may take; a job that needs more by itself is answered at once.
    stop : callable
        Asked now and then; ``(code, message)`` ends everything: running jobs are killed where they can be.
    """

    def __init__(self, chosen: Chosen, total_memory: int | None, stop: Stop) -> None:
        self._chosen = chosen
        self._total = total_memory
        self._stop = stop
        self._done: queue.SimpleQueue[Future[Answer]] = queue.SimpleQueue()
        self._running: dict[Future[Answer], Job] = {}
        self._held: deque[Job] = deque()
        self._used = 0
        self._stopped = threading.Event()
        self._settling = threading.Lock()
        self._eager = False
        self.most_used = 0
        self.most_running = 0

    def run(
        self,
        jobs: Iterable[Job],
        before: Callable[[Job], Answer | None],
        done: Callable[[Job, Answer], None],
        eager: bool = False,
    ) -> None:
        """Carry out the jobs; ``done`` hears of each once, in the order in which they end.

        Parameters
        ----------
        jobs : iterable of Job
            Taken only as there is room for them.
        before : callable
            Looks at a job when its turn comes; an answer from it means that it need not run.
        done : callable
            Gets each job with its answer. Jobs that were not taken when `stop` came are not answered.
        eager : bool
            Where tasks run in threads of ours: call ``done`` in the thread of the job, one at a time, before
            that thread begins another job, and have jobs ready for it. A worker then waits for nobody, and of
            its jobs at most one is begun and not done.
        """
        source = iter(jobs)
        self._eager = eager and self._chosen.has_own_threads
        try:
            while True:
                why = self._stop()
                if why is not None:
                    self._give_up(why, done)
                    return
                self._fill(source, before, done)
                if not self._running:
                    return
                self._collect(done)
        except BaseException:
            self._abandon()
            raise

    # -- starting ------------------------------------------------------------------------------------------

    def _fill(
        self,
        source: Iterator[Job],
        before: Callable[[Job], Answer | None],
        done: Callable[[Job, Answer], None],
    ) -> None:
        while len(self._running) < self._chosen.workers * (2 if self._eager else 1):
            job = self._next(source)
            if job is None:
                return
            answer = before(job)
            if answer is None and self._total is not None and (job.num_bytes or 0) > self._total:
                answer = _too_large(job.num_bytes or 0, self._total)
            if answer is not None:
                with self._settling:
                    done(job, answer)
                if self._stop() is not None:
                    return
                continue
            if not self._fits(job):
                self._held.append(job)
                if len(self._held) > MOST_PASSED:
                    return
                continue
            self._submit(job, done)
            if self._chosen.workers == 1 and not self._eager:
                return

    def _next(self, source: Iterator[Job]) -> Job | None:
        """A held job that fits now, else a new one; none while the first held one was passed too often."""
        for job in self._held:
            if self._fits(job):
                self._held.remove(job)
                return job
        if self._held and (self._held[0].passed >= MOST_PASSED or len(self._held) > MOST_PASSED):
            return None
        fresh = next(source, None)
        if fresh is not None and self._held:
            self._held[0].passed += 1
        return fresh

    def _fits(self, job: Job) -> bool:
        if self._total is None or not self._running:
            return True
        return self._used + (job.num_bytes or 0) <= self._total

    def _submit(self, job: Job, done: Callable[[Job, Answer], None]) -> None:
        self._used += job.num_bytes or 0
        more = (self._progress,) if self._chosen.is_here else ()
        try:
            if self._eager:
                future = self._chosen.executor.submit(self._settled, job, done, more)
            else:
                future = self._chosen.executor.submit(self._chosen.task, job.order, *more)
        except (RuntimeError, OSError) as error:  # broken or shut down
            future = Future()
            future.set_exception(error)
        self._running[future] = job
        self.most_used = max(self.most_used, self._used)
        self.most_running = max(self.most_running, len(self._running))
        future.add_done_callback(self._done.put)

    def _settled(self, job: Job, done: Callable[[Job, Answer], None], more: tuple[Any, ...]) -> Answer:
        """In a thread of the executor: the answer, and what is to be done with it."""
        answer = self._chosen.task(job.order, *more)
        with self._settling:
            if not self._stopped.is_set():
                try:
                    done(job, answer)
                except BaseException as error:
                    raise _NotSettled from error
        return answer

    def _progress(self, cycle: int, events: int) -> None:
        """Called from the threads of runs."""
        if self._stopped.is_set():
            raise KeyboardInterrupt

    # -- ending --------------------------------------------------------------------------------------------

    def _collect(self, done: Callable[[Job, Answer], None]) -> None:
        try:
            future = self._done.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            return
        job = self._running.pop(future, None)
        if job is None:
            return
        self._used -= job.num_bytes or 0
        answer = _result(future)
        if not self._eager or _was_lost(future):
            with self._settling:
                done(job, answer)

    def _give_up(self, why: tuple[str, str], done: Callable[[Job, Answer], None]) -> None:
        code, message = why
        waiting = [*self._running.values(), *self._held]
        self._abandon()
        for job in waiting:
            done(job, stopped(code, message))

    def _abandon(self) -> None:
        with self._settling:
            self._stopped.set()
        for future in self._running:
            future.cancel()
        self._chosen.kill()
        self._running, self._used = {}, 0
        self._held.clear()


def stopped(code: str, message: str) -> Answer:
    """The answer to a request that was not carried out to its end."""
    return error_answer(None, "Stopped", message, {"code": code})


class _NotSettled(Exception):
    """What is to be done with an answer went wrong; the cause says how."""


def _was_lost(future: Future[Answer]) -> bool:
    return future.cancelled() or future.exception() is not None


def _result(future: Future[Answer]) -> Answer:
    try:
        return future.result()
    except _NotSettled as error:
        assert error.__cause__ is not None
        raise error.__cause__ from None
    except CancelledError:
        return stopped("cancelled", "the executor cancelled the run")
    except BaseException as error:  # what the executor says of its worker
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return error_answer(None, "Crashed", f"the executor lost the run: {text}", {"code": "crashed"})


def _too_large(needed: int, total: int) -> Answer:
    return error_answer(
        None, "ConfigError",
        f"the run needs about {needed} bytes of host memory, all runs together may take {total}",
        {"code": "host_memory", "needed_bytes": needed, "allowed_bytes": total},
    )  # fmt: skip
