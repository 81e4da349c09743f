"""From a question in plain words (options) to the answer: what the command line and Python share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wafersim.arch import Arch
from wafersim.models.accounting.config import ModelConfig
from wafersim.models.answer.answer import Question, answer, choose
from wafersim.models.answer.exact_speed import exact_planner
from wafersim.models.placement.placed import PlacedModel
from wafersim.models.placement.planner import Planner
from wafersim.models.placement.speculation import Speculation
from wafersim.models.placement.wafer import Wafer
from wafersim.models.reading.quantization import for_dtype
from wafersim.models.surface.speed import Speed


def planner_for(
    config: str | Path | ModelConfig,
    arch: str | Path | Arch = "wse3",
    dtype: str = "auto",
    speculation: Speculation | None = None,
) -> Planner:
    """A planner for a model on a machine.

    Raises
    ------
    ConfigError
        Unknown model, arch or dtype.
    """
    model = config if isinstance(config, ModelConfig) else ModelConfig.load(config)
    given = for_dtype(dtype, model.experts is not None)
    if given is not None:
        model = dataclasses.replace(model, weight_bits=given[0], quantization=given[1])
    machine = Arch.load(arch)
    return Planner(model, Wafer.of(machine), Speed(machine), speculation)


def ask(
    config: str | Path | ModelConfig,
    arch: str | Path | Arch = "wse3",
    *,
    prompt: int = 2048,
    output: int = 2048,
    users: int = 1,
    ttft: float | None = None,
    tpot: float | None = None,
    wafers: int | None = None,
    dtype: str = "auto",
    draft_tokens: int = 0,
    acceptance: float = 0.8,
    draft_cost: float = 0.05,
    exact: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The answer to ``wafersim llm`` as plain data.

    Parameters
    ----------
    config
        Preset, path of a ``config.json`` or a model.
    prompt, output : int
        Tokens of a prompt and of an answer.
    users : int
        Users at the same time.
    ttft, tpot : float, optional
        Targets in seconds.
    wafers : int, optional
        Wafers to use; by default as few as hold the model and its users.
    exact : callable, optional
        Simulate every kind of decode layer instead of interpolating (results are remembered on disk); gets a
        line before each simulation.

    Raises
    ------
    ConfigError
        Bad input, or a model that does not fit.

    Examples
    --------
    >>> ask("llama-3.1-8b")["wafers"]
    1
    """
    planner = planner_for(config, arch, dtype, Speculation(draft_tokens, acceptance, draft_cost))
    question = Question(prompt, output, users, ttft, tpot, wafers)
    machine = Arch.load(arch)
    if exact is not None:
        planner = exact_planner(planner, machine, choose(planner, question), exact)
    found = answer(planner, machine, question)
    return {**found, "words": in_words(found)}


def in_words(found: dict[str, Any]) -> str:
    """The answer in two or three sentences."""
    number = found["wafers"]
    wafers = f"{number} wafer" + ("s" if number != 1 else "")
    users = "one user" if found["users"] == 1 else f"{found['users']} users"
    text = (
        f"{found['model']} takes {wafers} ({found['arch']}) for {users} of {found['context']} tokens. "
        f"A user gets {found['tokens_per_s_user']:.0f} tokens per second, all together "
        f"{found['tokens_per_s_total']:.0f}; the first token comes after {found['ttft_s']:.3g} s. "
        f"The time goes to {found['bottleneck'].replace('_', ' ')}."
    )
    if found["slo_met"] is not None:
        text += " The target is met." if found["slo_met"] else " The target is not met."
    return text


def service_model(
    config: str | Path | ModelConfig,
    arch: str | Path | Arch = "wse3",
    *,
    users: int = 1,
    context: int = 4096,
    wafers: int | None = None,
    dtype: str = "auto",
) -> PlacedModel:
    """A model placed for `users` sequences of `context` tokens, as ``wafersim.deploy`` needs it.

    Raises
    ------
    ConfigError
        Bad input, or a model that does not fit.
    """
    return planner_for(config, arch, dtype).plan(users, context, wafers).placed
