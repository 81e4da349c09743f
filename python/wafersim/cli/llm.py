"""``wafersim llm``: how many wafers a model takes, how fast it is, and what limits it."""

from __future__ import annotations

from typing import Any

import click

from wafersim.cli.common import bytes_text, json_option, print_json, print_rows, seconds_text
from wafersim.cli.llm_deploy import deploy_answer, deploy_options, print_deployment, print_training

DTYPES = ("auto", "bf16", "fp16", "fp8", "int8", "int4", "mxfp4")


def _wafers(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    if value == "auto":
        return None
    if not value.isdigit() or not 1 <= int(value[:9]) <= 4096:
        raise click.BadParameter(f"{value[:40]!r} is neither 'auto' nor a whole number in 1..4096")
    return int(value)


def _tell(line: str) -> None:
    click.echo(line, err=True)


@click.command(short_help="Say how many wafers a model takes and how fast it is.")
@click.argument("config")
@click.option("--arch", "arch_name", default="wse3", show_default=True, help="Preset or TOML file.")
@click.option(
    "--prompt", type=click.IntRange(1, 1 << 24), default=2048, show_default=True, help="Tokens of a prompt."
)
@click.option(
    "--output", type=click.IntRange(1, 1 << 24), default=2048, show_default=True, help="Tokens of an answer."
)
@click.option(
    "--users", type=click.IntRange(1, 1 << 20), default=1, show_default=True, help="Users at the same time."
)
@click.option(
    "--ttft", type=click.FloatRange(min=0, min_open=True), help="Target: seconds to the first token."
)
@click.option(
    "--tpot", type=click.FloatRange(min=0, min_open=True), help="Target: seconds per token of a user."
)
@click.option(
    "--wafers", callback=_wafers, default="auto", show_default=True, help="Number of wafers, or auto."
)
@click.option(
    "--dtype", type=click.Choice(DTYPES), default="auto", show_default=True, help="Format of the weights."
)
@click.option(
    "--draft-tokens",
    type=click.IntRange(0, 64),
    default=0,
    show_default=True,
    help="Speculative decoding: drafts per pass.",
)
@click.option(
    "--acceptance",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.8,
    show_default=True,
    help="Chance that a draft is accepted.",
)
@click.option(
    "--draft-cost",
    type=click.FloatRange(0, 10),
    default=0.05,
    show_default=True,
    help="Cost of a draft, in passes of the model.",
)
@click.option("--exact", is_flag=True, help="Simulate each kind of decode layer; remembered on disk.")
@deploy_options
@json_option
def llm(config: str, arch_name: str, as_json: bool, **options: Any) -> None:
    """Wafers, speed and limits of a language model.

    CONFIG is a config.json of Hugging Face (a file, or the folder it is in) or the name of a preset.
    """
    options["exact"] = _tell if options["exact"] else None
    found = deploy_answer(config, arch_name, options)
    if as_json:
        print_json(found)
    elif "train" in found:
        print_training(found)
    else:
        _print(found)
        print_deployment(found)


def _print(found: dict[str, Any]) -> None:
    click.echo(found["words"])
    click.echo()
    low, high = (seconds_text(found["tpot_range_s"][end]) for end in ("low", "high"))
    rows = [
        ("parameters", f"{found['params']['total']:,} ({found['params']['active']:,} active)"),
        ("weights", bytes_text(found["weight_bytes"])),
        (
            "keys and values",
            f"{found['kv_bytes_per_token']:,} bytes a token, {bytes_text(found['kv_bytes_per_user'])} a user",
        ),
        ("wafers", f"{found['wafers']} ({found['wafers_why']})"),
        ("users", f"{found['users']} in {found['batches_under_way']} batches of {found['batch']}"),
        ("users at most", f"{found['max_users']} ({found['max_users_limit']})"),
        ("time to first token", seconds_text(found["ttft_s"])),
        ("time per token", f"{seconds_text(found['tpot_s'])} ({low} to {high})"),
        (
            "tokens per second",
            f"{found['tokens_per_s_user']:.0f} a user, {found['tokens_per_s_total']:.0f} in all",
        ),
        (
            "limited by",
            f"{found['bottleneck']} ({found['time_shares'][found['bottleneck']]:.0%} of the time)",
        ),
        ("used", ", ".join(f"{name} {value:.2%}" for name, value in found["utilisation"].items())),
        ("layer times", f"{found['method']['decode_layer']}; {found['validity']['status']}"),
    ]
    print_rows(rows)
    click.echo()
    print_rows(_placement_rows(found["placement"]))


def _placement_rows(placement: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("wafer", "layers", "regions", "PEs of one", "bytes a PE", "time a step")]
    for entry in placement:
        layers = "-" if entry["first_layer"] is None else f"{entry['first_layer']}-{entry['last_layer']}"
        layers += " +embedding" * entry["has_embedding"] + " +head" * entry["has_head"]
        used = f"{entry['pe_data_bytes']:,} of {entry['pe_sram_bytes']:,}"
        pes = entry["region_pes"] or "-"
        rows.append(
            (str(entry["wafer"]), layers, str(entry["regions"]), pes, used, seconds_text(entry["step_s"]))
        )
    return rows
