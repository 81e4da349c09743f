"""The exceptions of wafersim: one clear line each, with what, where, found, allowed and a hint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


class WafersimError(Exception):
    """Base of everything wafersim raises on purpose."""


class ConfigError(WafersimError, ValueError):
    """Bad input: an arch file, an option or a parameter.

    Parameters
    ----------
    message
        One line, or one line per fault.
    faults
        The single faults, if several were found in one go.
    """

    def __init__(self, message: str = "", faults: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.faults: tuple[str, ...] = tuple(faults) or ((message,) if message else ())

    @classmethod
    def of(cls, faults: Sequence[str]) -> ConfigError:
        """One error that lists all faults, one line each."""
        return cls("\n".join(faults), faults)


class ProgramError(WafersimError, ValueError):
    """A machine program that breaks a rule; carries the place.

    Parameters
    ----------
    message
        What is wrong, where, what was found and what is allowed.
    pe
        ``(x, y)`` of a PE, or ``(x, y, width, height)`` of a rectangle of PEs.
    color
        Color number.
    """

    def __init__(
        self, message: str = "", pe: tuple[int, ...] | None = None, color: int | None = None
    ) -> None:
        super().__init__(message)
        self.pe = pe
        self.color = color


class SimulationError(WafersimError, RuntimeError):
    """A run that could not go on."""


class DeadlockError(SimulationError):
    """A stuck run; ``waits`` says who waits on what, one dict per waiter."""

    def __init__(self, message: str = "", waits: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.waits: list[dict[str, Any]] = list(waits)


class LimitError(SimulationError):
    """A run that reached its limit of cycles, seconds or events."""


class FaultError(SimulationError):
    """A program that did something the machine refuses while it ran."""


class InternalError(WafersimError):
    """A bug of wafersim itself."""
