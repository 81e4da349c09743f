"""Published rows: reading them and the few facts that every family's recipe needs.

A row is one published number with its source, as in ``rows.csv`` beside this module.  A user's file
with the same columns is read the same way.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from wafersim.errors import ConfigError

COLUMNS = (
    "id", "source", "hardware", "kernel", "problem", "pe_grid", "dtype", "metric",
    "value", "unit", "measured_or_model", "provenance", "note",
)  # fmt: skip
MAX_BYTES = 16 << 20
_NUMBER = r"\d+(?:\.\d+)?"


@dataclass(frozen=True)
class Row:
    """One published number; all fields are text, as in the file."""

    id: str
    source: str
    hardware: str
    kernel: str
    problem: str
    pe_grid: str
    dtype: str
    metric: str
    value: str
    unit: str
    measured_or_model: str
    provenance: str
    note: str

    @property
    def family(self) -> str:
        """The prefix of the id."""
        return self.id.split("-")[0]

    @property
    def observed(self) -> tuple[float, float]:
        """The published value as a range (lowest, highest); a single number is a range of no width."""
        match = re.fullmatch(rf"\s*({_NUMBER})(?:\s*-\s*({_NUMBER}))?\s*", self.value)
        if match is None:
            raise ConfigError(f"row {self.id}: value {self.value!r} is no number and no range a-b")
        low = float(match[1])
        return low, float(match[2]) if match[2] else low

    @property
    def arch(self) -> str:
        """The profile that models the row's hardware; raises ConfigError if there is none."""
        found = re.search(r"WSE-([123])", self.hardware)
        if found is None:
            raise ConfigError(f"row {self.id}: hardware {self.hardware!r} names no generation (WSE-2, WSE-3)")
        simulator = self.measured_or_model == "vendor-sim"
        return f"wse{found[1]}" + ("-sdk" if simulator else "")

    def grid(self) -> tuple[int, int]:
        """The PE grid ``WxH`` at the start of ``pe_grid``; raises ConfigError if there is none."""
        return self._pair(self.pe_grid, r"^\s*(\d+)x(\d+)")

    def pair(self, word: str) -> tuple[int, int]:
        """``AxB`` that follows ``word`` in the problem text."""
        return self._pair(self.problem, rf"{re.escape(word)}\s*(\d+)x(\d+)")

    def number(self, pattern: str) -> int:
        """The integer that ``pattern`` (with one group) finds in the problem text."""
        found = re.search(pattern, self.problem)
        if found is None:
            raise ConfigError(f"row {self.id}: problem {self.problem!r} does not match {pattern!r}")
        return int(found[1])

    def _pair(self, text: str, pattern: str) -> tuple[int, int]:
        found = re.search(pattern, text)
        if found is None:
            raise ConfigError(f"row {self.id}: {text!r} does not match {pattern!r}")
        return int(found[1]), int(found[2])


def load_rows(path: str | Path | None = None) -> list[Row]:
    """The rows of ``path``, or those that come with the package.

    Raises
    ------
    ConfigError
        The file cannot be read, is too large, lacks a column or repeats an id.
    """
    if path is None:
        text = files("wafersim.validation").joinpath("rows.csv").read_text(encoding="utf-8")
        return parse_rows(text, "rows.csv")
    file = Path(path)
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{file}: larger than {MAX_BYTES} bytes")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read as UTF-8 text ({error})") from None
    return parse_rows(text, str(file))


def parse_rows(text: str, name: str) -> list[Row]:
    """The rows of a CSV text; ``name`` is used in messages."""
    reader = csv.DictReader(text.splitlines(), strict=True)
    rows: list[Row] = []
    seen: set[str] = set()
    try:
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
        if missing:
            raise ConfigError(f"{name}: column {missing[0]!r} is missing; needed: {', '.join(COLUMNS)}")
        for record in reader:
            if any(record[column] is None for column in COLUMNS):
                raise ConfigError(f"{name}:{reader.line_num}: fewer than {len(COLUMNS)} columns")
            row = Row(**{column: record[column].strip() for column in COLUMNS})
            if not row.id or row.id in seen:
                raise ConfigError(f"{name}:{reader.line_num}: id {row.id!r} is empty or used before")
            seen.add(row.id)
            rows.append(row)
    except csv.Error as error:
        raise ConfigError(f"{name}:{reader.line_num}: not a CSV table ({error})") from None
    return rows
