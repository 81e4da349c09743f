"""Collectives: formulas (family HPDCM) and the constants of the published model (HPDC)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wafersim.errors import ConfigError
from wafersim.validation.asked import element_type, in_time
from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric, per_unit
from wafersim.validation.rows import Row

#: words of a row's kernel text -> algorithm of the library; the first that is found counts
ALGORITHMS = {
    r"two[ -]?phase": "two_phase",
    r"binary|tree": "tree",
    r"snake": "snake",
    r"ring": "ring",
    r"chain": "chain",
    r"star": "star",
}
#: Engine events from which on a row is run at fidelity stream: the same cycles, no values.  (A ring never:
#: its situations do not recur, which costs more than its words.)
STREAM_EVENTS = 2e7
#: Words that fit a PE beside the program.
MOST_WORDS = 11_000


def plan_collective_formula(row: Row) -> Plan | NoPlan:
    """Collectives along a row of P PEs (written ``1xP``, height first) or over a rectangle.

    The window runs from the first word into a ramp to the last word out of one.
    """
    height, width = row.grid()
    element_type(row, "f32")
    words = _words(row)
    text = row.kernel.lower()
    if re.search(r"auto|lower bound|optimal|vendor|speed", text):
        return NoPlan(f"{row.kernel}: a bound or a search over programs, not one program")
    if words > MOST_WORDS:
        return NoPlan(f"{words} words of 4 bytes do not fit the SRAM of a PE")
    grid = _grid(text, width, height)
    if re.search(r"broadcast|bcast", text) and not re.search(r"reduce", text):
        return _plan(row, RunSpec.of("broadcast", row.arch, grid, words=words), words * grid[0] * grid[1])
    algorithm = next((name for word, name in ALGORITHMS.items() if re.search(word, text)), None)
    if algorithm is None:
        known = "broadcast, star, chain, binary tree, two-phase, snake, ring"
        return NoPlan(f"{row.kernel}: none of the library's collectives ({known})")
    everywhere = algorithm == "ring" or re.search(r"all[ -]?reduce", text) is not None
    params: dict[str, Any] = {"words": words, "algorithm": algorithm}
    if min(grid) > 1:
        params["axis"] = "xy"
    spec = RunSpec.of("allreduce" if everywhere else "reduce", row.arch, grid, **params)
    return _plan(row, spec, words * grid[0] * grid[1] * _crossings(algorithm, max(grid)))


def _words(row: Row) -> int:
    """B in words of 4 bytes; a source that counts bytes says so behind the number."""
    count = row.named("B")
    if not re.search(r"\bB\s*[=:]?\s*[\d,.^KkMG]+\s*(?:bytes?|B)\b", row.problem):
        return count
    if count % 4:
        raise ConfigError(f"row {row.id}: {count} bytes are no words of 4")
    return count // 4


def _grid(text: str, width: int, height: int) -> tuple[int, int]:
    """The rectangle; a program that is named 1D runs along the longer side only."""
    if re.search(r"\b1-?d\b", text) and min(width, height) > 1:
        return max(width, height), 1
    return width, height


def _crossings(algorithm: str, pes: int) -> float:
    """Links that a word of a PE crosses, about."""
    return {"star": pes / 2, "tree": 5.0, "two_phase": 2.0, "ring": 4.0}.get(algorithm, 1.0)


def _plan(row: Row, spec: RunSpec, link_words: float) -> Plan:
    """Many words: at fidelity stream, where the cost does not grow with them."""
    events = 4.0 * link_words
    recurs = dict(spec.params).get("algorithm") != "ring"
    if events < STREAM_EVENTS or spec.arch == "wse3" or not recurs:
        return Plan((spec,), in_time(row, metric("window_cycles")), events=events)
    ops = 200.0 * spec.grid[0] * spec.grid[1]
    return Plan((spec.at("stream"),), in_time(row, metric("window_cycles")), events=ops)


def plan_collective_machine(row: Row) -> Plan | NoPlan:
    """The two machine constants of the published collective model, from runs that show them."""
    what = row.metric.lower()
    if what.startswith("hop latency"):
        pair = tuple(RunSpec.of("broadcast", row.arch, (pes, 1), words=1) for pes in (16, 48))
        return Plan(pair, per_unit("window_cycles", 32))
    if what.startswith("ramp latency"):
        chain = tuple(
            RunSpec.of("reduce", row.arch, (pes, 1), words=1, algorithm="chain") for pes in (16, 48)
        )
        return Plan(chain, _ramp_of_chain)
    if what.startswith("start skew"):
        return NoPlan("all PEs start in the same cycle here; the skew of a real launch is not simulated")
    if re.search(r"vendor|speed-?up", what):
        return NoPlan(
            "a comparison with the vendor's collectives, whose source is not public", flag="not_public"
        )
    if re.search(r"factor|error|bound", what):
        return NoPlan("the row compares formulas or formulas with silicon, it is no time of a program")
    try:
        return plan_collective_formula(row)
    except ConfigError as error:
        return NoPlan(
            f"metric {row.metric!r}: the row names no single program with its words and PEs ({error})"
        )


def _ramp_of_chain(metrics: Sequence[Mapping[str, Any]]) -> float:
    """T_R from the slope of a chain, 2 T_R + 2 cycles per PE."""
    return (per_unit("window_cycles", 32)(metrics) - 2) / 2


RECIPES = {"HPDCM": plan_collective_formula, "HPDC": plan_collective_machine}
