"""The directory of a sweep: what it may hold, and the files that are made from the journal."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wafersim.errors import ConfigError
from wafersim.sweep.journal import JOURNAL
from wafersim.sweep.ranges import note_of
from wafersim.sweep.results import Row, pareto
from wafersim.sweep.sensitivity import elasticities
from wafersim.sweep.spec import Spec

SPEC, TABLE_JSON, TABLE_CSV, PAGE = "sweep.json", "table.json", "table.csv", "sweep.html"
TABLE_SCHEMA = 1


def opened(folder: Path) -> Path:
    """The directory, made if it is absent; raises ConfigError if it holds something that is no sweep."""
    folder = Path(os.path.abspath(folder))
    try:
        if os.path.lexists(folder) and not folder.is_dir():
            raise ConfigError(f"sweep {folder}: exists and is no directory; choose another place with --out")
        folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise ConfigError(f"sweep {folder}: {error.strerror}") from None
    if names - {"lock", SPEC} and JOURNAL not in names:
        raise ConfigError(
            f"sweep {folder}: holds files that are no sweep; choose another or an empty directory with --out"
        )
    if (folder / "store").is_symlink():
        raise ConfigError(f"sweep {folder}: store is a link; links are not followed")
    return folder


def keep_spec(folder: Path, spec: Spec) -> None:
    """Write what the sweep is, for readers without us; the journal decides whether it is the same one."""
    if not (folder / SPEC).is_file() or (folder / SPEC).is_symlink():
        write(folder / SPEC, (json.dumps(asdict(spec), indent=1, default=str) + "\n").encode())


def write(path: Path, data: bytes) -> None:
    """A file, whole or not at all; a link in its place is replaced, not followed."""
    draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise ConfigError(f"sweep {path.parent}: cannot write {path.name}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


def table(spec: Spec, rows: Sequence[Row]) -> dict[str, Any]:
    """All points, the Pareto front and the sensitivities as plain data."""
    return {
        "schema": TABLE_SCHEMA,
        "sweep": spec.name,
        "objectives": [asdict(objective) for objective in spec.objectives],
        "constraints": [asdict(constraint) for constraint in spec.constraints],
        "note": note_of(spec),
        "pareto": [row.number for row in pareto(rows, spec.objectives)],
        "sensitivity": [entry.as_json() for entry in elasticities(spec, rows)],
        "points": [
            {
                "point": row.number, "values": row.values, "figures": row.figures,
                "feasible": row.is_feasible, "problems": row.problems, "warnings": row.warnings,
                "wall_s": row.wall_s,
            }
            for row in rows
        ],
    }  # fmt: skip


def write_tables(folder: Path, spec: Spec, rows: Sequence[Row]) -> None:
    """``table.json``, ``table.csv`` and the page."""
    from wafersim.sweep.page import page

    made = table(spec, rows)
    write(folder / TABLE_JSON, (json.dumps(made, indent=1, allow_nan=False) + "\n").encode())
    write(folder / TABLE_CSV, _csv(spec, rows, set(made["pareto"])).encode())
    write(folder / PAGE, page(spec, rows, made).encode())


def _csv(spec: Spec, rows: Sequence[Row], front: set[int]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = list(rows[0].figures) if rows else []
    shown = [name for name in figures if name not in {axis.name for axis in spec.axes}]
    names = [axis.name for axis in spec.axes]
    writer.writerow(["point", *names, *shown, "feasible", "pareto", "problems", "warnings", "wall_s"])
    for row in rows:
        values = [row.values[name] for name in names] + [row.figures[name] for name in shown]
        flags = ["yes" if row.is_feasible else "no", "yes" if row.number in front else "no"]
        writer.writerow(
            [row.number, *map(_cell, values), *flags, _cell("; ".join(row.problems)),
             _cell("; ".join(row.warnings)), f"{row.wall_s:.6f}"]
        )  # fmt: skip
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return "" if value is None else value
