"""What a library kernel is: parameters, a build step, a check against NumPy, and its figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.errors import ConfigError

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import MachineProgram

#: characters of a wrong value that an error shows
_MOST_SHOWN = 200

#: What a value of each parameter kind looks like, for error messages.
_KIND_WORDS = {int: "an integer", str: "a word", tuple: "an integer or WxH", bool: "true or false"}
_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


def parse_tile(text: Any) -> tuple[int, int]:
    """A tile from ``"WxH"``, ``"L"``, an integer or a pair; raises ValueError."""
    if isinstance(text, (tuple, list)):
        width, height = text
    elif isinstance(text, str) and "x" in text.lower():
        width, height = text.lower().split("x")
    else:
        width = height = text
    if isinstance(width, bool) or isinstance(height, bool):
        raise ValueError("a tile is no truth value")
    return int(str(width)), int(str(height))


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel.

    Attributes
    ----------
    name, doc : str
        Name as in ``--set name=value``; one line with the unit.
    kind : type
        ``int``, ``str``, ``bool``, or ``tuple`` for a tile ``WxH``.
    default : object
        Value that is used when none is given.
    allowed : tuple
        The allowed words; empty for numbers.
    minimum, maximum : int
        Range of a number (of each side of a tile), both included.
    """

    name: str
    kind: type
    default: Any
    doc: str
    allowed: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = 2**31 - 1

    def range_text(self) -> str:
        """The allowed values in words."""
        if self.allowed:
            return ", ".join(self.allowed)
        if self.kind is bool:
            return _KIND_WORDS[bool]
        return f"{_KIND_WORDS[self.kind]} in {self.minimum}..{self.maximum}"

    def parse(self, kernel: str, value: Any) -> Any:
        """``value`` (from a command line or Python) as the parameter's kind; raises ConfigError."""
        words = repr(value)
        shown = words if len(words) <= _MOST_SHOWN else f"{words[:40]}... ({len(words)} characters)"
        problem = ConfigError(
            f"{kernel}: parameter {self.name}={shown} is not allowed; "
            f"allowed: {self.range_text()} ({self.doc})"
        )
        try:
            parsed = self._convert(value)
        except (TypeError, ValueError, OverflowError):
            raise problem from None
        if self.allowed and parsed not in self.allowed:
            raise problem
        numbers = {int: (parsed,), tuple: parsed}.get(self.kind, ())
        if any(not self.minimum <= number <= self.maximum for number in numbers):
            raise problem
        return parsed

    def _convert(self, value: Any) -> Any:
        if self.kind is tuple:
            return parse_tile(value)
        if self.kind is bool:
            word = str(value).lower()
            if word not in _TRUE | _FALSE:
                raise ValueError(word)
            return word in _TRUE
        if self.kind is int:
            if isinstance(value, (bool, float)):
                raise ValueError("not an integer")
            return int(value)
        return str(value)


@dataclass(frozen=True)
class Formula:
    """A closed formula for the kernel's window.

    Attributes
    ----------
    name, source : str
        The formula as text with its symbols; where it was published.
    cycles : float
        Its value for this run.
    """

    name: str
    source: str
    cycles: float


@dataclass(frozen=True)
class Validity:
    """How far published numbers support this run.

    Attributes
    ----------
    status : str
        ``fitted``, ``validated``, ``extrapolated`` or ``unvalidated``.
    nearest : tuple of str
        Ids of the nearest published rows.
    """

    status: str = "unvalidated"
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True)
class Launch:
    """One launch of a device function by the host, with its arguments by name."""

    function: str
    args: dict[str, int] = field(default_factory=dict)


@dataclass
class KernelRun:
    """A kernel made ready for one arch, grid and set of parameters.

    Attributes
    ----------
    program : MachineProgram
        What the engine executes.
    setup : callable
        ``setup(sim, rng)`` writes the inputs into the simulated SRAM.
    launches : list of Launch
        Launched together before the run.
    check : callable
        ``check(sim)`` gives ``(max_abs_error, verified)`` against NumPy; only meaningful with values on.
        None for a program whose values mean nothing.
    metrics : callable
        ``metrics(sim, record)`` gives the kernel's own figures; all cycle counts are integers or exact
        ratios.
    formula : Formula or None
        Closed formula of the window, if one is known.
    not_modelled : list of str
        What the published program does that this one leaves out.
    validity : Validity
        Support by published rows of the programs it is made of; counts only for a kernel that no row runs,
        the others are judged by `nearest.support`.
    """

    program: MachineProgram
    setup: Callable[[Any, np.random.Generator], None]
    launches: list[Launch]
    check: Callable[[Any], tuple[float, bool]] | None
    metrics: Callable[[Any, Any], dict[str, Any]]
    formula: Formula | None = None
    not_modelled: list[str] = field(default_factory=list)
    validity: Validity = field(default_factory=Validity)


class Kernel(ABC):
    """A library kernel; one subclass and one file each."""

    name: ClassVar[str]
    description: ClassVar[str]
    parameters: ClassVar[dict[str, Parameter]]
    default_grid: ClassVar[tuple[int, int]]

    def resolve(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with their values: the given ones parsed, the others at their defaults."""
        unknown = sorted(set(params) - set(self.parameters))
        if unknown:
            known = ", ".join(sorted(self.parameters)) or "none"
            raise ConfigError(f"{self.name}: unknown parameter {unknown[0]!r}; it has: {known}")
        return {
            name: p.parse(self.name, params[name]) if name in params else p.default
            for name, p in self.parameters.items()
        }

    @abstractmethod
    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        """The kernel as a machine program for a ``width`` x ``height`` rectangle of PEs.

        Raises
        ------
        ConfigError
            A parameter or the grid is not allowed.
        """

    def refuse_grid(self, width: int, height: int, allowed: str) -> ConfigError:
        """The error for a grid that the kernel cannot use."""
        return ConfigError(f"{self.name}: grid {width}x{height} is not allowed; allowed: {allowed}")


def parameters(*items: Parameter) -> dict[str, Parameter]:
    """Parameters by name, in the order given."""
    return {item.name: item for item in items}


def is_placeholder(values: Any) -> bool:
    """An array whose elements all lie in one place: what a run without values gets for random numbers."""
    return values.size > 1 and not any(values.strides)
