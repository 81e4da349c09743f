"""Money and sites: what systems cost an hour, a token, a year; what a budget of watts or dollars buys."""

from __future__ import annotations

import math
from typing import Any

from wafersim.deploy.facts import Facts
from wafersim.deploy.ranges import Range
from wafersim.errors import ConfigError

HOURS_PER_YEAR = 8760.0
_USED = (
    "system_usd", "tco_usd_per_hour", "rent_usd_per_hour", "site_w_per_system", "lifetime_years",
    "electricity_usd_per_kwh", "overhead_fraction", "busy_fraction",
)  # fmt: skip


def own_usd_per_hour(facts: Facts) -> Range:
    """Cost of an own system per hour, built up: capex over its life, overhead, electricity of the site."""
    capex = facts.range("system_usd")
    yearly = capex / facts.range("lifetime_years") + capex * facts.range("overhead_fraction")
    power = facts.range("site_w_per_system") * facts.range("electricity_usd_per_kwh") / 1000.0
    return yearly / HOURS_PER_YEAR + power


def usd_per_mtoken(
    systems: int, usd_per_hour: Range | float, tokens_per_s: Range | float, busy: Range | float = 1.0
) -> Range:
    """Dollars per million tokens of answers.

    Parameters
    ----------
    systems : int
        Systems that are paid for.
    usd_per_hour : Range or float
        Per system.
    tokens_per_s : Range or float
        What all of them make together while busy.
    busy : Range or float
        Share of the hours in which they are.

    Examples
    --------
    >>> print(usd_per_mtoken(1, 23.35, 1800))
    3.603
    """
    speed = Range.of(tokens_per_s)
    if not speed.low > 0:
        raise ConfigError(f"{tokens_per_s!r} tokens/s: expected a number above 0")
    return Range.of(usd_per_hour) * (systems * 1e6 / 3600.0) / speed / Range.of(busy)


def service_cost(systems: int, tokens_per_s: Range | float, facts: Facts | None = None) -> dict[str, Any]:
    """What a service costs: to buy, to rent, per million tokens; each with low and high.

    Returns
    -------
    dict
        ``capex_usd``, ``usd_per_hour`` and ``usd_per_mtoken`` by ``tco`` (published), ``own`` (built up from
        capex, overhead and electricity) and ``rent``, ``site_w``, ``assumptions``.
    """
    facts = facts or Facts.load()
    hourly = {
        "tco": facts.range("tco_usd_per_hour"),
        "own": own_usd_per_hour(facts),
        "rent": facts.range("rent_usd_per_hour"),
    }
    busy = facts.range("busy_fraction")
    per_token = {name: usd_per_mtoken(systems, usd, tokens_per_s, busy) for name, usd in hourly.items()}
    return {
        "systems": systems,
        "capex_usd": (facts.range("system_usd") * systems).as_dict(),
        "usd_per_hour": {name: (usd * systems).as_dict() for name, usd in hourly.items()},
        "usd_per_mtoken": {name: usd.as_dict() for name, usd in per_token.items()},
        "site_w": (facts.range("site_w_per_system") * systems).as_dict(),
        "assumptions": facts.used(*_USED),
    }


def budget(
    *,
    site_w: float | None = None,
    usd: float | None = None,
    wafers_per_copy: int,
    tokens_per_s_per_copy: Range | float,
    facts: Facts | None = None,
) -> dict[str, Any]:
    """What a budget buys: systems, copies of the model, tokens.

    Parameters
    ----------
    site_w : float, optional
        Watts of the site.
    usd : float, optional
        Dollars: to buy systems, or to rent them for the term of the agreements.  With both budgets the
        tighter one counts.
    wafers_per_copy : int
        Systems that one copy of the model takes.
    tokens_per_s_per_copy : Range or float
        Tokens of answers per second of one copy.
    facts : Facts, optional
        The assumptions.

    Returns
    -------
    dict
        ``systems``, ``copies``, ``tokens_per_s``, ``tokens_per_year`` bought, and rented ``rented_systems``
        likewise, each with low and high.
    """
    facts = facts or Facts.load()
    for name, value in (("site_w", site_w), ("usd", usd)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise ConfigError(f"budget {name} {value!r}: expected a finite number above 0")
    if site_w is None and usd is None:
        raise ConfigError("a budget needs watts or dollars")
    by_site = None if site_w is None else (site_w / facts.range("site_w_per_system")).floor()
    out: dict[str, Any] = {"site_w": site_w, "usd": usd}
    bought = None if usd is None else (usd / facts.range("system_usd")).floor()
    systems = _least(by_site, bought)
    out.update(_tokens(systems, wafers_per_copy, tokens_per_s_per_copy))
    out["limited_by"] = "usd" if by_site is None or (bought and bought.value < by_site.value) else "site_w"
    if usd is not None:
        term = facts.range("rent_usd_per_hour") * HOURS_PER_YEAR * facts.range("term_years")
        rented = _least(by_site, (usd / term).floor())
        out["rented"] = {
            "term_years": facts.range("term_years").as_dict(),
            **_tokens(rented, wafers_per_copy, tokens_per_s_per_copy),
        }
    out["assumptions"] = facts.used("site_w_per_system", "system_usd", "rent_usd_per_hour", "term_years")
    return out


def _least(a: Range | None, b: Range | None) -> Range:
    if a is None or b is None:
        found = a if b is None else b
        if found is None:
            raise ConfigError("a budget needs watts or dollars")
        return found
    return Range(min(a.value, b.value), min(a.low, b.low), min(a.high, b.high))


def _tokens(systems: Range, wafers_per_copy: int, tokens_per_s: Range | float) -> dict[str, Any]:
    copies = (systems / wafers_per_copy).floor()
    rate = copies * tokens_per_s
    return {
        "systems": systems.as_dict(),
        "copies": copies.as_dict(),
        "tokens_per_s": rate.as_dict(),
        "tokens_per_year": (rate * (HOURS_PER_YEAR * 3600.0)).as_dict(),
    }


def deal(facts: Facts | None = None) -> dict[str, Any]:
    """The 750 MW agreement: what its published figures imply.

    Returns
    -------
    dict
        ``usd_per_w`` (announced dollars to obligations, over the announced watts), ``systems`` and
        ``site_w_per_system`` by term in years, ``systems_by_power`` (the site's watts over a rack with its
        stores).
    """
    facts = facts or Facts.load()
    site, obligations = facts.value("announced_w"), facts.value("obligations_usd")
    yearly = facts.value("rent_usd_per_hour") * HOURS_PER_YEAR
    terms = facts.range("term_years")
    systems = {years: obligations / (yearly * years) for years in (terms.low, terms.value, terms.high)}
    announced = facts.value("announced_usd")
    per_w = Range(obligations / site, min(announced, obligations) / site, max(announced, obligations) / site)
    return {
        "usd_per_w": per_w.as_dict(),
        "rent_usd_per_system_year": yearly,
        "systems": systems,
        "site_w_per_system": {years: site / count for years, count in systems.items()},
        "systems_by_power": site / facts.range("site_w_per_system").low,
        "systems_by_power_with_option": facts.value("option_w") / facts.range("site_w_per_system").low,
        "years_to_deliver": site / facts.value("w_per_year"),
        "facts": facts.used("announced_w", "option_w", "w_per_year", "announced_usd", "obligations_usd",
                            "term_years", "rent_usd_per_hour", "site_w_per_system"),
    }  # fmt: skip
