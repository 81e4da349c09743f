"""Rows about chips and services that no program of one wafer reproduces: CHIP, INF."""

from __future__ import annotations

from wafersim.validation.plan import NoPlan, Plan
from wafersim.validation.rows import Row


def plan_chip(row: Row) -> Plan | NoPlan:
    """Constants of a chip: inputs of the profiles, so comparing them with themselves proves nothing."""
    return NoPlan("a constant of a chip, no time of a program; what the profiles hold: wafersim arch show")


def plan_served(row: Row) -> Plan | NoPlan:
    """Speeds of a public service."""
    return NoPlan(
        "speed of a public service: its program, precision, batching and number of wafers are not public",
        flag="not_public",
    )


RECIPES = {"CHIP": plan_chip, "INF": plan_served}
