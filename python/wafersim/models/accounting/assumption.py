"""Something taken for granted in an answer, with its source and how far to trust it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

CONFIDENCES = ("read", "derived", "secondary", "inferred", "choice", "low")


@dataclass(frozen=True, slots=True)
class Assumption:
    """One assumption; `confidence` is one of `CONFIDENCES`."""

    name: str
    value: Any
    source: str
    confidence: str
    unit: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.confidence not in CONFIDENCES:
            raise ValueError(f"{self.name}: confidence {self.confidence!r} is none of {CONFIDENCES}")

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; empty words are left out."""
        return {key: value for key, value in asdict(self).items() if value != ""}
