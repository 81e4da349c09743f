"""Sparse formats of the published local products; `spmm` asks here for what is not dense."""

from __future__ import annotations

import re

from wafersim.validation.asked import in_time
from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric
from wafersim.validation.rows import Row

FORMATS = {"COO": "coo", "CSR": "csr", "CSC": "csc", "ELL": "ell"}


def plan_sparse(row: Row) -> Plan | NoPlan:
    """The local part of a distributed product A B with A in a sparse format; mean over the PEs."""
    text = f"{row.kernel} {row.problem}"
    names = [name for name in FORMATS if re.search(name, text, re.IGNORECASE)]
    if len(names) != 1:
        return NoPlan(f"{row.kernel}: the library has {', '.join(FORMATS)} and dense blocks")
    percent = re.search(r"(\d+(?:\.\d+)?)\s*%", row.problem)
    if percent is None:
        return NoPlan(f"the row gives no density: {row.problem!r}")
    (_, inner), (_, wide) = row.pair("A"), row.pair("B")
    width, height = row.grid()
    rows, cols = row.named("Nt"), row.named("Kt", default=inner // width)
    density = float(percent[1]) / 100
    spec = RunSpec.of(
        "spmm", row.arch, (width, height), format=FORMATS[names[0]], rows=rows, cols=cols, wide=wide,
        permille=round(1000 * density),
    )  # fmt: skip
    entries = rows * cols * density + 1
    return Plan(
        (spec,), in_time(row, metric("local_cycles_mean")), events=width * height * entries * (40.0 + wide)
    )
