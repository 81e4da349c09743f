"""The part of ``wafersim llm`` about deployments: load, training, power, cost, budgets, GPUs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from wafersim.cli.common import print_rows, seconds_text

_F = TypeVar("_F", bound=Callable[..., Any])
_POSITIVE = click.FloatRange(min=0, min_open=True)

_OPTIONS = (
    click.option("--mode", type=click.Choice(("serve", "train")), default="serve", show_default=True),
    click.option("--rate", type=_POSITIVE, help="Serve so many requests per second (at random)."),
    click.option("--trace", type=click.Path(), help="Serve a trace: Mooncake, Azure or Vidur."),
    click.option("--requests", type=click.IntRange(1, 2_000_000), default=2000, show_default=True,
                 help="With --rate: how many."),
    click.option("--spread", type=click.FloatRange(0, 10), default=0.0, show_default=True,
                 help="With --rate: coefficient of variation of the lengths."),
    click.option("--seed", type=click.IntRange(0, 2**63), default=0, show_default=True,
                 help="Seed of what is drawn."),
    click.option("--copies", type=click.IntRange(1, 100_000),
                 help="With a load: copies of the model; by default as few as meet the targets, else one."),
    click.option("--prompt-copies", type=click.IntRange(0, 100_000), default=0, show_default=True,
                 help="With a load: further copies that take the prompts."),
    click.option("--chunk-tokens", type=click.IntRange(1, 1 << 24),
                 help="With a load: most tokens of a chunk of a prompt; by default prompts go in whole."),
    click.option("--tokens", type=_POSITIVE, help="With --mode train: tokens; by default 20 per parameter."),
    click.option("--sequence", type=click.IntRange(1, 1 << 24), default=2048, show_default=True,
                 help="With --mode train: tokens of a sequence."),
    click.option("--compare", type=click.Choice(("gpu",)), help="Answer for GPUs, too."),
    click.option("--budget-mw", type=_POSITIVE, help="What a site of so many megawatts holds."),
    click.option("--budget-usd", type=_POSITIVE, help="What so many dollars buy or rent."),
    click.option("--assume", multiple=True, metavar="NAME=VALUE",
                 help="Change an assumption: a value, or LOW:VALUE:HIGH; may be repeated."),
)  # fmt: skip


#: Options that are fields of `Deployment`.
_LOAD = (
    "rate", "trace", "requests", "copies", "prompt_copies", "chunk_tokens", "spread", "seed", "budget_usd",
)  # fmt: skip


def deploy_options(function: _F) -> _F:
    """Add the options of a deployment to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def deploy_answer(config: str, arch: str, options: dict[str, Any]) -> dict[str, Any]:
    """What `deploy.ask.deployment`, or for training `training`, answers to all options of the command.

    Raises
    ------
    ConfigError
        Bad input, or a model that does not fit.
    """
    from wafersim.deploy.ask import Deployment, deployment

    facts = _facts(options.pop("assume"))
    mode, tokens, sequence = (options.pop(name) for name in ("mode", "tokens", "sequence"))
    megawatts = options.pop("budget_mw")
    asked = Deployment(
        compare=options.pop("compare") == "gpu",
        budget_w=None if megawatts is None else 1e6 * megawatts,
        **{name: options.pop(name) for name in _LOAD},
    )
    if mode == "serve":
        if tokens is not None:
            raise click.UsageError("--tokens is for --mode train; see --prompt and --output")
        return deployment(config, arch, asked, facts=facts, **options)
    from wafersim.deploy.ask_training import training

    systems = options["wafers"] or 1
    return training(config, arch, asked, tokens=tokens, systems=systems, sequence=sequence, facts=facts)


def _facts(assumed: tuple[str, ...]) -> Any:
    """The assumptions with the changes of ``--assume``."""
    from wafersim.deploy.facts import Facts

    changes: dict[str, float | tuple[float, float, float]] = {}
    for text in assumed:
        name, equals, value = text.partition("=")
        parts = value.split(":")
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if not equals or len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
            raise click.UsageError(f"--assume {text[:60]!r}: expected NAME=VALUE or NAME=LOW:VALUE:HIGH")
        changes[name.strip()] = numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])
    return Facts.load(**changes)


def print_training(found: dict[str, Any]) -> None:
    """The answer for training in words."""
    run, days, usd = found["train"], found["train"]["days"], found["cost"]["usd"]["tco"]
    hidden = "hidden" if run["streaming_is_hidden"] else "not hidden"
    rows = [
        ("parameters", f"{found['params']['total']:,}"),
        ("run", f"{run['tokens']:.3g} tokens, {run['flops']:.3g} FLOPs"),
        ("systems", f"{run['systems']}, weights streamed through {run['tree']['nodes']} nodes"),
        ("step", f"{seconds_text(run['step_s'])} for {run['sequences']} sequences of {run['sequence']}"),
        ("streaming", f"{hidden}; needs {run['hidden_tokens']:,.0f} tokens a system, has "
                      f"{run['tokens_per_system'] / run['passes_per_step']:,.0f}"),
        ("days", _range(days)),
        ("MFU", f"{run['mfu']:.1%} of the dense peak; products alone {run['products']['utilization']:.1%}"),
        ("power", f"{found['power_w'] / 1e3:.0f} kW ({_span(found['power_range_w'], 1e-3)})"),
        ("cost of the run", f"${_range(usd)}"),
    ]  # fmt: skip
    print_rows(rows)
    for row in found.get("gpu", ()):
        hours, price = _range(row["gpu_hours"]), _range(row["usd"])
        click.echo(f"{row['name']}: {hours} GPU hours, ${price}")


def print_deployment(found: dict[str, Any]) -> None:
    """The part of the answer that `deploy_options` add, in words."""
    cost = found["cost"]
    rows = [
        ("power", f"{found['power_w'] / 1e3:.1f} kW ({_span(found['power_range_w'], 1e-3)})"),
        ("a token", f"{found['joules_per_token']:.3g} J ({_span(found['joules_per_token_range'])}), "
                    f"{found['energy']['static_share']:.1%} of it static"),
        ("to buy", f"${_range(cost['capex_usd'])}"),
        ("a million tokens", f"${_range(cost['usd_per_mtoken']['tco'])} at total cost, "
                             f"${_range(cost['usd_per_mtoken']['rent'])} rented"),
    ]  # fmt: skip
    if "serving" in found:
        rows += _serving_rows(found["serving"])
    if "budget" in found:
        bought = found["budget"]
        words = f"{_range(bought['systems'])} systems, {_range(bought['tokens_per_s'])} tokens/s"
        rows.append(("budget", f"{words}, limited by {bought['limited_by']}"))
        if "rented" in bought:
            rented = bought["rented"]
            rows.append(
                ("rented", f"{_range(rented['systems'])} systems for {_range(rented['term_years'])} years")
            )
    click.echo()
    print_rows(rows)
    if "gpu" in found:
        click.echo()
        _print_gpus(found)


def _serving_rows(serving: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("load", f"{serving['requests']['requests']} requests, {serving['refused']} refused; "
                 f"copies: {serving['copies']}, wafers: {serving['wafers']}"),
        ("throughput", f"{serving['tokens_per_s']:.0f} tokens/s, {serving['mean_sequences']:.1f} sequences"),
    ]  # fmt: skip
    for name, key in (("time to first token", "ttft_s"), ("time per token", "tpot_s"), ("whole", "e2e_s")):
        if serving[key] is not None:
            low, high = (serving["ranges"][key][end] for end in ("low", "high"))
            words = ", ".join(
                f"{p} {seconds_text(value)} ({seconds_text(low[p])} to {seconds_text(high[p])})"
                for p, value in serving[key].items()
            )
            rows.append((name, words))
    if "slo" in serving:
        slo = serving["slo"]
        rows.append(("targets", f"{slo['kept']:.1%} keep them, {slo['goodput_per_s']:.3g} requests/s"))
    if "largest_load" in serving:
        top = serving["largest_load"]
        rows.append(("largest load", f"{top['rate_per_s']:.3g} requests/s on {top['wafers']} wafers"))
        rows.append(("then binds", top["binds_text"]))
    else:
        rows.append(("binds next", serving["binds_next_text"]))
    return rows


def _print_gpus(found: dict[str, Any]) -> None:
    rows: list[tuple[str, ...]] = [
        ("GPUs", "tokens/s a user", "fastest node", "$ a million", "full: users", "tokens/s", "$ a million")
    ]
    for row in found["gpu"]:
        one, most = row["at_users"], row["at_most"]
        cells = [f"{row['gpus']} {row['name']} {row['precision']}", _range(one["tokens_per_s_user"])]
        cells += [f"{row['fastest']['gpus']}: {_range(row['fastest']['tokens_per_s_user'])}"]
        cells += [_range(one["usd_per_mtoken"]), str(most["users"])]
        cells += [_range(most["tokens_per_s_total"]), _range(most["usd_per_mtoken"])]
        rows.append(tuple(cells))
    print_rows(rows)
    click.echo()
    for line in found["verdict"]["text"]:
        click.echo(line)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _span(ends: dict[str, Any], unit: float = 1.0) -> str:
    return f"{_number(ends['low'] * unit)} to {_number(ends['high'] * unit)}"


def _range(figure: dict[str, Any]) -> str:
    exact = figure["low"] == figure["high"]
    return _number(figure["value"]) + ("" if exact else f" ({_span(figure)})")
