"""Requests to serve: when each arrives, how long its prompt is, how many tokens it wants back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError

#: Longest prompt or answer that is taken for meant.
MAX_TOKENS = 100_000_000
#: Latest arrival that is taken for meant, seconds: a century.
MAX_SECONDS = 3.2e9
#: Requests of one run: about a gigabyte.
MAX_REQUESTS = 2_000_000

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests in the order of their arrival.

    Parameters
    ----------
    arrival_s : array_like, float, [n]
        Seconds from the start; never going back, none negative.
    input_tokens, output_tokens : array_like, int, [n]
        Tokens of the prompt and of the answer, each at least 1.
    name : str
        Where they are from, for messages.
    lines : array_like, int, [n], optional
        Line of the file that each was read from.

    Raises
    ------
    ConfigError
        The arrays do not fit together or a value is out of range; the message names the request.
    """

    arrival_s: Floats
    input_tokens: Ints
    output_tokens: Ints
    name: str = "requests"
    lines: Ints | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        arrival = np.asarray(self.arrival_s, np.float64)
        counts = [_whole(self.name, "input_tokens", self.input_tokens)]
        counts.append(_whole(self.name, "output_tokens", self.output_tokens))
        if arrival.ndim != 1 or any(c.shape != arrival.shape for c in counts):
            shapes = ", ".join(str(a.shape) for a in (arrival, *counts))
            raise ConfigError(f"{self.name}: arrays of shapes {shapes}; expected one length, one axis")
        if not 1 <= len(arrival) <= MAX_REQUESTS:
            raise ConfigError(f"{self.name}: {len(arrival)} requests; allowed 1 to {MAX_REQUESTS:,}")
        # NaN fails both comparisons
        fine = (arrival >= 0) & (arrival <= MAX_SECONDS)
        if not fine.all():
            at = int(np.argmin(fine))
            raise ConfigError(f"{self.name}: request {at} arrives at {arrival[at]} s; allowed 0 to a century")
        if len(arrival) > 1 and (np.diff(arrival) < 0).any():
            at = int(np.argmax(np.diff(arrival) < 0)) + 1
            raise ConfigError(f"{self.name}: request {at} arrives before the one in front of it; sort them")
        names = ("arrival_s", "input_tokens", "output_tokens")
        for name, values in zip(names, (arrival, *counts), strict=True):
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def span_s(self) -> float:
        """Seconds from the first arrival to the last."""
        return float(self.arrival_s[-1] - self.arrival_s[0])

    @property
    def rate(self) -> float:
        """Requests per second on average; infinite if all come at once."""
        return (len(self) - 1) / self.span_s if self.span_s > 0 else math.inf

    def where(self, index: int) -> str:
        """The request in words: its line if it is from a file."""
        return f"line {self.lines[index]}" if self.lines is not None else f"request {index}"

    def scaled(self, factor: float) -> Requests:
        """The same requests arriving `factor` times as fast."""
        if not (factor > 0 and math.isfinite(factor)):
            raise ConfigError(f"factor {factor!r}: expected a finite number above 0")
        return Requests(self.arrival_s / factor, self.input_tokens, self.output_tokens, self.name, self.lines)

    def summary(self) -> dict[str, Any]:
        """Number, rate and mean lengths, for JSON."""
        return {
            "name": self.name,
            "requests": len(self),
            "rate_per_s": None if math.isinf(self.rate) else self.rate,
            "mean_input_tokens": float(self.input_tokens.mean()),
            "mean_output_tokens": float(self.output_tokens.mean()),
        }


def _whole(name: str, field_name: str, values: object) -> Ints:
    found = np.asarray(values)
    if found.dtype == np.bool_ or not np.issubdtype(found.dtype, np.integer):
        raise ConfigError(f"{name}: {field_name} of type {found.dtype}; expected whole numbers")
    if found.size and (found.min() < 1 or found.max() > MAX_TOKENS):
        at = int(np.argmax((found < 1) | (found > MAX_TOKENS)))
        raise ConfigError(f"{name}: request {at}: {field_name} {found.flat[at]}; allowed 1 to {MAX_TOKENS:,}")
    return np.array(found, np.int64)
