"""The errors of wafersim; each message says what, where, found, allowed and a hint, in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class WafersimError(Exception):
    """Base of every error that wafersim raises on purpose."""


class ConfigError(WafersimError, ValueError):
    """A request cannot be carried out as written: unknown name, bad value, unreadable file."""


class ProgramError(WafersimError, ValueError):
    """A machine program breaks a rule of the machine.

    Attributes
    ----------
    pe : tuple of int or None
        ``(x, y)`` of the PE concerned, if the error has a place.
    color : int or None
        The color concerned, if any.
    """

    def __init__(self, message: str, *, pe: tuple[int, int] | None = None, color: int | None = None) -> None:
        super().__init__(message)
        self.pe = pe
        self.color = color


class SimulationError(WafersimError, RuntimeError):
    """A run ended otherwise than it should.

    Attributes
    ----------
    record : Record or None
        What was recorded up to the end of the run.
    """

    def __init__(self, message: str, *, record: Any = None) -> None:
        super().__init__(message)
        self.record = record


class DeadlockError(SimulationError):
    """Nothing can happen any more and something that is no daemon still waits.

    Attributes
    ----------
    waits : list of dict
        Who waits on what: PE, thread, task, op, source line, color, queue.
    """

    def __init__(self, message: str, *, waits: Sequence[Mapping[str, Any]] = (), record: Any = None) -> None:
        super().__init__(message, record=record)
        self.waits = [dict(wait) for wait in waits]


class LimitError(SimulationError):
    """A run reached its limit of cycles, seconds or events."""


class FaultError(SimulationError):
    """The program did something that the machine does not allow.

    Attributes
    ----------
    pe : tuple of int or None
        ``(x, y)`` of the PE.
    fault : dict
        What the core says about it.
    """

    def __init__(
        self,
        message: str,
        *,
        pe: tuple[int, int] | None = None,
        fault: Mapping[str, Any] | None = None,
        record: Any = None,
    ) -> None:
        super().__init__(message, record=record)
        self.pe = pe
        self.fault = dict(fault or {})


class InternalError(WafersimError):
    """A mistake of wafersim itself; please report it."""
