"""The errors of wafersim: one clear line each, with what, where, found, allowed and a hint."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

#: version of requests and answers; equal to the record's
ANSWER_SCHEMA = 1

#: why a request gave no good run: code -> meaning; codes are part of the worker's schema
REASONS: dict[str, str] = {
    "bad_request": "a field, a parameter or a file is not allowed as it is",
    "bad_program": "the program breaks a rule of the machine",
    "does_not_fit": "the grid is larger than the arch",
    "sram_overflow": "code and data of a PE are larger than its SRAM",
    "color_exhausted": "more colors than the machine has",
    "task_exhausted": "more tasks than there are ids",
    "unsupported": "the fidelity cannot represent the program",
    "host_memory": "the run needs more memory than the host has or the request may take",
    "timeout": "the run took longer than it may",
    "limit": "the run reached its limit of cycles or events",
    "stuck": "nothing can happen any more and something still waits",
    "fault": "the program did something that the machine does not allow",
    "wrong_values": "the run finished with values that differ from NumPy's",
    "pruned": "the run cannot be better than the best one so far",
    "budget": "the budget of the batch was spent before the run",
    "cancelled": "the batch was cancelled",
    "interrupted": "Ctrl-C",
    "crashed": "the process of the run died",
    "internal": "a mistake of wafersim; please report it",
}


class WafersimError(Exception):
    """Base of every error that wafersim raises on purpose.

    Attributes
    ----------
    reason : str
        A code of `REASONS`.
    facts : dict
        Its numbers, as plain values.
    """

    reason = "internal"
    facts: Mapping[str, Any] = {}

    def because(self, reason: str, **facts: Any) -> Self:
        """The same error with a reason and its numbers."""
        self.reason, self.facts = reason, facts
        return self


class ConfigError(WafersimError, ValueError):
    """A request cannot be carried out as written: unknown name, bad value, unreadable file.

    Attributes
    ----------
    faults : tuple of str
        The single faults, if several were found in one go; else the message alone.
    """

    reason = "bad_request"

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

    reason = "unsupported"

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

    reason = "bad_program"

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

    reason = "stuck"

    def __init__(
        self, message: str = "", waits: Iterable[Mapping[str, Any]] = (), *, record: Any = None
    ) -> None:
        super().__init__(message, record=record)
        self.waits: list[dict[str, Any]] = [dict(wait) for wait in waits]


class LimitError(SimulationError):
    """A run reached its limit of cycles, seconds or events."""

    reason = "limit"


class FaultError(SimulationError):
    """The program did something that the machine does not allow.

    Attributes
    ----------
    pe : tuple of int or None
        ``(x, y)`` of the PE.
    fault : dict
        What the core says about it.
    """

    reason = "fault"

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


def error_reason(error: BaseException) -> dict[str, Any]:
    """Reason of an error as data: ``code`` and its numbers."""
    if isinstance(error, WafersimError):
        return {"code": error.reason, **error.facts}
    if isinstance(error, MemoryError):
        return {"code": "host_memory"}
    return {"code": "interrupted" if isinstance(error, KeyboardInterrupt) else "internal"}


def error_answer(request_id: Any, kind: str, message: str, reason: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a run request that gave no record."""
    return {
        "id": request_id, "schema": ANSWER_SCHEMA, "status": "error",
        "error": {"kind": kind, "message": message}, "reason": dict(reason),
    }  # fmt: skip


def fate(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"
