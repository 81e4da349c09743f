"""The table of builtins known at compile time; those of run time are lowering's (here only by name)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wafersim.csl import ast
from wafersim.csl.scope import Scope
from wafersim.csl.values import Value

if TYPE_CHECKING:
    from wafersim.csl.comptime.interp import Interp

Function = Callable[["Interp", ast.BuiltinCall, Scope], Value]


@dataclass(frozen=True, slots=True)
class Entry:
    """One builtin: its function, how many arguments it takes, whether it acts (then not while code is
    lowered).
    """

    function: Function
    low: int
    high: int
    effect: bool

    @property
    def counts(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low} to {self.high}"


BUILTINS: dict[str, Entry] = {}


def builtin(
    name: str, low: int, high: int | None = None, *, effect: bool = False
) -> Callable[[Function], Function]:
    """Register the function of ``@name``, which takes ``low`` to ``high`` arguments."""

    def register(function: Function) -> Function:
        BUILTINS[name] = Entry(function, low, low if high is None else high, effect)
        return function

    return register


_VECTOR = """
add16 add16c addc16 and16 and32? clz ctz dfilt fabsh fabss faddh faddhs fadds fh2s fh2xp16 fmach fmachs
fmacs fmaxh fmaxs fmovh fmovhs fmovs fmulh fmuls fnegh fnegs fnormh fnorms fs2h fs2xp16 fscaleh fscales
fsubh fsubs mov16 mov32 or16 or32? popcnt sar16 sll16 slr16 sub16 xor16 xp162fh xp162fs
"""

#: Builtins that act at run time only.
RUN_TIME = frozenset(name.rstrip("?") for name in _VECTOR.split()) | {
    "map",
    "set_dsr_base_addr",
    "queue_flush",
    "random16",
    "set_active_prng",
    "get_config",
    "set_config",
    "get_config_unchecked",
    "set_config_unchecked",
    "set_fifo_read_length",
    "set_fifo_write_length",
    "get_dsr_value",
    "get_symbol_value",
    "get_tensor_ptr",
}

#: Builtins that the older generation does not have.
WSE3_ONLY = frozenset(
    (
        "bind_rotating_tasks",
        "get_ut_id",
        "queue_flush",
        "set_control_task_table",
        "set_empty_queue_handler",
    )
)
