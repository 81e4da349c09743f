"""``wafersim run``: a library kernel or a program file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wafersim.cli.common import json_option


@click.command()
@click.argument("target", metavar="KERNEL|PROGRAM_FILE")
@click.argument("more", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--arch", help="Arch: a preset (wafersim arch list) or a TOML file.  [default: wse2]")
@click.option("--grid", metavar="WxH", help="PEs, width x height.  [default: the kernel's own]")
@click.option("--set", "settings", metavar="NAME=VALUE", multiple=True, help="A parameter; may be repeated.")
@click.option(
    "--launch", metavar="NAME", help="Function of a program file to launch; --set gives its arguments."
)
@click.option(
    "--fidelity",
    help="wavelet (every wavelet) or stream (runs of them).  [default: wavelet; with --no-values by size]",
)
@click.option("--no-values", is_flag=True, help="Array data has no values: faster at fidelity stream.")
@click.option(
    "--threads",
    type=int,
    metavar="N",
    help="Fidelity stream: threads of the run; no result depends on it.  [default: 1]",
)
@click.option("--seed", type=int, default=0, help="Seed of inputs and random numbers.  [default: 0]")
@click.option("--max-cycles", type=int, metavar="N", help="Stop after so many cycles.")
@click.option("--max-seconds", type=float, metavar="S", help="Stop after so many seconds of host time.")
@click.option("--max-events", type=int, metavar="N", help="Stop after so many simulator events.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Build and check only; say PEs, memory and, where known, cycles, events and host seconds.",
)
@click.option(
    "--trace",
    is_flag=False,
    flag_value="",
    metavar="[FILTER]",
    help="With --out: save what each PE did when. FILTER: pe=X,Y or rect=X0,Y0,X1,Y1 (two corners, "
    "both included); cycles=A:B (to B - 1); most=N entries; kinds=K,K,... of task, vector, stretch, send, "
    "receive, link; joined by ';'.  "
    "[default: all PEs and cycles, all kinds but link, 1000000 entries]",
)
@click.option(
    "--frames",
    type=int,
    metavar="N",
    help="With --out: sample the run about N times (2 .. 256), for the time slider of wafersim report.",
)
@click.option(
    "--grain",
    type=int,
    metavar="N",
    help="Fidelity stream: buffers hold at least N wavelets: faster, and approximate if N > 1.  "
    "[default: 1; of large runs with much to make 4096, if small ones hardly change; the answer says so]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Save the record and a picture there."
)
@json_option
def run(
    target: str,
    more: tuple[str, ...],
    settings: tuple[str, ...],
    as_json: bool,
    out: Path | None,
    **options: Any,
) -> int:
    """Run a library kernel, or a program file (.wsp), and check its values.

    Further NAME=VALUE are parameters, as after --set.

    \b
    wafersim run gemm --arch wse2 --grid 32x32 --set tile=4 dtype=f32
    wafersim run program.wsp --launch main --set n=4
    wafersim run reduce --trace "rect=0,0,3,0;cycles=0:500" --out DIR
    """
    from wafersim.cli.report import print_record
    from wafersim.simulate import request as requests

    watch, frames = _watch(options.pop("trace"), out), _frames(options.pop("frames"), out)
    fields = {name: value for name, value in options.items() if value is not None}
    fields["values"] = not fields.pop("no_values")
    fields["params"] = requests.parse_settings((*settings, *more))
    fields["program" if requests.looks_like_file(target) else "kernel"] = target
    request = requests.from_fields(fields)
    if request.fidelity == "stream":
        from wafersim.simulate.stream import refuse_watch

        refuse_watch(watch, frames)
    if request.dry_run:
        return _dry_run(request, as_json)
    if out is not None:
        _check_place(out)
    record = _execute(request, out, watch, frames)
    print_record(record, as_json)
    return requests.exit_code(record)


def _execute(request: Any, out: Path | None, watch: Any, frames: int | None) -> Any:
    """The run's record, saved in ``out``; until then what it has done so far is there and on a terminal."""
    from contextlib import ExitStack

    from wafersim.cli.progress import progress_bar
    from wafersim.record.running import Expected, running_file
    from wafersim.simulate import request as requests

    expected = Expected(_cycles(request), request.max_cycles, request.max_events, request.max_seconds)
    head = {
        name: getattr(request, name)
        for name in (
            "kernel",
            "program",
            "launch",
            "arch",
            "grid",
            "params",
            "seed",
            "fidelity",
            "grain",
            "values",
            "threads",
        )
    }
    with ExitStack() as stack:
        seers: list[Any] = [stack.enter_context(progress_bar(expected))]
        if out is not None:
            seers.append(stack.enter_context(running_file(out, head, expected)))
        seers = [seer for seer in seers if seer is not None]

        def progress(cycle: int, events: int) -> None:
            for seer in seers:
                seer(cycle, events)

        record = requests.execute(request, progress if seers else None, watch, frames)
        if out is not None:
            _save(record, out)
        return record


def _cycles(request: Any) -> float | None:
    """Estimated cycles of a run, None where nothing is known or the run will be refused."""
    from wafersim.errors import WafersimError
    from wafersim.estimates import estimate_run

    try:
        return estimate_run(request).cycles
    except WafersimError:
        return None


def _watch(trace: str | None, out: Path | None) -> Any:
    """What ``--trace`` asks for, None without it."""
    if trace is None:
        return None
    from wafersim.errors import ConfigError
    from wafersim.simulate.watching import parse_filter

    if out is None:
        raise ConfigError("--trace needs --out DIR, where the timeline is saved")
    return parse_filter(trace)


def _frames(frames: int | None, out: Path | None) -> int | None:
    """What ``--frames`` asks for, None without it."""
    if frames is not None and out is None:
        from wafersim.errors import ConfigError

        raise ConfigError("--frames needs --out DIR, where the frames are saved")
    return frames


def _dry_run(request: Any, as_json: bool) -> int:
    from wafersim.cli.common import print_json, print_rows
    from wafersim.estimates import estimate

    result = estimate(request)
    if as_json:
        print_json(result)
    else:
        rows = [(name, "unknown" if value is None else str(value)) for name, value in result.items()]
        print_rows(rows)
    return 0


def _check_place(out: Path) -> None:
    """Refuse a bad place before the run, not after it."""
    from wafersim.record.store import refuse_foreign

    refuse_foreign(out)


def _save(record: Any, out: Path) -> None:
    from wafersim.record.picture import heat_map_svg
    from wafersim.record.trace_files import trace_files

    files = {"heatmap.svg": heat_map_svg(record).encode()} if record.counted else {}
    if record.timeline is not None:
        files |= trace_files(record)
        record.info["timeline"]["files"] = [name for name in files if name.startswith("timeline.")]
    record.save(out, files)
