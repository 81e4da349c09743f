"""Power of systems and energy of a token: a large static share, and energies per operation, byte and hop.

An idle system draws most of its power.  Energy per token is therefore static power over throughput, and
concurrency decides it; the dynamic part is a bound from data sheets and press, with a wide range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wafersim.deploy.facts import Facts
from wafersim.deploy.ranges import Range
from wafersim.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TokenWork:
    """What one token makes the machine do.

    Attributes
    ----------
    flops : float
        Operations; a multiply-add is two.
    sram_bytes : float
        Bytes read and written in SRAM.
    wavelet_hops : float
        Hops of 32-bit wavelets.
    io_bytes : float
        Bytes over links between systems.
    """

    flops: float
    sram_bytes: float = 0.0
    wavelet_hops: float = 0.0
    io_bytes: float = 0.0

    def joules(self, facts: Facts) -> dict[str, Range]:
        """Dynamic energy by cause."""
        return {
            "flops": self.flops * facts.range("joules_per_flop"),
            "sram": self.sram_bytes * facts.range("joules_per_sram_byte"),
            "hops": 32.0 * self.wavelet_hops * facts.range("joules_per_hop_bit"),
            "io": 8.0 * self.io_bytes * facts.range("joules_per_io_bit"),
        }


def static_w(facts: Facts) -> Range:
    """Power of a system that does nothing."""
    return facts.range("system_w") * facts.range("static_fraction")


def system_w(activity: float, facts: Facts) -> Range:
    """Power of a system at an activity between 0 (idle) and 1 (its full power).

    ``P = TDP (static + (1 - static) activity)``; arXiv 2604.10852 measured about 0.8 idle and 1 in prefill
    and decode.
    """
    if not 0 <= activity <= 1:
        raise ConfigError(f"activity {activity!r}: expected 0 to 1")
    static = facts.range("static_fraction")
    ends = [s + (1.0 - s) * activity for s in (static.value, static.low, static.high)]
    return facts.range("system_w") * Range(*ends)


@dataclass(frozen=True, slots=True)
class Energy:
    """Power of a service and energy of its tokens."""

    systems: int
    tokens_per_s: Range
    static_joules: Range
    dynamic_joules: dict[str, Range]
    power: Range

    @property
    def joules_per_token(self) -> Range:
        """Power over throughput."""
        return self.power / self.tokens_per_s

    @property
    def static_share(self) -> float:
        """Static part of the expected energy of a token."""
        dynamic = sum(part.value for part in self.dynamic_joules.values())
        return self.static_joules.value / (self.static_joules.value + dynamic)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "power_w": self.power.as_dict(),
            "joules_per_token": self.joules_per_token.as_dict(),
            "static_joules_per_token": self.static_joules.as_dict(),
            "dynamic_joules_per_token": {k: v.as_dict() for k, v in self.dynamic_joules.items()},
            "static_share": self.static_share,
        }


def serving_energy(
    systems: int, tokens_per_s: Range | float, work: TokenWork, facts: Facts | None = None
) -> Energy:
    """Power and energy per token of a service.

    Parameters
    ----------
    systems : int
        Systems that are switched on.
    tokens_per_s : Range or float
        Tokens of answers that all of them make together.
    work : TokenWork
        What one of these tokens takes.
    facts : Facts, optional
        The assumptions.

    Returns
    -------
    Energy
        The expected power is static power plus the dynamic energies, at most the full power; its range goes
        from that of an idle system to that of a busy one, because dynamic energies have not been measured.
    """
    facts = facts or Facts.load()
    speed = Range.of(tokens_per_s)
    if systems < 1 or not speed.low > 0:
        raise ConfigError(f"{systems} systems at {tokens_per_s!r} tokens/s: expected both above 0")
    idle, full = static_w(facts) * systems, facts.range("system_w") * systems
    dynamic = work.joules(facts)
    total = idle.value + speed.value * sum(part.value for part in dynamic.values())
    expected = min(total, full.value)
    return Energy(
        systems, speed, idle / speed, dynamic,
        Range(expected, min(idle.low, expected), max(full.high, expected)),
    )  # fmt: skip
