"""Facts of a machine that users look up and the engine does not read."""

from __future__ import annotations

from wafersim.arch.fields import Field


def _count(name: str, unit: str, high: float, description: str, low: float = 1) -> Field:
    return Field(name, "int", unit, low, high, description, required=False, engine=False)


def _number(name: str, unit: str, high: float, description: str) -> Field:
    return Field(name, "number", unit, 0, high, description, required=False, engine=False)


def _must(field: Field) -> Field:
    return Field(field.name, field.kind, field.unit, field.low, field.high, field.description, engine=False)


FACT_FIELDS: tuple[Field, ...] = (
    _must(_count("clock_hz", "Hz", 10**11, "clock that converts cycles to seconds", low=1_000_000)),
    _must(_count("fabric_width", "PEs", 65_535, "columns of the whole fabric")),
    _must(_count("fabric_height", "PEs", 65_535, "rows of the whole fabric")),
    _must(_count("usable_width", "PEs", 65_535, "columns open to a program when the host library is on")),
    _must(_count("usable_height", "PEs", 65_535, "rows open to a program when the host library is on")),
    _count("marketed_cores", "cores", 10**8, "number of cores in the vendor's material"),
    _count("num_banks", "banks", 1024, "SRAM banks of a PE"),
    _count("bank_word_bytes", "bytes", 64, "consecutive words of this size lie in consecutive banks"),
    _count("program_overhead_bytes", "bytes", 1 << 20, "SRAM a minimal program with host access occupies"),
    _count("program_offset_x", "PEs", 1024, "columns the host library takes west of a program", low=0),
    _count("program_offset_y", "PEs", 1024, "rows the host library takes north of a program", low=0),
    _count("halo_width", "PEs", 1024, "columns the host library takes in all", low=0),
    _count("halo_height", "PEs", 1024, "rows the host library takes in all", low=0),
    _count("max_filters", "filters", 1024, "input filters a PE can have", low=0),
    _count("pipeline_stages", "stages", 100, "stages of the core's pipeline"),
    _count("host_links", "links", 1024, "physical links to the host"),
    _number("host_link_bits_per_second", "bit/s", 1e15, "rate of one physical link"),
    _count("host_entry_points_per_edge", "rows", 65_535, "entry points on the east and the west edge each"),
    _count("host_channels", "channels", 1024, "channels a program can open"),
    _number("host_channel_bits_per_second", "bit/s", 1e15, "ceiling of one channel"),
    _number("host_transaction_seconds", "s", 1e3, "time of one host transaction"),
    _number("host_launch_seconds", "s", 1e3, "time to launch a device function from the host"),
    _number("io_latency_seconds", "s", 1e3, "latency of the wafer's input and output"),
    _number("memory_bandwidth_bytes_per_second", "byte/s", 1e20, "memory bandwidth in the vendor's material"),
    _number("fabric_bandwidth_bits_per_second", "bit/s", 1e20, "fabric bandwidth in the vendor's material"),
    _number("peak_flops", "FLOP/s", 1e21, "peak in the vendor's material; its note says which kind"),
    _number("system_power_watts", "W", 1e7, "power of one system"),
    _number("core_power_watts", "W", 1e3, "peak power of one core"),
    _number("transistors", "transistors", 1e15, "transistors of the wafer"),
    _number("process_nm", "nm", 1e3, "process node"),
    _number("die_area_mm2", "mm2", 1e6, "area of the wafer-scale die"),
    _number("wafer_sram_bytes", "bytes", 1e15, "SRAM of the wafer in the vendor's material"),
    _number("rack_units", "rack units", 1e3, "height of a system"),
)
