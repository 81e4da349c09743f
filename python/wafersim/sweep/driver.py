"""Runs the points of a sweep that are not done yet, and goes on where a killed process stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wafersim._version import __version__
from wafersim.batch.executors import choose
from wafersim.batch.facts import is_kept
from wafersim.batch.measuring import measure
from wafersim.batch.scheduler import Job, Scheduler
from wafersim.batch.serving import failure
from wafersim.errors import ConfigError
from wafersim.estimates import bytes_at_most
from wafersim.simulate import request as requests
from wafersim.simulate.footprint import SHARE, available_bytes
from wafersim.store import ResultStore, code_digest, key_of
from wafersim.sweep import folder as folders
from wafersim.sweep.axes import all_points
from wafersim.sweep.journal import Journal, Lock
from wafersim.sweep.lines import wrong_line
from wafersim.sweep.points import facts_of, order_of
from wafersim.sweep.results import KEPT, Row, excess_of, figure_of, row_of, wanted_figures
from wafersim.sweep.search import Search
from wafersim.sweep.spec import Spec

Answer = dict[str, Any]


@dataclass
class SweepResult:
    """What a sweep found.

    Attributes
    ----------
    rows : list of Row
        All points, in their order.
    runs, found : int
        Runs of this call, and answers that the store had.
    left_by : str or None
        Number of the process that left the sweep without finishing, if one did.
    """

    spec: Spec
    folder: Path
    rows: list[Row]
    runs: int = 0
    found: int = 0
    left_by: str | None = None


def _by_chance(spec: Spec, journal: Journal) -> list[int]:
    """Points with a failure that another try may not have."""
    if spec.mode == "bayesian":
        raise ConfigError("sweep: a bayesian search cannot try single points again; use a new directory")
    codes = tuple(f"{code}:" for code in ("timeout", "crashed", "host_memory", "cancelled", "interrupted"))
    return [
        number
        for number, line in journal.points.items()
        if any(f"{entry.get('problem')}:".startswith(codes) for entry in line["targets"].values())
    ]


@dataclass
class _Point:
    number: int
    values: dict[str, Any]
    answers: dict[str, Answer] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)


def run_sweep(
    spec: Spec,
    folder: str | Path,
    *,
    executor: Any = None,
    workers: int | None = None,
    store: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    retry: bool = False,
) -> SweepResult:
    """Run a sweep to its end; points that are done are not run again.

    Parameters
    ----------
    spec : Spec
        From `load_spec`.
    folder : str or Path
        Directory of the sweep: new, empty, or the one that an earlier call began.
    executor, workers
        As in `wafersim.evaluate`.
    store : str or Path, optional
        A `ResultStore` shared with other sweeps; default one in the folder.
    progress : callable, optional
        Called with points done and points in all, one call at a time, from any thread.

    retry : bool
        Run points again that failed by chance: time-outs, crashes, memory. Not for searches, whose later
        points rest on the earlier ones.

    Raises
    ------
    ConfigError
        The folder holds something else, or another process works on it; a store or executor that cannot be
        used. A point that fails is a row with its problem.
    """
    path = folders.opened(Path(folder))
    lock = Lock(path)
    try:
        folders.keep_spec(path, spec)
        header = {"spec": spec.digest(), "code": code_digest(), "wafersim": __version__}
        if spec.mode == "bayesian":
            header["optuna"] = Search.version()
        journal = Journal(path, header)
        try:
            journal.check(lambda number, line: wrong_line(spec, number, line))
            if retry:
                journal.forget(_by_chance(spec, journal))
            with ResultStore(path / "store" if store is None else store) as opened:
                sweep = _Sweep(spec, journal, opened, progress)
                sweep.run(executor, workers)
        finally:
            journal.close()
        rows = [row_of(spec, journal.points[number]) for number in sorted(journal.points)]
        folders.write_tables(path, spec, rows)
        return SweepResult(spec, path, rows, sweep.runs, sweep.found, lock.left_by)
    finally:
        lock.release()


class _Sweep:
    def __init__(
        self, spec: Spec, journal: Journal, store: ResultStore, progress: Callable[[int, int], None] | None
    ) -> None:
        self._spec = spec
        self._journal = journal
        self._store = store
        self._progress = progress
        self._total: int | None = None
        self._workers = 1
        self.runs = self.found = 0

    def run(self, executor: Any, workers: int | None) -> None:
        chosen = choose(executor, workers, None)
        self._total = None if chosen.is_remote else int(SHARE * available_bytes())
        self._workers = chosen.workers
        try:
            self._say()
            if self._spec.mode == "bayesian":
                self._search(Search(self._spec), lambda points: self._carry_out(chosen, points))
            else:
                listed = all_points(self._spec.mode, self._spec.axes, self._spec.seed, self._spec.points)
                self._carry_out(chosen, (_Point(n, values) for n, values in enumerate(listed)))
        finally:
            chosen.close()

    def _carry_out(self, chosen: Any, points: Iterable[_Point]) -> None:
        Scheduler(chosen, self._total, lambda: None).run(
            self._jobs(points), self._before, self._done, eager=True
        )

    def _search(self, search: Search, carry_out: Callable[[list[_Point]], None]) -> None:
        """Suggestions in batches, told in their order, whatever the order in which they end."""
        for first in range(0, self._spec.points, self._spec.batch):
            count = min(self._spec.batch, self._spec.points - first)
            asked = search.suggest(count)
            points = [_Point(first + k, values) for k, (_, values) in enumerate(asked)]
            for point in points:
                done = self._journal.points.get(point.number)
                if done is not None and done["values"] != point.values:
                    raise ConfigError(
                        f"sweep: point {point.number} of the journal is {done['values']}, the search "
                        f"suggests {point.values}; choose another directory with --out"
                    )
            carry_out(points)
            for point, (trial, _) in zip(points, asked, strict=True):
                line = self._journal.points[point.number]
                search.tell(trial, line["figures"], excess_of(self._spec.constraints, line["figures"]))

    # -- jobs ----------------------------------------------------------------------------------------------

    def _jobs(self, points: Iterable[_Point]) -> Iterator[Job]:
        number = 0
        for point in points:
            if point.number in self._journal.points:
                continue
            for target in self._spec.targets:
                job = Job(number, order_of(self._spec, target, point.values))
                job.notes = {"point": point, "target": target.name}
                number += 1
                yield job

    def _before(self, job: Job) -> Answer | None:
        """From the store, or refused; else what the run takes of the memory."""
        if "key" not in job.notes:
            try:
                job.notes["facts"] = facts_of(job.order)
                job.notes["key"] = key_of(job.notes["facts"])
                if "call" not in job.order:
                    job.num_bytes = bytes_at_most(requests.from_fields(job.order["fields"]))
            except Exception as error:
                return failure(error)
        known = self._store.get(job.notes["key"])
        if known is not None:
            self.found += 1
            return known | {"stored": True}
        self.runs += 1
        if "call" not in job.order:
            measure(job, self._total, self._workers)
        return None

    def _done(self, job: Job, answer: Answer) -> None:
        key = job.notes.get("key")
        if key is not None and not answer.get("stored") and is_kept(answer):
            self._store.put(job.notes["facts"], answer)
        point: _Point = job.notes["point"]
        point.answers[job.notes["target"]] = answer
        if key is not None:
            point.keys[job.notes["target"]] = key
        if len(point.answers) == len(self._spec.targets):
            self._journal.add(_line(self._spec, point))
            self._say()

    def _say(self) -> None:
        if self._progress is not None:
            self._progress(len(self._journal.points), self._spec.points)


def _line(spec: Spec, point: _Point) -> dict[str, Any]:
    """What the journal says of a point."""
    good = {name: answer for name, answer in point.answers.items() if problem_of(answer) is None}
    figures = {name: figure_of(good, point.values, name) for name in wanted_figures(spec)}
    if len(good) < len(point.answers):  # a figure without its target's name would be another target's
        figures = {name: value if "." in name else None for name, value in figures.items()}
    targets = {}
    for target in spec.targets:
        answer = point.answers[target.name]
        entry = {name: answer[name] for name in (*KEPT, "status", "wall_s") if name in answer}
        targets[target.name] = {**entry, "key": point.keys.get(target.name), "problem": problem_of(answer)}
    return {"point": point.number, "values": point.values, "figures": figures, "targets": targets}


def problem_of(answer: Answer) -> str | None:
    """Why an answer has no figures that count; None if it has."""
    reason = answer.get("reason") or {}
    if answer["status"] == "finished" and not reason:
        return None
    error = answer.get("error") or {}
    code = str(reason.get("code", answer["status"]))
    return f"{code}: {' '.join(str(error['message']).split())[:300]}" if error.get("message") else code
