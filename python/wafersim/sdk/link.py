"""Time on the link between host and wafer: a model of its own, in seconds, never in cycles.

A command that the host waits for pays one transaction; data take their bits divided by the rate of the
channels that the program was compiled with (every element takes a 32-bit word on the link, also one of 16
bits); a launch pays the time of a launch. Commands that the host does not wait for pay no transaction. Device
cycles do not run meanwhile: copies are exact in what they do and take no cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wafersim.errors import ConfigError

if TYPE_CHECKING:
    from wafersim.arch import Arch

WORD_BITS = 32


@dataclass(frozen=True)
class Link:
    """Rate in bit/s of all channels, and the times of a transaction and of a launch in seconds."""

    bits_per_second: float
    transaction_seconds: float
    launch_seconds: float

    @classmethod
    def of(cls, arch: Arch, channels: int) -> Link:
        """The link of an arch with so many channels (as many as it has at most)."""
        used = max(1, min(channels, int(_constant(arch, "host_channels", 16))))
        transaction = _constant(arch, "host_transaction_seconds", 0.0)
        return cls(
            used * _constant(arch, "host_channel_bits_per_second", 7e9),
            transaction,
            _constant(arch, "host_launch_seconds", transaction),
        )

    def copy_seconds(self, words: int, waited_for: bool) -> float:
        """A copy of so many words in one direction."""
        return words * WORD_BITS / self.bits_per_second + (self.transaction_seconds if waited_for else 0.0)


def _constant(arch: Arch, name: str, default: float) -> float:
    try:
        return float(arch.get(name).value)
    except ConfigError:
        return default
