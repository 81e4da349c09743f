"""Remarks in the vendor's public examples: family CSLX."""

from __future__ import annotations

import re

from wafersim.validation.plan import NoPlan, Plan
from wafersim.validation.rows import Row

REASONS = (
    (r"clock", "the clock is an input of the profiles, which take it from this very source"),
    (r"division", "a constant of the profiles (cost_fdiv), which take it from this very source"),
    (r"host link|link", "the host and its links are not simulated; the profiles hold the figure as a fact"),
)


def plan_remark(row: Row) -> Plan | NoPlan:
    """Comments with nominal figures, none of them a time of a program."""
    for pattern, reason in REASONS:
        if re.search(pattern, row.kernel, re.IGNORECASE):
            return NoPlan(reason)
    return NoPlan("a remark in a comment, no time of a program")


RECIPES = {"CSLX": plan_remark}
