"""Low and high ends of a time: clock, layer time, link latency as far as sources differ."""

from __future__ import annotations

from wafersim.models.placement.planner import Plan, Planner

#: the fastest clock that a source uses for these machines (Hot Chips 34; WaferLLM's released code)
FAST_CLOCK_HZ = 1.1e9

#: the shortest wafer-to-wafer latency that is claimed (Hot Chips 2026 coverage, of a later system)
FAST_LINK_S = 2e-6


def tpot_range(planner: Planner, plan: Plan, tpot_s: float) -> dict[str, object]:
    """Where the time per token may lie.

    The low end takes the fastest clock and link of any source and layer times too long by their error,
    the high end layer times too short by as much.
    """
    link = plan.placed.link_s(plan.rhythm.batch) / planner.speculation.tokens_per_pass
    link = min(link, tpot_s)
    error = planner.speed.costs.error
    clock = min(1.0, planner.speed.clock_hz / FAST_CLOCK_HZ)
    fast_link = min(1.0, FAST_LINK_S / planner.wafer.link_latency_s) if planner.wafer.link_latency_s else 1.0
    low = (tpot_s - link) * clock * (1 - error) + link * fast_link
    high = (tpot_s - link) * (1 + error) + link
    return {
        "low": low,
        "high": high,
        "because": f"clock up to {FAST_CLOCK_HZ / 1e9:.1f} GHz, layer times +-{error:.0%}, link from 2 us",
    }
