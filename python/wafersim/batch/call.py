"""One call of `evaluate`: what is looked at before a run, and what is done with its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wafersim.batch.arguments import Limits
from wafersim.batch.executors import Chosen
from wafersim.batch.facts import facts_of, is_kept
from wafersim.batch.measuring import measure
from wafersim.batch.scheduler import Job, Scheduler, stopped
from wafersim.batch.serving import failure, order_of, program_key
from wafersim.errors import ConfigError, error_answer
from wafersim.estimates import Estimate, bytes_at_most, estimate_run
from wafersim.simulate import request as requests
from wafersim.simulate.footprint import SHARE, available_bytes
from wafersim.store import ResultStore, key_of
from wafersim.store.results import COLUMNS

Answer = dict[str, Any]


class Call:
    """The state of one call; `run` fills ``answers``."""

    def __init__(
        self,
        asked: list[dict[str, Any]],
        limits: Limits,
        chosen: Chosen,
        store: ResultStore | None,
        cancel: threading.Event | None,
        on_answer: Callable[[int, Answer], None] | None,
    ) -> None:
        self._asked = asked
        self._limits = limits
        self._chosen = chosen
        self._store = store
        self._cancel = cancel
        self._on_answer = on_answer
        self._end = None if limits.budget.seconds is None else time.monotonic() + limits.budget.seconds
        self._runs = 0
        self._best: dict[str, float] = {}
        self.answers: dict[int, Answer] = {}
        self.why_stopped: tuple[str, str] | None = None
        total = limits.total_memory
        if total is None and not chosen.is_remote:
            total = int(SHARE * available_bytes())
        self.scheduler = Scheduler(chosen, total, self._stop)
        self._total = total

    def run(self) -> None:
        """Answer all requests, or as many as the limits allow."""
        self.scheduler.run(self._jobs(), self._before, self._done)

    def finish(self, number: int, answer: Answer) -> None:
        """Take an answer as that of a request."""
        self.answers[number] = {"id": None, **answer} | {"id": self._asked[number].get("id")}
        if self._on_answer is not None:
            self._on_answer(number, self.answers[number])

    # -- before a run --------------------------------------------------------------------------------------

    def _jobs(self) -> Iterator[Job]:
        """Jobs in the order of work: the most promising first, or those of one program together."""
        if self._limits.minimize is None:
            groups: dict[str, list[int]] = {}
            for number, fields in enumerate(self._asked):
                groups.setdefault(program_key(fields), []).append(number)
            for group in groups.values():
                yield from filter(None, map(self._job, group))
            return
        jobs = [job for job in map(self._job, range(len(self._asked))) if job is not None]
        yield from sorted(jobs, key=lambda job: _figure(job.notes["estimate"], self._limits.minimize))

    def _job(self, number: int) -> Job | None:
        """The job of a request; None if it was answered already: it cannot be carried out as written."""
        fields = {name: value for name, value in self._asked[number].items() if name not in ("id", "group")}
        try:
            request = requests.from_fields(fields)
            if request.dry_run and self._limits.minimize is not None:
                raise ConfigError("request: dry_run has no place where the best run is wanted")
            is_keyed = self._store is not None or request.program is not None  # a file is opened here
            facts = facts_of(fields) if is_keyed else {}
            order = order_of(fields, request, self._limits.timeout, self._limits.memory)
            job = Job(number, order, bytes_at_most(request))
            job.notes = {"facts": facts, "estimate": estimate_run(request)}
            if self._store is not None:
                job.notes["key"] = key_of(facts)
        except Exception as error:
            self.finish(number, failure(error))
            return None
        return job

    def _before(self, job: Job) -> Answer | None:
        """An answer that needs no run: from the store, or because it cannot be the best."""
        if self._store is not None and not job.order["fields"].get("dry_run"):
            known = self._store.get(job.notes["key"])
            if known is not None and self._is_complete(known, job.notes["key"]):
                return known | {"stored": True} | self._record(job.notes["key"])
        best = self._best_of(job)
        if best is not None:
            bound = _bound(job.notes["estimate"], self._limits.minimize)
            if bound > best:
                return _pruned(f"its {self._limits.minimize} are at least {bound:g}", best, bound)
            job.order["fields"] = self._capped(job, best)
        if self._limits.columns and self._store is not None and not self._chosen.is_remote:
            job.order["record"] = str(self._store.new_draft())
        if not job.order["fields"].get("dry_run"):
            most = self._limits.budget.runs
            if most is not None and self._runs >= most:
                return stopped("budget", f"the budget of {most} runs was spent")
            self._runs += 1
        measure(job, self._total, self._chosen.workers)
        return None

    def _capped(self, job: Job, best: float) -> dict[str, Any]:
        """The request with a limit of cycles: one more than the best run had cannot win."""
        estimate: Estimate = job.notes["estimate"]
        cycles = best if self._limits.minimize == "cycles" else best * (estimate.clock_hz or 0)
        if cycles <= 0:
            return dict(job.order["fields"])
        fields = dict(job.order["fields"])
        cap = int(cycles) + 1
        if fields.get("max_cycles") is None or fields["max_cycles"] > cap:
            job.notes["cap"] = cap
            fields["max_cycles"] = cap
        return fields

    def _best_of(self, job: Job) -> float | None:
        return self._best.get(self._group(job)) if self._limits.minimize is not None else None

    def _group(self, job: Job) -> str:
        return repr(self._asked[job.number].get("group"))

    # -- after a run ---------------------------------------------------------------------------------------

    def _done(self, job: Job, answer: Answer) -> None:
        if answer.get("status") == "limit" and answer.get("cycles", 0) >= job.notes.get("cap", 1 << 63):
            best, cycles = self._best.get(self._group(job), 0.0), answer["cycles"]
            answer = answer | _pruned(f"it had not ended after {cycles} cycles", best, float(cycles))
        elif not answer.get("stored"):
            self._keep(job, answer)
            if is_kept(answer) and self._limits.columns and self._store is not None:
                answer = answer | self._record(job.notes["key"])
        if not answer.get("dry_run"):
            answer = answer | {"estimate": job.notes["estimate"].as_json()}
        if answer["status"] == "finished" and "reason" not in answer and self._limits.minimize:
            group, value = self._group(job), answer.get(self._limits.minimize)
            if value is not None and value < self._best.get(group, float("inf")):
                self._best[group] = float(value)
        self.finish(job.number, answer)

    def _keep(self, job: Job, answer: Answer) -> None:
        if (
            self._store is None
            or ("cap" in job.notes and answer.get("status") == "limit")
            or not is_kept(answer)
        ):
            return
        draft = Path(job.order["record"]) if "record" in job.order else None
        if draft is not None and not draft.is_dir():
            draft = None  # nothing ran, or a fidelity without columns
        self._store.put(job.notes["facts"], answer, draft)

    def _record(self, key: str) -> dict[str, Any]:
        """Where the columns are, if they are there."""
        if self._store is None or not (self._store.path(key) / COLUMNS).is_file():
            return {}
        return {"record": str(self._store.path(key))}

    def _is_complete(self, answer: Answer, key: str) -> bool:
        """Whether an entry has the columns, if they are wanted and the run has any."""
        if not self._limits.columns or answer.get("status") == "error" or answer.get("counted") is False:
            return True
        return bool(self._record(key))

    # -- stopping ------------------------------------------------------------------------------------------

    def _stop(self) -> tuple[str, str] | None:
        if self._cancel is not None and self._cancel.is_set():
            self.why_stopped = "cancelled", "the batch was cancelled"
        elif self._end is not None and time.monotonic() >= self._end:
            self.why_stopped = "budget", f"the budget of {self._limits.budget.seconds:g} s was spent"
        return self.why_stopped


def _figure(estimate: Estimate, figure: str | None) -> float:
    value = estimate.cycles if figure == "cycles" else estimate.seconds
    return float("inf") if value is None else value


def _bound(estimate: Estimate, figure: str | None) -> float:
    bound = float(estimate.lower_bound_cycles)
    return bound if figure == "cycles" else bound / (estimate.clock_hz or float("inf"))


def _pruned(what: str, best: float, bound: float) -> Answer:
    message = f"the run cannot be the best: {what}, the best so far has {best:g}"
    answer = error_answer(None, "Pruned", message, {"code": "pruned", "at_least": bound, "best": best})
    return answer | {"status": "pruned"}
