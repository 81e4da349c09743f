"""Host memory of a run whose upper bound says too little: its program is built and measured."""

from __future__ import annotations

from wafersim.batch.children import serve_isolated
from wafersim.batch.scheduler import Job


def measure(job: Job, total: int | None, workers: int) -> None:
    """Settle ``job.num_bytes``.

    Parameters
    ----------
    job : Job
        With an upper bound, or None where there is none; an upper bound that lets all workers run side by
        side is good enough.
    total : int or None
        Bytes that all runs together may take; without a limit nothing is measured.
    workers : int

    Notes
    -----
    The program is built in an isolated process, within the time that its run may take. One that cannot be
    built counts nothing: its run will say why.
    """
    if total is None:
        job.num_bytes = 0
    elif job.num_bytes is None or job.num_bytes > total / workers:
        order = {"fields": job.order["fields"] | {"dry_run": True}}
        if "timeout" in job.order:
            order["timeout"] = job.order["timeout"]
        job.num_bytes = int(serve_isolated(order).get("estimate_host_bytes", 0))
