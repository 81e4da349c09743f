"""Descriptors (DSDs), descriptor registers (DSRs), FIFOs and scalar pointers as the builder keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from wafersim.program.memory import Array
from wafersim.program.queues import Queue
from wafersim.program.regs import Reg
from wafersim.program.schema import DsdKind, DsrFile, Type
from wafersim.program.source import Where

#: DSRs in each of the three files (FABRICA repository, compiler dump: 16 dest, 16 src0, 16 src1).
DSRS_PER_FILE = 16


@dataclass(eq=False)
class Dsd:
    """A descriptor: a slot of the tile's descriptor table, changed at run time by DSD_SET."""

    tile: Any = field(repr=False)
    slot: int
    kind: DsdKind
    elem_bytes: int  # 0: fabric descriptor not used yet
    extents: tuple[int, ...]
    strides: tuple[int, ...]
    where: Where
    array: Array | None = None
    offset: int = 0  # elements
    byte_offset: int = 0  # bytes, on top of it
    queue: Queue | None = None
    color: int = -1
    control: bool = False
    fifo: Fifo | None = None
    index_offset: bool = False
    advance_switch: bool = False
    name: str = ""


@dataclass(frozen=True)
class DsdChoice:
    """One of several descriptors, chosen at run time: the register holds its slot."""

    dsds: tuple[Dsd, ...]
    slot: Reg


@dataclass(eq=False)
class Dsr:
    """An explicit descriptor register."""

    tile: Any = field(repr=False)
    file: DsrFile
    index: int
    where: Where
    loaded: list[Dsd] = field(default_factory=list, repr=False)
    widths: set[int] = field(default_factory=set, repr=False)


#: What a descriptor field is set in or read from.
AnyDsd: TypeAlias = Dsd | Dsr | DsdChoice


@dataclass(eq=False)
class Fifo:
    """A circular buffer in SRAM; as a vector operand it is endless."""

    tile: Any = field(repr=False)
    id: int
    name: str
    type: Type
    capacity: int
    array: Array
    activate_push: int
    activate_pop: int
    where: Where
    dsd: Dsd | None = None


@dataclass(frozen=True)
class Ptr:
    """A scalar operand in SRAM: the register holds its byte address."""

    reg: Reg
    type: Type | None = None


def infer_fabric_widths(dsds: list[Dsd], dsrs: list[Dsr]) -> None:
    """Element widths of fabric descriptors used only through explicit DSRs (4 bytes if never used)."""
    for dsr in dsrs:
        for dsd in dsr.loaded:
            if dsd.elem_bytes == 0 and len(dsr.widths) == 1:
                dsd.elem_bytes = next(iter(dsr.widths))
    for dsd in dsds:
        if dsd.elem_bytes == 0:
            dsd.elem_bytes = 4
