"""Where wafers win and where GPUs do: speed of a user, and tokens for a dollar."""

from __future__ import annotations

from typing import Any

from wafersim.deploy.cost import usd_per_mtoken
from wafersim.deploy.facts import Facts
from wafersim.deploy.ranges import Range


def verdict(found: dict[str, Any], full: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """Ratios of the answer for wafers to the best GPUs, and what they say.

    Parameters
    ----------
    found : dict
        The answer for wafers at the users asked for, with ``gpu``.
    full : dict
        The answer for as many users as fill the GPUs that are cheapest when full.
    facts : Facts
        The assumptions.

    Returns
    -------
    dict
        ``user_speed`` (wafers over the fastest GPUs at the same users), ``usd_per_mtoken`` (wafers over the
        cheapest GPUs, hour by hour of total cost: ``at_users`` at the users asked for, ``at_most`` at the
        users that fill those GPUs; with low and high), ``text``.
    """
    hourly = facts.range("tco_usd_per_hour")
    users = found["users"]
    fastest = max(found["gpu"], key=lambda row: row["fastest"]["tokens_per_s_user"]["value"])
    speed = found["tokens_per_s_user"]
    best = fastest["fastest"]["tokens_per_s_user"]
    ratio = speed_range(found, "tokens_per_s_user") / Range(best["value"], best["low"], best["high"])
    ratios = {}
    for key, answer in (("at_users", found), ("at_most", full)):
        made = speed_range(answer, "tokens_per_s_total")
        own = usd_per_mtoken(answer["wafers"], hourly, made).as_dict()
        rival = cheapest(found["gpu"], key)
        price = rival[key]["usd_per_mtoken"]
        ratios[key] = {
            "value": own["value"] / price["value"],
            "low": own["low"] / price["high"],
            "high": own["high"] / price["low"],
            "gpu": rival["gpu"],
            "gpus": rival["gpus"],
            "users": answer["users"],
            "wafers": answer["wafers"],
        }
    measured = [row["tokens_per_s"] for gpu in found["gpu"] for row in gpu["measured"] if row["per_user"]]
    user_speed = {
        **ratio.as_dict(),
        "gpu": fastest["gpu"],
        "gpus": fastest["fastest"]["gpus"],
        "best_measured_tokens_per_s": max(measured, default=None),
    }
    return {
        "user_speed": user_speed,
        "usd_per_mtoken": ratios,
        "text": _text(users, speed, user_speed, ratios, fastest["name"]),
    }


def speed_range(found: dict[str, Any], name: str) -> Range:
    """A speed of the model layer's answer with the range of its time per token."""
    tpot, ends = found["tpot_s"], found["tpot_range_s"]
    value = found[name]
    return Range(value, min(value, value * tpot / ends["high"]), max(value, value * tpot / ends["low"]))


def cheapest(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """The GPUs with the lowest price of a token, at the users asked for or full."""
    return min(rows, key=lambda row: float(row[key]["usd_per_mtoken"]["value"]))


def _text(
    users: int, speed: float, user_speed: dict[str, Any], ratios: dict[str, Any], name: str
) -> list[str]:
    many = "one user" if users == 1 else f"{users} users"
    lines = [
        f"Speed of a user, {many}: {speed:.0f} tokens/s on wafers, {user_speed['value']:.1f} times "
        f"({user_speed['low']:.1f} to {user_speed['high']:.1f}) the {user_speed['gpus']} {name}: "
        f"{_winner(1 / user_speed['low'], 1 / user_speed['high'])}."
    ]
    if user_speed["best_measured_tokens_per_s"] is not None:
        best = user_speed["best_measured_tokens_per_s"]
        lines.append(f"Fastest published point of a user on GPUs: {best:.0f} tokens/s.")
    for key, where in (
        ("at_users", f"at {many}"),
        ("at_most", f"at {ratios['at_most']['users']} users, {ratios['at_most']['wafers']} wafers"),
    ):
        ratio = ratios[key]
        lines.append(
            f"Dollars per token {where}: {ratio['value']:.1f} times "
            f"({ratio['low']:.2g} to {ratio['high']:.2g}) those of {ratio['gpus']} {ratio['gpu'].upper()}: "
            f"{_winner(ratio['high'], ratio['low'])}."
        )
    return lines


def _winner(high: float, low: float) -> str:
    """Who wins, given the range of wafers over GPUs of something that should be small."""
    if high < 1:
        return "the wafer wins"
    if low > 1:
        return "GPUs win"
    return "within the range of the assumptions, no winner"
