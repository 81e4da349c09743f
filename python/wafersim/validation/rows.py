"""Published rows: reading them and the few facts that every family's recipe needs.

A row is one published number with its source, as in ``rows.csv`` beside this module.  A user's file
with the same columns is read the same way.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from wafersim.errors import ConfigError
from wafersim.validation.reading import (
    NUMBER,
    TIMES,
    Published,
    parse_clock,
    parse_count,
    parse_value,
    unit_of_cycles,
)

COLUMNS = (
    "id", "source", "hardware", "kernel", "problem", "pe_grid", "dtype", "metric",
    "value", "unit", "measured_or_model", "provenance", "note",
)  # fmt: skip
MAX_BYTES = 16 << 20
MAX_ROWS = 100_000
#: a whole number, with or without commas between thousands, as a group
WHOLE = r"(\d{1,3}(?:,\d{3})+|\d{1,9})"
_COUNT = rf"({NUMBER}(?:\s?\^\s?\d{{1,2}}(?!\d)|[KkMG]i?(?![A-Za-z]))?)"


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
    def published(self) -> Published:
        """The published number; raises ConfigError if there is none."""
        try:
            return parse_value(self.value, self.unit)
        except ConfigError as error:
            raise ConfigError(f"row {self.id}: {error}") from None

    @property
    def observed(self) -> tuple[float, float]:
        """The published value as a range (lowest, highest); a single number is a range of no width."""
        published = self.published
        return published.low, published.high

    @property
    def arch(self) -> str:
        """The profile that models the row's hardware; raises ConfigError if there is none."""
        found = set(re.findall(r"(?:WSE|CS)-?\s?(\d)\b", self.hardware, re.IGNORECASE))
        if len(found) != 1:
            wrong = "more than one generation" if found else "no generation (WSE-2, WSE-3)"
            raise ConfigError(f"row {self.id}: hardware {self.hardware!r} names {wrong}")
        if found.isdisjoint("123"):
            raise ConfigError(f"row {self.id}: hardware {self.hardware!r}: no profile of this generation")
        simulator = self.measured_or_model == "vendor-sim"
        return f"wse{found.pop()}" + ("-sdk" if simulator else "")

    @property
    def clock_hz(self) -> float | None:
        """The clock with which the source converts cycles to seconds, if the row says so."""
        return parse_clock(self.hardware) or parse_clock(self.note)

    def from_cycles(self, cycles: float) -> float:
        """Cycles in the row's unit, with the source's own clock, else the profile's; raises ConfigError."""
        from wafersim.arch import Arch

        clock = self.clock_hz or float(Arch.load(self.arch).clock_hz)
        try:
            return cycles / unit_of_cycles(self.unit, clock)
        except ConfigError as error:
            raise ConfigError(f"row {self.id}: {error}") from None

    def grid(self) -> tuple[int, int]:
        """The PE grid ``WxH`` (or ``N PEs``) in ``pe_grid``; raises ConfigError if there is none."""
        single = re.match(r"^\s*(\d{1,7})\s*PEs?\b", self.pe_grid)
        if single is not None:
            return int(single[1]), 1
        return self._pair(self.pe_grid, rf"^\D*?{WHOLE}{TIMES}{WHOLE}")

    def pair(self, word: str) -> tuple[int, int]:
        """``AxB`` that follows ``word`` in the problem text."""
        return self._pair(self.problem, rf"{re.escape(word)}\s*[=:]?\s*{WHOLE}{TIMES}{WHOLE}")

    def triple(self, word: str) -> tuple[int, int, int]:
        """``AxBxC`` that follows ``word`` in the problem text."""
        times = TIMES.join([WHOLE] * 3)
        found = self._search(self.problem, rf"{re.escape(word)}\s*[=:]?\s*{times}")
        return parse_count(found[1]), parse_count(found[2]), parse_count(found[3])

    def number(self, pattern: str) -> int:
        """The integer that ``pattern`` (with one group) finds in the problem text."""
        return parse_count(self._search(self.problem, pattern)[1])

    def named(self, *names: str, default: int | None = None) -> int:
        """The count that follows one of ``names`` (``Mt=8``, ``Mt: 8``, ``Mt 8``, ``Mt=Kt=8``) in the text.

        Raises
        ------
        ConfigError
            No name is followed by a count and there is no default, or they are followed by different ones.
        """
        words = "|".join(re.escape(name) for name in names)
        found = re.findall(
            rf"(?<![A-Za-z0-9_])(?:{words})(?:\s*=\s*[A-Za-z]\w{{0,15}}(?=\s*=))*\s*[=:]?\s*{_COUNT}(?![\w.^])",
            self.problem,
        )
        counts = {parse_count(text) for text in found}
        if len(counts) > 1:
            raise ConfigError(
                f"row {self.id}: {self.problem!r} gives {names[0]} several values {sorted(counts)}"
            )
        if not counts and default is None:
            raise ConfigError(f"row {self.id}: {self.problem!r} gives no {names[0]}")
        return counts.pop() if counts else int(default or 0)

    def _pair(self, text: str, pattern: str) -> tuple[int, int]:
        found = self._search(text, pattern)
        return parse_count(found[1]), parse_count(found[2])

    def _search(self, text: str, pattern: str) -> re.Match[str]:
        found = re.search(pattern, text, re.IGNORECASE)
        if found is None:
            raise ConfigError(f"row {self.id}: {text!r} does not match {pattern!r}")
        return found


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
        if not file.is_file():
            raise ConfigError(f"{file}: no such file")
        if file.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{file}: larger than {MAX_BYTES} bytes")
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{file}: cannot be read as UTF-8 text ({error})") from None
    return parse_rows(text, str(file))


def parse_rows(text: str, name: str) -> list[Row]:
    """The rows of a CSV text; ``name`` is used in messages."""
    if "\0" in text:
        raise ConfigError(f"{name}: not a CSV table (holds NUL bytes)")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    seen: set[str] = set()
    try:
        header = [(column or "").strip() for column in reader.fieldnames or []]
        reader.fieldnames = header
        _check_header(header, name)
        for record in reader:
            row = _row(record, f"{name}:{reader.line_num}")
            if row.id in seen:
                raise ConfigError(f"{name}:{reader.line_num}: id {row.id!r} is used before")
            if len(rows) == MAX_ROWS:
                raise ConfigError(f"{name}: more than {MAX_ROWS} rows")
            seen.add(row.id)
            rows.append(row)
    except csv.Error as error:
        raise ConfigError(f"{name}:{reader.line_num}: not a CSV table ({error})") from None
    if not rows:
        raise ConfigError(f"{name}: a header and no row")
    return rows


def _check_header(header: list[str], name: str) -> None:
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise ConfigError(f"{name}: column {missing[0]!r} is missing; needed: {', '.join(COLUMNS)}")
    repeated = [column for column in COLUMNS if header.count(column) > 1]
    if repeated:
        raise ConfigError(f"{name}: column {repeated[0]!r} comes twice")


def _row(record: dict[str | None, str | list[str] | None], place: str) -> Row:
    if None in record:
        raise ConfigError(f"{place}: more cells than the header has columns (a comma outside quotes?)")
    cells = {column: record[column] for column in COLUMNS}
    if any(cell is None for cell in cells.values()):
        raise ConfigError(f"{place}: fewer than {len(COLUMNS)} columns")
    row = Row(**{column: str(cell).strip() for column, cell in cells.items()})
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:/+-]{0,63}", row.id):
        raise ConfigError(
            f"{place}: id {row.id!r} is empty or no word of at most 64 letters, digits and -_.:/+"
        )
    return row
