"""The types of CSL.

Types are immutable and compared with ``==``; struct and enum types are nominal (each declaration is a new
type). ``size_bytes`` and ``align`` describe storage in SRAM; types that live only at compile time have size
0 and ``comptime_only`` True.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from wafersim.csl.values import Value


@dataclass(frozen=True, slots=True, eq=False)
class Type(ABC):
    """Base of all types: ``name`` as CSL prints it, storage, and whether it lives only at compile time."""

    comptime_only: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    def size_bytes(self) -> int:
        return 0

    @property
    def align(self) -> int:
        """Alignment in bytes; SRAM words are 16 bits wide."""
        return 4 if self.size_bytes >= 4 else 2

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Int(Type):
    """``iN`` or ``uN``; stored in 1, 2, 4, 8, ... bytes."""

    bits: int
    signed: bool

    @property
    def name(self) -> str:
        return f"{'i' if self.signed else 'u'}{self.bits}"

    @property
    def size_bytes(self) -> int:
        size = 1
        while size * 8 < self.bits:
            size *= 2
        return size if self.bits else 0

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed and self.bits else 0

    @property
    def high(self) -> int:
        if not self.bits:
            return 0
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1


@dataclass(frozen=True, slots=True)
class Float(Type):
    """``f16``, ``bf16``, ``cb16`` or ``f32``; ``format`` is the name."""

    format: str

    @property
    def name(self) -> str:
        return self.format

    @property
    def bits(self) -> int:
        return 32 if self.format == "f32" else 16

    @property
    def size_bytes(self) -> int:
        return self.bits // 8


@dataclass(frozen=True, slots=True)
class Simple(Type):
    """A type without parameters: ``bool``, ``void``, ``color``, task ids, queues, ``direction`` and the
    like.
    """

    word: str
    stored_bytes: int = 0

    @property
    def name(self) -> str:
        return self.word

    @property
    def size_bytes(self) -> int:
        return self.stored_bytes


@dataclass(frozen=True, slots=True)
class ComptimeType(Simple):
    """A type whose values exist only at compile time."""

    comptime_only: ClassVar[bool] = True


BOOL = Simple("bool", 2)
VOID = Simple("void")
UNDEFINED_TYPE = ComptimeType("undefined")
NULL_TYPE = ComptimeType("null")
COMPTIME_INT = ComptimeType("comptime_int")
COMPTIME_FLOAT = ComptimeType("comptime_float")
COMPTIME_STRING = ComptimeType("comptime_string")
COMPTIME_STRUCT = ComptimeType("comptime_struct")
TYPE = ComptimeType("type")
ANYTYPE = ComptimeType("anytype")
IMPORTED_MODULE = ComptimeType("imported_module")
RANGE = ComptimeType("range")
ENUM_LITERAL = ComptimeType("enum literal")
MIXED = ComptimeType("value whose type differs among PEs")

COLOR = Simple("color", 2)
DIRECTION = Simple("direction", 2)
INPUT_QUEUE = Simple("input_queue", 2)
OUTPUT_QUEUE = Simple("output_queue", 2)
LOCAL_TASK_ID = Simple("local_task_id", 2)
DATA_TASK_ID = Simple("data_task_id", 2)
CONTROL_TASK_ID = Simple("control_task_id", 2)
UT_ID = Simple("ut_id", 2)
ANYOPAQUE = Simple("anyopaque")  # only behind a pointer: an address of anything
XDSR = Simple("xdsr", 2)
SR = Simple("sr", 2)
CB_DSD_TYPE = Simple("circular_buffer_dsd", 2)

TASK_IDS = (LOCAL_TASK_ID, DATA_TASK_ID, CONTROL_TASK_ID)
IDS = (COLOR, INPUT_QUEUE, OUTPUT_QUEUE, *TASK_IDS, UT_ID)


@dataclass(frozen=True, slots=True)
class Dsd(Type):
    """``mem1d_dsd``, ``mem4d_dsd``, ``fabin_dsd``, ``fabout_dsd`` or ``fifo``: ``kind`` is the name."""

    kind: str

    @property
    def name(self) -> str:
        return self.kind

    @property
    def size_bytes(self) -> int:
        return 2  # a variable of this type names a descriptor slot of the PE


@dataclass(frozen=True, slots=True)
class Dsr(Type):
    """A descriptor register type; ``file`` is ``dest``, ``src0``, ``src1`` (``fifo`` for ``dsr_fifo_*``)."""

    file: str
    fifo: bool = False

    @property
    def name(self) -> str:
        return f"dsr_{'fifo_' if self.fifo else ''}{self.file}"

    @property
    def size_bytes(self) -> int:
        return 2


MEM1D = Dsd("mem1d_dsd")
MEM4D = Dsd("mem4d_dsd")
CIRCBUF = Dsd("circbuf_dsd")
FABIN = Dsd("fabin_dsd")
FABOUT = Dsd("fabout_dsd")
FIFO = Dsd("fifo")


@dataclass(frozen=True, slots=True)
class Array(Type):
    """``[N, M]T``; ``extents`` are counts, outermost first."""

    extents: tuple[int, ...]
    elem: Type

    @property
    def name(self) -> str:
        return f"[{', '.join(map(str, self.extents))}]{self.elem.name}"

    @property
    def count(self) -> int:
        """Number of elements over all extents of this array (not of arrays inside it)."""
        total = 1
        for extent in self.extents:
            total *= extent
        return total

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of this array and of the arrays inside it: the shape of its data."""
        return self.extents + (self.elem.shape if isinstance(self.elem, Array) else ())

    @property
    def scalar(self) -> Type:
        """The type of the innermost elements."""
        return self.elem.scalar if isinstance(self.elem, Array) else self.elem

    @property
    def size_bytes(self) -> int:
        return self.count * self.elem.size_bytes

    @property
    def align(self) -> int:
        return self.elem.align


@dataclass(frozen=True, slots=True)
class Pointer(Type):
    """``*T`` or ``[*]T`` (``many``), perhaps to constants; 16 bits, an address of 16-bit words."""

    elem: Type
    many: bool = False
    const: bool = False

    @property
    def name(self) -> str:
        return f"{'[*]' if self.many else '*'}{'const ' if self.const else ''}{self.elem.name}"

    @property
    def size_bytes(self) -> int:
        return 2


@dataclass(frozen=True, slots=True)
class Fn(Type):
    """``fn(T, U) R``; ``task`` for the type of a task's name."""

    params: tuple[Type, ...]
    result: Type
    task: bool = False

    @property
    def name(self) -> str:
        return f"{'task' if self.task else 'fn'}({', '.join(p.name for p in self.params)}) {self.result.name}"

    @property
    def size_bytes(self) -> int:
        return 2


@dataclass(frozen=True, slots=True, eq=False)
class Enum(Type):
    """An enum type; its values are the members' tag values."""

    tag: Type
    members: dict[str, int]
    label: str = "enum"

    @property
    def name(self) -> str:
        return self.label

    @property
    def size_bytes(self) -> int:
        return max(self.tag.size_bytes, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Struct(Type):
    """A named struct type; ``kind`` is ``struct``, ``packed struct``, ``union``, ``extern struct`` ..."""

    fields: dict[str, Type]
    defaults: dict[str, Value] = field(default_factory=dict)
    kind: str = "struct"
    label: str = "struct"

    @property
    def name(self) -> str:
        return self.label

    @property
    def packed(self) -> bool:
        return self.kind.startswith("packed")

    @property
    def union(self) -> bool:
        return self.kind.endswith("union")

    @property
    def size_bytes(self) -> int:
        if self.packed:
            bits = [bit_size(t) for t in self.fields.values()]
            total = max(bits, default=0) if self.union else sum(bits)
            return (total + 15) // 16 * 2
        if self.union:
            return max((t.size_bytes for t in self.fields.values()), default=0)
        end = 0
        for t in self.fields.values():
            end = (end + t.align - 1) // t.align * t.align + t.size_bytes
        return (end + self.align - 1) // self.align * self.align

    @property
    def align(self) -> int:
        return max((t.align for t in self.fields.values()), default=2)

    def offset_of(self, name: str) -> int:
        """Byte offset of a field of a struct that is not packed."""
        end = 0
        for key, t in self.fields.items():
            if not self.union:
                end = (end + t.align - 1) // t.align * t.align
            if key == name:
                return end
            if not self.union:
                end += t.size_bytes
        raise KeyError(name)


def bit_size(t: Type) -> int:
    """Bits a value takes inside a packed struct."""
    if isinstance(t, Int | Float):
        return t.bits
    if t == BOOL:
        return 1
    if isinstance(t, Struct) and t.packed:
        bits = [bit_size(f) for f in t.fields.values()]
        return max(bits, default=0) if t.union else sum(bits)
    if isinstance(t, Enum):
        return bit_size(t.tag)
    return t.size_bytes * 8


I8, I16, I32, I64 = (Int(bits, True) for bits in (8, 16, 32, 64))
U8, U16, U32, U64 = (Int(bits, False) for bits in (8, 16, 32, 64))
F16, BF16, CB16, F32 = Float("f16"), Float("bf16"), Float("cb16"), Float("f32")

NAMED: dict[str, Type] = {
    t.name: t
    for t in (
        *(F16, BF16, CB16, F32, BOOL, VOID, COMPTIME_INT, COMPTIME_FLOAT, COMPTIME_STRING, COMPTIME_STRUCT),
        *(TYPE, ANYTYPE, ANYOPAQUE, IMPORTED_MODULE, COLOR, DIRECTION, INPUT_QUEUE, OUTPUT_QUEUE),
        *(
            LOCAL_TASK_ID,
            DATA_TASK_ID,
            CONTROL_TASK_ID,
            UT_ID,
            XDSR,
            SR,
            CB_DSD_TYPE,
            MEM1D,
            MEM4D,
            CIRCBUF,
            FABIN,
            FABOUT,
            FIFO,
        ),
        *(Dsr(file) for file in ("dest", "src0", "src1")),
        *(Dsr(file, True) for file in ("dest", "src1")),
    )
}


def named_type(name: str) -> Type | None:
    """The primitive type of that name (``i16``, ``color``, ...), None if there is none."""
    found = NAMED.get(name)
    if found is None and name[:1] in ("i", "u") and name[1:].isdecimal() and len(name) <= 9:
        found = NAMED[name] = Int(int(name[1:]), name[0] == "i")
    return found


def is_numeric(t: Type) -> bool:
    """Whether arithmetic is defined on values of ``t``."""
    return isinstance(t, Int | Float) or t in (COMPTIME_INT, COMPTIME_FLOAT)


def is_integer(t: Type) -> bool:
    return isinstance(t, Int) or t == COMPTIME_INT


def is_float(t: Type) -> bool:
    return isinstance(t, Float) or t == COMPTIME_FLOAT


def is_comptime_only(t: Type) -> bool:
    """Whether values of ``t`` cannot exist at run time (also arrays and pointers of such)."""
    if isinstance(t, Array | Pointer):
        return is_comptime_only(t.elem)
    if isinstance(t, Struct):
        return any(is_comptime_only(f) for f in t.fields.values())
    return t.comptime_only
