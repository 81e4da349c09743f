"""One way to benchmark a run: a fresh simulator and a checked answer each round, the figures stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wafersim as ws

#: rounds of each benchmark
ROUNDS = 3


def measure(
    benchmark: Any,
    program: ws.MachineProgram,
    *,
    fill: Callable[[ws.Simulator], None] | None = None,
    check: Callable[[ws.Simulator, ws.Record], None],
    rates: Callable[[ws.Record], dict[str, float]],
) -> ws.Record:
    """Time ``Simulator.run`` alone; ``rates`` gives amounts of work, stored per second of the best round."""
    kept: list[tuple[ws.Simulator, ws.Record]] = []

    def fresh() -> tuple[tuple[ws.Simulator], dict[str, Any]]:
        sim = ws.Simulator(program)
        if fill is not None:
            fill(sim)
        sim.launch("main")
        return (sim,), {}

    def run(sim: ws.Simulator) -> None:
        kept.append((sim, sim.run()))

    benchmark.pedantic(run, setup=fresh, rounds=ROUNDS, iterations=1)
    for sim, record in kept:
        assert record.status == "finished"
        check(sim, record)
    record = min((record for _, record in kept), key=lambda record: float(record.info["wall_s"]))
    store(benchmark, record, rates(record))
    return record


def store(benchmark: Any, record: ws.Record, work: dict[str, float]) -> None:
    """Cycles, events, PEs, memory and rates of a record as the benchmark's extra information."""
    wall = float(record.info["wall_s"])
    benchmark.extra_info |= {
        "cycles": record.cycles,
        "events": record.info["events"],
        "pes": record.width * record.height,
        "peak_rss_bytes": record.info["peak_rss_bytes"],
        **{f"{name}_per_second": amount / wall for name, amount in work.items()},
    }
    rates = ", ".join(f"{amount / wall / 1e6:.2f} M {name}/s" for name, amount in work.items())
    size = f"{record.cycles:,} cycles, {record.info['events']:,} events"
    print(f"\n{benchmark.name}: {rates} ({size}, {wall:.2f} s)")
