"""``wafersim demo``: a matrix product on 32x32 PEs, checked, compared with a measurement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wafersim.cli.common import json_option, print_json, print_rows, seconds_text

if TYPE_CHECKING:
    from wafersim.record import Record
    from wafersim.validation.rows import Row

KERNEL, ARCH, SIDE, TILE = "gemm", "wse2", 32, 8
PICTURE = "wafersim-demo.svg"


@click.command()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Where the picture goes.  [{PICTURE}]",
)
@json_option
def demo(out: Path | None, as_json: bool) -> int:
    """Ten seconds: a matrix product on 32x32 PEs, checked against NumPy and compared with a real machine."""
    from wafersim.cli.progress import progress_bar
    from wafersim.record.picture import heat_map_svg
    from wafersim.simulate.request import Request, execute, exit_code

    request = Request(kernel=KERNEL, arch=ARCH, grid=f"{SIDE}x{SIDE}", params={"tile": TILE})
    with progress_bar() as progress:
        record = execute(request, progress)
    comparison = compare(record, published_row())
    picture = write_picture(heat_map_svg(record), out)
    if as_json:
        print_json({**record.summary(), "published": comparison, "picture": str(picture)})
    else:
        _print(record, comparison, picture)
    return exit_code(record)


def published_row() -> Row | None:
    """The published measurement of this very program: same grid, same tile, on silicon."""
    from wafersim.validation.rows import load_rows

    for row in load_rows():
        silicon = row.family == "SUMMA" and row.measured_or_model == "measured-hw"
        if silicon and row.grid() == (SIDE, SIDE) and f"tile {TILE}x{TILE}x{TILE}" in row.problem:
            return row
    return None


def compare(record: Record, row: Row | None) -> dict[str, Any] | None:
    """Simulated against published cycles of the timed window; None without a row or a window."""
    window = record.metrics.get("window_cycles")
    if row is None or window is None:
        return None
    observed = row.observed[0]
    return {
        "row": row.id,
        "source": row.source,
        "hardware": row.hardware,
        "published_cycles": observed,
        "window_cycles": window,
        "relative_error": window / observed - 1,
    }


def write_picture(svg: str, out: Path | None) -> Path:
    """Write the picture where asked, or here, or in the temporary folder if this one is read-only."""
    import tempfile

    from wafersim.errors import ConfigError

    places = [out] if out is not None else [Path(PICTURE), Path(tempfile.gettempdir()) / PICTURE]
    for place in places:
        try:
            place.write_text(svg)
            return place
        except OSError as error:
            problem = f"cannot write {place}: {error.strerror}"
    raise ConfigError(problem)


def _print(record: Record, comparison: dict[str, Any] | None, picture: Path) -> None:
    summary = record.summary()
    side = SIDE * TILE
    click.echo(f"C += A B with {side} x {side} matrices of f32 on {SIDE} x {SIDE} PEs of a simulated {ARCH}")
    checked = "agree with NumPy" if summary["verified"] else "are WRONG"
    rows = [
        (
            "values",
            f"{checked}, largest error {summary['max_abs_error']:.3g}"
            if summary["verified"] is not None
            else "not checked",
        ),
        ("cycles", f"{summary['cycles']:,} ({seconds_text(summary['seconds'])} at the arch's clock)"),
    ]
    if comparison is not None:
        error = comparison["relative_error"]
        rows.append(
            ("window", f"{comparison['window_cycles']:,} cycles between the program's two timestamps")
        )
        rows.append(
            (
                "measured",
                f"{comparison['published_cycles']:,.0f} cycles on {comparison['hardware']}: {error:+.1%}",
            )
        )
        rows.append(("source", f"row {comparison['row']}: {comparison['source']}"))
    rows.append(("bottleneck", summary["bottleneck_detail"]["text"]))
    rows.append(("host", f"{summary['events']:,} events in {seconds_text(summary['wall_s'])}"))
    rows.append(("picture", str(picture)))
    print_rows(rows, indent="  ")
    click.echo("Next: wafersim kernels, wafersim run gemm --set tile=4, wafersim explain bottleneck")
