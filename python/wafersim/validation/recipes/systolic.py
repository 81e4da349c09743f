"""The host link: family SYST, products whose operands the host streams in beat by beat.

Time on the wafer is hidden behind the host: a 32x32 grid multiplies a beat in less than 0.2 ms.  So the rows
test the model of the link, time = launch + beats x pause + bytes / rate, and are reported apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wafersim.validation.plan import NoPlan, Plan
from wafersim.validation.rows import Row

#: Pause between beats, and rate of a stream, whatever the number of channels; fitted on the rows with the
#: fewest and the most bytes.  Documented are about 200 us per transaction and a ceiling of 7 Gb/s = 875 MB/s.
BEAT_SECONDS, BYTES_PER_SECOND = 251e-6, 667e6
FITTED_ON = ("SYST-003", "SYST-012")
#: Rows are compared with a wide tolerance: the link is no part of the simulated machine.
TOLERANCE = 0.20


@dataclass(frozen=True)
class HostStream:
    """A launch and ``beats`` transfers of ``beat_bytes`` each; equal ones are measured once."""

    arch: str
    beats: int
    beat_bytes: int
    fidelity: str = "formula"

    def text(self) -> str:
        """The formula with its numbers."""
        return f"launch + {self.beats} x (pause + {self.beat_bytes} bytes / rate)"

    def measure(self) -> Mapping[str, Any]:
        """Seconds."""
        from wafersim.arch import Arch

        launch = float(Arch.load("wse3").host_launch_seconds)  # the one generation for which it is published
        seconds = launch + self.beats * (BEAT_SECONDS + self.beat_bytes / BYTES_PER_SECOND)
        return {"seconds": seconds, "cycles": seconds * float(Arch.load(self.arch).clock_hz)}


def plan_systolic(row: Row) -> Plan | NoPlan:
    """Bytes of A and B in beats along the shared dimension."""
    beats = row.number(r"(\d+)\s*beats?\b")
    m, k, n = (row.named(name) for name in ("M", "K", "N"))
    run = HostStream(row.arch, beats, 4 * (m + n) * (-(-k // beats)))
    return Plan((run,), lambda found: row.from_cycles(float(found[0]["cycles"])), tolerance=TOLERANCE)


RECIPES = {"SYST": plan_systolic}
