"""What a wafer offers to a model: room for data, PEs, links to the next wafer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wafersim.models.accounting.assumption import Assumption

if TYPE_CHECKING:
    from wafersim.arch import Arch

#: share of SRAM for weights, keys and values; the rest is code, buffers, imbalance
FILL = 0.85

#: SRAM that the code and the runtime of real kernels occupy (FABRICA, compiled programs)
KERNEL_BYTES = 5939

#: dense fp16 peak by generation: cores x SIMD width x 2 x clock
DENSE_FLOPS = {2: 7.5e15, 3: 15.6e15}

_DENSE_SOURCE = {
    2: "850,000 cores x 4 fp16 multiply-adds x 2 x 1.1 GHz",
    3: "900,000 cores x 8 fp16 multiply-adds x 2 x 1.085 GHz; the vendor's 125e15 counts sparsity",
}

#: latency of a wafer's input and output where the arch has none
IO_LATENCY_S = 5e-6


@dataclass(frozen=True, slots=True)
class Wafer:
    """One wafer as a place for layers.

    Attributes
    ----------
    sram_bytes : int
        SRAM of the wafer in the vendor's material; `fill` of it may hold data.
    pe_bytes : int
        SRAM of one PE.
    overhead_bytes : int
        SRAM of one PE that a program with host access occupies at least.
    """

    arch: str
    width: int
    height: int
    sram_bytes: int
    pe_bytes: int
    overhead_bytes: int
    fill: float
    link_bytes_per_s: float
    link_latency_s: float
    clock_hz: float
    hop_cycles: int
    dense_flops: float
    sram_bytes_per_s: float

    @staticmethod
    def of(arch: Arch, fill: float = FILL) -> Wafer:
        generation = int(arch.generation)
        latency = _fact(arch, "io_latency_seconds", IO_LATENCY_S)
        pes = int(arch.usable_width) * int(arch.usable_height)
        sram = _fact(arch, "wafer_sram_bytes", pes * int(arch.sram_bytes))
        bandwidth = _fact(arch, "memory_bandwidth_bytes_per_second", 24.0 * pes * float(arch.clock_hz))
        links = _fact(arch, "host_links", 12.0)
        rate = _fact(arch, "host_link_bits_per_second", 1e11)
        overhead = int(_fact(arch, "program_overhead_bytes", 4176))
        return Wafer(
            arch=arch.name,
            width=int(arch.usable_width),
            height=int(arch.usable_height),
            sram_bytes=int(sram),
            pe_bytes=int(arch.sram_bytes),
            overhead_bytes=overhead,
            fill=fill,
            link_bytes_per_s=links * rate / 8,
            link_latency_s=latency,
            clock_hz=float(arch.clock_hz),
            hop_cycles=int(arch.hop_cycles),
            dense_flops=DENSE_FLOPS.get(generation, DENSE_FLOPS[3]),
            sram_bytes_per_s=bandwidth,
        )

    @property
    def pes(self) -> int:
        return self.width * self.height

    @property
    def data_bytes(self) -> int:
        """Bytes of weights, keys and values on the wafer."""
        return int(self.sram_bytes * self.fill)

    @property
    def pe_data_bytes(self) -> int:
        """Bytes of them on one PE: an even share, and never more than fit."""
        return min(self.data_bytes // self.pes, self.pe_most_bytes)

    @property
    def pe_most_bytes(self) -> int:
        """Bytes of data that the fullest PE may hold: SRAM without the code of real kernels."""
        return self.pe_bytes - max(self.overhead_bytes, KERNEL_BYTES)

    def rows_for(self, size: int) -> int:
        """Rows of PEs, over the whole width, that hold so many bytes."""
        return -(-size // (self.width * self.pe_data_bytes)) if size else 0

    def assumptions(self, arch: Arch) -> list[Assumption]:
        """What this view of the machine takes for granted."""
        own_latency = arch.has("io_latency_seconds")
        source = arch.get("io_latency_seconds").source if own_latency else "taken as on CS-3"
        dense = _DENSE_SOURCE.get(int(arch.generation), _DENSE_SOURCE[3])
        return [
            Assumption("fill", self.fill, "the rest is code, buffers and imbalance", "choice"),
            Assumption("wafer_sram_bytes", self.sram_bytes, _source(arch, "wafer_sram_bytes"), "secondary"),
            Assumption("clock_hz", self.clock_hz, _source(arch, "clock_hz"), "read",
                       note="0.85 to 1.1 GHz by source; the range of tpot_s covers it"),
            Assumption("link_bytes_per_s", self.link_bytes_per_s,
                       _source(arch, "host_link_bits_per_second"), "read",
                       note="all links of a system between two wafers"),
            Assumption("link_latency_s", self.link_latency_s, source, "secondary" if own_latency else "low"),
            Assumption("dense_flops", self.dense_flops, dense, "derived"),
            Assumption("sram_bytes_per_s", self.sram_bytes_per_s,
                       _source(arch, "memory_bandwidth_bytes_per_second"), "secondary"),
        ]  # fmt: skip


def _fact(arch: Arch, name: str, default: float) -> float:
    return float(arch.get(name).value) if arch.has(name) else float(default)


def _source(arch: Arch, name: str) -> str:
    return str(arch.get(name).source) if arch.has(name) else "design choice"
