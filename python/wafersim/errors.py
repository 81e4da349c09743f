"""The errors of wafersim: one clear line each, with what, where, found, allowed and a hint."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class WafersimError(Exception):
    """Base of every error that wafersim raises on purpose."""


class ConfigError(WafersimError, ValueError):
    """A request cannot be carried out as written: unknown name, bad value, unreadable file.

    Attributes
    ----------
    faults : tuple of str
        The single faults, if several were found in one go; else the message alone.
    """

    def __init__(self, message: str = "", faults: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.faults: tuple[str, ...] = tuple(faults) or ((message,) if message else ())

    @classmethod
    def of(cls, faults: Sequence[str]) -> ConfigError:
        """One error that lists all faults, one line each."""
        return cls("\n".join(faults), faults)


class UnsupportedError(ConfigError):
    """The chosen fidelity cannot represent something that the program does; the other one can.

    Attributes
    ----------
    line : int
        Entry of the program's source map, -1 if the place is not one instruction.
    """

    def __init__(self, message: str = "", line: int = -1) -> None:
        super().__init__(message)
        self.line = line


class ProgramError(WafersimError, ValueError):
    """A machine program breaks a rule of the machine.

    Attributes
    ----------
    pe : tuple of int or None
        ``(x, y)`` of a PE or ``(x, y, width, height)`` of a rectangle, if the error has a place.
    color : int or None
        The color concerned, if any.
    """

    def __init__(
        self, message: str = "", pe: tuple[int, ...] | None = None, color: int | None = None
    ) -> None:
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

    def __init__(self, message: str = "", *, record: Any = None) -> None:
        super().__init__(message)
        self.record = record


class DeadlockError(SimulationError):
    """Nothing can happen any more and something that is no daemon still waits.

    Attributes
    ----------
    waits : list of dict
        Who waits on what: PE, thread, task, op, source line, color, queue.
    """

    def __init__(
        self, message: str = "", waits: Iterable[Mapping[str, Any]] = (), *, record: Any = None
    ) -> None:
        super().__init__(message, record=record)
        self.waits: list[dict[str, Any]] = [dict(wait) for wait in waits]


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
        message: str = "",
        pe: tuple[int, int] | None = None,
        fault: Mapping[str, Any] | None = None,
        *,
        record: Any = None,
    ) -> None:
        super().__init__(message, record=record)
        self.pe = pe
        self.fault: dict[str, Any] = dict(fault or {})


class InternalError(WafersimError):
    """A mistake of wafersim itself; please report it."""


def error_words(error: BaseException) -> tuple[str, str]:
    """Kind and message of an error, for an answer that is data."""
    if isinstance(error, ConfigError | ProgramError | SimulationError):
        return type(error).__name__, str(error)
    if isinstance(error, MemoryError):
        return "MemoryError", "not enough memory; a smaller grid needs less (see --dry-run)"
    label = "" if isinstance(error, WafersimError) else f"{type(error).__name__}: "
    text = " ".join(str(error).split())
    return "InternalError", f"internal error: {label}{text}; please report it (--debug shows where)"


def error_answer(request_id: Any, kind: str, message: str) -> dict[str, Any]:
    """The answer to a run request that gave no record."""
    return {"id": request_id, "status": "error", "error": {"kind": kind, "message": message}}


def fate(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"
