"""Speed and price against the number of users: on wafers, and on a node of each kind of GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wafersim.deploy.cost import usd_per_mtoken
from wafersim.deploy.facts import Facts
from wafersim.deploy.gpu import GpuGroup, gpus, serve_on
from wafersim.deploy.verdict import speed_range
from wafersim.errors import ConfigError
from wafersim.models.accounting.config import ModelConfig

#: Users for which a comparison answers.
USERS = (1, 4, 16, 64, 256)


def by_users(
    answer: Callable[[int], dict[str, Any]],
    model: ModelConfig,
    precision: str,
    facts: Facts,
    users: Sequence[int] = USERS,
) -> list[dict[str, Any]]:
    """One row per number of users.

    Parameters
    ----------
    answer : callable
        The answer of the model layer for so many users on as many wafers as they take.
    model, precision
        What GPUs run.
    facts : Facts
        The assumptions.
    users : sequence of int
        Numbers of users.

    Returns
    -------
    list of dict
        ``users``; ``wafers``, ``tokens_per_s_user``, ``tokens_per_s_total``, ``usd_per_mtoken`` (at total
        cost); ``gpu``: the same for the fastest group of up to a node of each kind that holds the users.
        What does not fit is missing.
    """
    rows = []
    for count in users:
        try:
            found = answer(count)
        except ConfigError:
            break  # more wafers than there can be; more users would not fit either
        made = speed_range(found, "tokens_per_s_total")
        price = usd_per_mtoken(found["wafers"], facts.range("tco_usd_per_hour"), made)
        rows.append(
            {
                "users": count,
                "wafers": found["wafers"],
                "tokens_per_s_user": found["tokens_per_s_user"],
                "tokens_per_s_total": found["tokens_per_s_total"],
                "usd_per_mtoken": price.as_dict(),
                "gpu": _gpus(model, precision, count, found["prompt"], found["context"], facts),
            }
        )
    return rows


def _gpus(
    model: ModelConfig, precision: str, users: int, prompt: int, context: int, facts: Facts
) -> list[dict[str, Any]]:
    out = []
    for gpu in gpus().values():
        try:
            group = GpuGroup.fastest(model, gpu, precision, users, context, facts)
        except ConfigError:
            continue
        one = serve_on(group, users, prompt, context, facts)
        kept = ("gpus", "tokens_per_s_user", "tokens_per_s_total", "usd_per_mtoken")
        out.append({"gpu": gpu.key, **{name: one[name] for name in kept}})
    return out
