"""``wafersim python``: run a host script with the modules that it imports."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Run a host script.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    help="Folder for a record of every launch and a table of commands.",
)
@click.option(
    "--arch-wse2", metavar="PROFILE", help="Profile for programs compiled with --arch=wse2 (wse2-sdk)."
)
@click.option(
    "--arch-wse3", metavar="PROFILE", help="Profile for programs compiled with --arch=wse3 (wse3-sdk)."
)
@click.option("--seed", type=int, help="Seed of the machine's random numbers (0).")
@click.option(
    "--fidelity",
    type=click.Choice(["wavelet", "stream"]),
    help="Every wavelet (default), or runs of them, with values.",
)
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="SCRIPT [ARGS]...")
def python(
    record: Path | None,
    arch_wse2: str | None,
    arch_wse3: str | None,
    seed: int | None,
    fidelity: str | None,
    arguments: tuple[str, ...],
) -> int:
    """Run SCRIPT (or -m MODULE) in this Python with the host modules that CSL programs' scripts import.

    The options come before the script; they can also be given as environment variables: WAFERSIM_RECORD,
    WAFERSIM_ARCH_WSE2, WAFERSIM_ARCH_WSE3, WAFERSIM_SEED, WAFERSIM_FIDELITY. The exit code is the script's.
    """
    from wafersim.sdk.script import run_script
    from wafersim.sdk.settings import FIDELITY_VARIABLE, PROFILES, RECORD_VARIABLE, SEED_VARIABLE

    chosen = {
        RECORD_VARIABLE: None if record is None else str(record.resolve()),
        PROFILES["wse2"][0]: arch_wse2,
        PROFILES["wse3"][0]: arch_wse3,
        SEED_VARIABLE: None if seed is None else str(seed),
        FIDELITY_VARIABLE: fidelity,
    }
    os.environ.update({name: value for name, value in chosen.items() if value is not None})
    return run_script(arguments)
