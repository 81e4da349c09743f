"""The accuracy page: measured runs in, one Markdown page out.

``python -m wafersim.validation.page --run`` replays the rows and writes ``docs/accuracy.json`` and
``docs/accuracy.md`` (with ``--family`` only the rows of a family, the others stay); ``--baseline`` also
makes the gate's baseline from it; ``--check`` says whether the page still follows from the data, this text
and the rows.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from wafersim.validation.gate import baseline_of
from wafersim.validation.measure import SCHEMA, measure, published_runs_of, result_of
from wafersim.validation.results import Result, summarise
from wafersim.validation.rows import load_rows
from wafersim.validation.runner import run_spec
from wafersim.validation.store import stored

PAGE, DATA = Path("docs/accuracy.md"), Path("docs/accuracy.json")
BASELINE = Path(__file__).with_name("baseline.json")
PUBLISHED = Path(__file__).parents[1] / "kernels" / "published.json"

_INTRO = """# Accuracy: published numbers replayed

Every row of this page is a number that somebody published, replayed by the program that was measured,
rebuilt for this simulator. Runs at fidelity `wavelet` have real values that are checked against NumPy; long
ones are done at fidelity `stream`, without values, and the host link (SYST) is a formula: `accuracy.json`
says which. `wafersim validate` does the same on your machine, `wafersim validate --row ID` one row. Times are
compared in cycles, with each source's clock.

- **error** = (simulated - published) / published; inside a published range it is 0.
- **fit**: a constant's value was fitted on this row, so it is no evidence.
- **Other rows are not blind.** Values were fitted on the marked rows only, but mechanisms were chosen
  with more rows in view: the form of the GEMM's activity limiter (of three tried, the one that meets L =
  46) and the offset of its operands with all SUMMA tiles and the +13 % from L = 45 to 46; task, branch
  and drain costs after about a dozen variants on 17 JSTT rows and the JST1 grids; that sources of an op take
  turns with the short rows of JSTT; the conflict of writes with reads with the SPMM and SPMMD rows; two
  choices of the MeshGEMM program with the MGEMM rows, and the copies of the FFT's local transform with the
  FFT rows (said there). Errors of those families say how well one mechanism fits many rows, not how well
  unseen rows are predicted.
- A profile models one thing: `wse2`, `wse3` silicon, `wse2-sdk`, `wse3-sdk` the vendor's fabric simulator.
- Programs are chosen per family, never per row. A miss is shown as a miss, with its cause if it is known.

This page is generated (`python -m wafersim.validation.page`); its numbers are in `accuracy.json`.
"""


_FLAGS_INTRO = """\
Made from the text of a row and its source, never from its error. Such rows are replayed where a recipe can,
and the summary gives medians with and without them.
"""


@cache
def remarks(kind: str) -> dict[str, str]:
    """Remarks by family, or causes of misses by row."""
    text = files("wafersim.validation").joinpath("remarks.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)[kind]
    return {
        name: " ".join(remark.split()) + ("\n" if kind == "family" else "") for name, remark in table.items()
    }


# --- rendering ---------------------------------------------------------------------------------


def render(data: Mapping[str, Any]) -> str:
    """The page."""
    results = [result_of(row) for row in data["rows"]]
    fitted = set(data["fitted_on"])
    parts = [_INTRO, _families(results, fitted)]
    for family in dict.fromkeys(result.family for result in results):
        group = [result for result in results if result.family == family]
        compared = [result for result in group if result.error is not None]
        if compared:
            parts += [f"## {family}\n", remarks("family").get(family, ""), _rows(compared, fitted)]
    parts += ["## Misses and their causes\n", _misses(results)]
    parts += ["## Judgements on sources\n", _FLAGS_INTRO, _flagged(results)]
    parts += ["## Rows that are not replayed\n", _left_out(results)]
    parts += ["## Micro-benchmarks per profile\n", _benchmarks(data["microbenchmarks"])]
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def _families(results: list[Result], fitted: set[str]) -> str:
    fresh = [result for result in results if result.id not in fitted]
    head = (
        "family", "profile", "rows", "compared", "within", "median error", "largest", "at", "flagged",
        "median without flagged", "sign",
    )  # fmt: skip
    lines = [
        (
            f.family, f.arch or "all", str(f.rows), str(f.compared), str(f.ok), _percent(f.median_abs_error),
            _percent(f.max_abs_error), f.worst or "-", str(f.flagged), _percent(f.median_unflagged), f.sign,
        )
        for f in summarise(fresh)
        if f.compared
    ]  # fmt: skip
    replayed = sum(result.error is not None for result in results)
    return (
        f"## Summary, without the rows of fits\n\n{replayed} of {len(results)} rows are replayed.\n\n"
        + _table([head, *lines])
    )


def _rows(results: Iterable[Result], fitted: set[str]) -> str:
    head = ("row", "profile", "program", "grid", "published", "simulated", "error", "")
    lines = [
        (
            r.id, r.arch or "-", f"{r.problem} ({r.metric})", r.grid or "-", _number(r.observed),
            _number(r.predicted), _percent(r.error, sign=True),
            "fit" if r.id in fitted else ("miss" if r.status == "miss" else ""),
        )
        for r in results
    ]  # fmt: skip
    return _table([head, *lines])


def _misses(results: list[Result]) -> str:
    missed = [result for result in results if result.status in ("miss", "failed")]
    if not missed:
        return "None.\n"
    causes: dict[str, list[Result]] = {}
    for result in missed:
        causes.setdefault(remarks("cause").get(result.id, "cause not known yet."), []).append(result)
    lines = [
        f"- {', '.join(f'**{r.id}** ({r.problem}; {_percent(r.error, sign=True)})' for r in group)}: {cause}"
        for cause, group in causes.items()
    ]
    return "\n".join(lines) + "\n"


def _flagged(results: list[Result]) -> str:
    """Judgements on sources, one line per flag and reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for r in results:
        if r.flag:
            reasons.setdefault((r.flag, r.reason), []).append(r.id)
    lines = [
        f"- {', '.join(ids)}: **{flag.replace('_', ' ')}**: {reason.rstrip('.')}."
        for (flag, reason), ids in reasons.items()
    ]
    return "\n".join(lines or ["None."]) + "\n"


def _left_out(results: list[Result]) -> str:
    reasons: dict[str, list[str]] = {}
    for r in results:
        if r.status == "not_replayed" and not r.flag:
            reasons.setdefault(r.note, []).append(r.id)
        elif r.status == "skipped":
            reasons.setdefault("left out of this run for its length", []).append(r.id)
    return "\n".join(f"- {', '.join(ids)}: {reason.rstrip('.')}." for reason, ids in reasons.items()) + "\n"


def _benchmarks(lines: Iterable[Mapping[str, Any]]) -> str:
    head = (
        "profile",
        "code",
        "type",
        "operands: address, stride in bytes",
        "elements/cycle",
        "set-up",
        "support",
    )
    table = [
        (
            line["arch"], line["code"].split(",")[0], line["dtype"],
            "; ".join(f"{o['name']} {o['address']}, {o['stride_bytes']}" for o in line["operands"]),
            f"{line['elements_per_cycle']:.3g}", f"{line['setup_cycles']:.1f}", line["support"],
        )
        for line in lines
    ]  # fmt: skip
    return (
        "Eight equal ops in a loop at two lengths; the slope is the rate, the rest the set-up per op "
        "(descriptor loads and\nloop included). Addresses and strides in bytes; rates with two sources "
        "depend on their distance modulo 16.\n\n" + _table([head, *table])
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in body]
    return "\n".join(lines) + "\n"


def _percent(value: float | None, sign: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.1%}" if sign else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.6g}" if value < 1e6 else f"{value:,.0f}"


# --- freshness ---------------------------------------------------------------------------------


def problems(data: Mapping[str, Any], page: str) -> list[str]:
    """What makes the page stale; an empty list if it is fresh."""
    found = []
    if data.get("schema") != SCHEMA:
        return [f"accuracy.json has schema {data.get('schema')!r}, {SCHEMA} is needed; run with --run"]
    published = {row.id: row for row in load_rows()}
    if [row["id"] for row in data["rows"]] != list(published):
        found.append("the rows of the package are not those of accuracy.json; run with --run")
    if page != render(data):
        found.append("the page does not follow from accuracy.json and its text; run without --check")
    return found


def stale_profiles(data: Mapping[str, Any]) -> list[str]:
    """Profiles whose constants have changed since the numbers were measured."""
    from wafersim.arch import Arch

    known = data["fingerprints"]
    return [name for name in Arch.names() if Arch.load(name).fingerprint() != known.get(name)]


@click.command()
@click.option("--run", "measuring", is_flag=True, help="Replay the rows first and write accuracy.json.")
@click.option("--family", "families", multiple=True, help="With --run: only this family (may be repeated).")
@click.option("--budget", type=float, help="Host seconds for --run; without it all rows are replayed.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for figures of runs, as in validate.")
@click.option("--baseline", is_flag=True, help="Write the gate's baseline from accuracy.json.")
@click.option("--check", "checking", is_flag=True, help="Only say whether the page is fresh.")
@click.option("--docs", type=click.Path(path_type=Path), default=PAGE.parent, show_default=True)
def main(
    measuring: bool,
    families: tuple[str, ...],
    budget: float | None,
    cache: Path | None,
    baseline: bool,
    checking: bool,
    docs: Path,
) -> None:
    """Write or check the accuracy page."""
    page, store = docs / PAGE.name, docs / DATA.name
    if measuring:
        before = _read(store) if store.exists() else None
        runner = stored(run_spec, cache) if cache else run_spec
        _write(store, measure(budget, runner, families, before))
    data = _read(store)
    for name in stale_profiles(data):
        click.echo(f"note: constants of {name} have changed since the numbers were measured", err=True)
    if checking:
        found = problems(data, page.read_text(encoding="utf-8"))
        for line in found:
            click.echo(line, err=True)
        raise SystemExit(1 if found else 0)
    if baseline:
        _write(BASELINE, baseline_of(result_of(row) for row in data["rows"]))
    _write(PUBLISHED, published_runs_of(data))
    page.write_text(render(data), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _write(path: Path, data: Mapping[str, Any]) -> None:
    """JSON with one line per entry of the lists and tables of ``data``, so that a change is a short diff."""
    parts = []
    for name, value in data.items():
        if isinstance(value, list):
            lines = ",\n  ".join(json.dumps(entry) for entry in value)
            parts.append(f'"{name}": [\n  {lines}\n ]')
        elif isinstance(value, dict):
            lines = ",\n  ".join(f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items())
            parts.append(f'"{name}": {{\n  {lines}\n }}')
        else:
            parts.append(f'"{name}": {json.dumps(value)}')
    path.write_text("{\n " + ",\n ".join(parts) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
