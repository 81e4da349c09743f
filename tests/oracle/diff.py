"""The differential runner: a program on the oracle and on the engine, compared to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wafersim.program.schema import Counter, Event, Port

from .generate import Generated, generate
from .run import FAULT, FINISHED, STUCK
from .run import Machine as Oracle

MAX_CYCLES = 20_000
STATUS = {0: "finished", 1: "stuck", 2: "limit", 3: "interrupted", 4: "paused", 5: "fault"}


@dataclass
class Result:
    """What a comparison found."""

    generated: Generated
    oracle: Oracle
    status: int
    differences: list[str] = field(default_factory=list)

    def first(self) -> str:
        return self.differences[0] if self.differences else "no difference"


def first_difference(
    name: str, expected: Any, found: Any, axes: Callable[[tuple[int, ...]], str]
) -> list[str]:
    """The first place where two arrays differ, in words."""
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.shape != found.shape:
        return [f"{name}: shape {expected.shape} expected, {found.shape} found"]
    places = np.argwhere(expected != found)
    if not len(places):
        return []
    at = tuple(int(v) for v in places[0])
    return [f"{name}{axes(at)}: oracle {expected[at]}, engine {found[at]} ({len(places)} places differ)"]


def by_column(names: Any) -> Callable[[tuple[int, ...]], str]:
    return lambda at: f" {names(at[2]).name} of PE ({at[1]}, {at[0]})"


def compare(oracle: Oracle, status: int, engine: Any, engine_status: int) -> list[str]:
    """All kinds of differences between two finished machines, the most telling first."""
    if status != engine_status:
        seen = f"; oracle {oracle.faults[:1] or oracle.waits()[:2]}, engine {engine.fault()}"
        return [f"status: oracle {STATUS[status]}, engine {STATUS[engine_status]}{seen}"]
    if status == FAULT:
        return _compare_faults(oracle, engine)
    out = []
    if oracle.cycle != engine.cycle:
        out.append(f"cycles: oracle {oracle.cycle}, engine {engine.cycle}")
    out += _compare_sram(oracle, engine)

    def link(at: tuple[int, ...]) -> str:
        return f" color {oracle.colors[at[0]]} of PE ({at[2]}, {at[1]}) to {Port(at[3]).name}"

    out += first_difference("link wavelets", oracle.link_wavelets(), engine.link_wavelets(), link)
    tiles = np.zeros((oracle.height, oracle.width, 1), np.int64)
    for pe in oracle.computing:  # the page says nothing about PEs without a tile
        tiles[pe.y, pe.x] = 1
    counters = engine.counters() * tiles
    out += first_difference("counters", oracle.counters(), counters, by_column(Counter))
    out += first_difference("events", oracle.events(), engine.events(), by_column(Event))
    if status == STUCK:
        out += _compare_waits(oracle, engine)
    return out + _compare_arrivals(oracle, engine)


def _compare_arrivals(oracle: Oracle, engine: Any) -> list[str]:
    """What the host got from every sink, with its cycles; and that it got nothing else."""
    expected = oracle.arrivals()
    for color in oracle.colors:
        for port in Port:
            found = engine.arrived(0, 0, oracle.width, oracle.height, color, int(port))
            for y, x in np.argwhere(found > 0):
                key = (int(x), int(y), color, int(port))
                values, cycles, control = engine.collect(*key[:2], 1, 1, color, int(port), int(found[y, x]))
                words = list(
                    zip(cycles[0, 0].tolist(), values[0, 0].tolist(), control[0, 0] != 0, strict=True)
                )
                if words != expected.pop(key, None):
                    return [f"arrivals of color {color} by {port.name} of PE ({x}, {y}) differ"]
    return [f"arrivals that the engine lacks: {sorted(expected)}"] if expected else []


def _compare_sram(oracle: Oracle, engine: Any) -> list[str]:
    out = []
    for pe in oracle.computing:
        out += first_difference(
            "SRAM", oracle.sram(pe.x, pe.y), engine.sram(pe.x, pe.y),
            lambda at, pe=pe: f" of PE ({pe.x}, {pe.y}) at {at[0]}",
        )  # fmt: skip
    return out


def _compare_faults(oracle: Oracle, engine: Any) -> list[str]:
    found = engine.fault() or {}
    places = {(f["cycle"], f["x"], f["y"]) for f in oracle.faults}
    if (found.get("cycle"), found.get("x"), found.get("y")) in places:
        return []
    return [f"fault: oracle {oracle.faults}, engine {found}"]


def _compare_waits(oracle: Oracle, engine: Any) -> list[str]:
    expected = sorted((w["x"], w["y"], w["thread"]) for w in oracle.waits())
    found = sorted((w["x"], w["y"], w["thread"]) for w in engine.waits() if w["thread"].startswith("m"))
    expected = [w for w in expected if w[2] != "launch"]
    return [] if expected == found else [f"waits: oracle {expected}, engine {found}"]


def run_twice(generated: Generated, machine: Any) -> int:
    """Run; if nothing can happen any more and the host has more to feed, feed it and go on."""
    status = int(machine.run(MAX_CYCLES))
    if status in (FINISHED, STUCK) and getattr(generated, "more_feeds", ()):
        generated.feed(machine, generated.more_feeds)
        status = int(machine.run(MAX_CYCLES))
    return status


def run_oracle(generated: Generated, **options: Any) -> tuple[Oracle, int]:
    """The program on the oracle."""
    oracle = generated.make(Oracle, **options)
    return oracle, run_twice(generated, oracle)


def run_engine(generated: Generated, machine: Any) -> tuple[Any, int]:
    """The program on the engine."""
    engine = generated.make(machine)
    return engine, run_twice(generated, engine)


def check(seed: int, machine: Any, keep: Callable[[str, int], bool] | None = None) -> Result:
    """Generate, run on both, compare."""
    generated = generate(seed, keep)
    oracle, status = run_oracle(generated)
    result = Result(generated, oracle, status)
    engine, engine_status = run_engine(generated, machine)
    result.differences = compare(oracle, status, engine, engine_status)
    return result
