"""Energy, cost and the worked example of the deal against the published figures."""

from __future__ import annotations

import pytest

from wafersim.deploy.closed_forms import (
    distinct_experts,
    handoff_s,
    md1_wait_s,
    speculation_speedup,
    speculation_tokens,
    wafers_needed,
)  # fmt: skip
from wafersim.deploy.cost import budget, deal, own_usd_per_hour, service_cost, usd_per_mtoken
from wafersim.deploy.energy import TokenWork, serving_energy, static_w, system_w
from wafersim.deploy.facts import Facts
from wafersim.errors import ConfigError

FACTS = Facts.load()
#: decode of Llama 3 8B on 420 x 420 PEs: wavelet-hops, multiply-adds and weights of a token
WORK_8B = TokenWork(flops=15e9, sram_bytes=16e9, wavelet_hops=1.21e9)


@pytest.mark.parametrize(
    ("acceptance", "drafts", "tokens"),
    [
        (0.7, 1, 1.70), (0.7, 3, 2.53), (0.7, 5, 2.94), (0.8, 1, 1.80), (0.8, 3, 2.95), (0.8, 5, 3.69),
        (0.9, 1, 1.90), (0.9, 3, 3.44), (0.9, 5, 4.69), (1.0, 3, 4.0), (0.0, 3, 1.0),
    ],
)  # fmt: skip
def test_speculation_table(acceptance, drafts, tokens):
    assert speculation_tokens(acceptance, drafts) == pytest.approx(tokens, abs=0.005)
    assert speculation_speedup(acceptance, drafts, 0.0) == speculation_tokens(acceptance, drafts)
    assert speculation_speedup(acceptance, drafts, 0.1) == pytest.approx(
        tokens / (1 + 0.1 * drafts), abs=0.005
    )


@pytest.mark.parametrize(("tokens", "experts"), [(1, 8), (8, 57.4), (32, 163.3), (64, 222.4), (128, 251.6)])
def test_distinct_experts(tokens, experts):
    assert distinct_experts(256, 8, tokens) == pytest.approx(experts, abs=0.05)


@pytest.mark.parametrize(
    ("weights", "kv_bytes", "wafers"),
    [
        (16.06e9, 131072, (1, 1, 2, 5)),
        (141.1e9, 327680, (4, 5, 7, 13)),
        (811.7e9, 516096, (22, 24, 26, 37)),
        (671.0e9, 70272, (18, 19, 19, 20)),
    ],
)
def test_wafers_by_capacity(weights, kv_bytes, wafers):
    usable = FACTS.value("wafer_sram_bytes") * FACTS.value("sram_fill")
    users = ((1, 8192), (1, 131072), (8, 32768), (32, 32768))
    assert tuple(wafers_needed(weights, n * ctx, kv_bytes, usable) for n, ctx in users) == wafers


@pytest.mark.parametrize(
    ("tokens", "rate", "seconds"),
    [(10_000, 150e9, 0.022), (10_000, 12.5e9, 0.26), (131_072, 150e9, 0.286), (131_072, 12.5e9, 3.44)],
)
def test_hand_over_of_70b(tokens, rate, seconds):
    assert handoff_s(tokens, 327680, rate) == pytest.approx(seconds, rel=0.02)


def test_a_full_queue_waits_for_ever():
    assert md1_wait_s(1.0, 1.0) == float("inf")


def test_dynamic_energy_of_a_token():
    joules = WORK_8B.joules(Facts.load(joules_per_flop=0.32e-12, joules_per_sram_byte=0.24e-12))
    assert joules["hops"].low == pytest.approx(6e-3, rel=0.05)
    assert joules["hops"].high == pytest.approx(39e-3, rel=0.05)
    assert joules["flops"].value == pytest.approx(5e-3, rel=0.05)
    assert joules["sram"].value == pytest.approx(4e-3, rel=0.05)
    assert joules["io"].value == 0


def test_static_energy_of_a_single_stream():
    energy = serving_energy(1, 2700, WORK_8B, Facts.load(system_w=20e3, static_fraction=1.0))
    assert energy.static_joules.value == pytest.approx(7.4, abs=0.05)
    energy = serving_energy(1, 1800, WORK_8B)
    assert energy.static_share > 0.95
    assert energy.joules_per_token.low < energy.joules_per_token.value < energy.joules_per_token.high


def test_power_of_a_system():
    assert system_w(0, FACTS) == static_w(FACTS)
    assert system_w(0, FACTS).value == pytest.approx(0.8 * 23e3)
    assert system_w(1, FACTS) == FACTS.range("system_w")
    assert 18.4e3 < system_w(0.5, FACTS).value < 23e3
    with pytest.raises(ConfigError, match=r"activity 1\.5"):
        system_w(1.5, FACTS)
    # power cannot pass the full power, however wild the throughput
    assert serving_energy(3, 1e9, WORK_8B).power.value == pytest.approx(69e3)
    assert serving_energy(3, 1e9, WORK_8B).as_dict()["static_share"] < 0.1


def test_more_users_share_the_static_power():
    shares = [serving_energy(1, rate, WORK_8B).joules_per_token.value for rate in (1e3, 1e4, 1e5)]
    assert shares[0] > 5 * shares[1] > 10 * shares[2]


def test_upper_bounds_of_dynamic_energies():
    tdp, dynamic = 25e3, 0.2
    assert dynamic * tdp / FACTS.value("wafer_dense_flops") == pytest.approx(
        FACTS.range("joules_per_flop").high, rel=0.01
    )
    assert dynamic * tdp / 21e15 == pytest.approx(FACTS.range("joules_per_sram_byte").high, rel=0.01)


def test_break_even_of_a_single_stream():
    assert usd_per_mtoken(1, 23.35, 1800).value == pytest.approx(3.60, abs=0.005)
    assert usd_per_mtoken(1, 23.35, 36 * 1800).value == pytest.approx(0.10, abs=0.001)


def test_cost_of_a_service():
    cost = service_cost(4, 5000)
    assert cost["capex_usd"]["value"] == 4e6
    for name in ("tco", "own", "rent"):
        per_token = cost["usd_per_mtoken"][name]
        assert per_token["low"] < per_token["value"] < per_token["high"]
    tco = 4 * 23.35 / 3600 / 5000 * 1e6
    assert cost["usd_per_mtoken"]["tco"]["value"] == pytest.approx(tco)
    # idle for half of the time: twice the price
    half = service_cost(4, 5000, Facts.load(busy_fraction=0.5))
    assert half["usd_per_mtoken"]["tco"]["value"] == pytest.approx(2 * tco)
    # the published total cost lies in the range of the one built up
    own = own_usd_per_hour(FACTS)
    assert own.low < FACTS.value("tco_usd_per_hour") < own.high
    for name, fact in cost["assumptions"].items():
        assert fact["source"], name


def test_budget():
    found = budget(site_w=1e6, wafers_per_copy=4, tokens_per_s_per_copy=1000)
    assert found["systems"] == {"value": 29, "low": 22, "high": 29}
    assert found["copies"] == {"value": 7, "low": 5, "high": 7}
    assert found["tokens_per_s"]["value"] == 7000
    assert found["limited_by"] == "site_w"
    rich = budget(usd=1e9, wafers_per_copy=4, tokens_per_s_per_copy=1000)
    assert rich["systems"]["value"] == 1000
    assert rich["rented"]["systems"]["value"] == int(1e9 / (41.96 * 8760 * 3.5))
    both = budget(usd=1e9, site_w=1e6, wafers_per_copy=4, tokens_per_s_per_copy=1000)
    assert both["systems"]["value"] == 29
    assert both["limited_by"] == "site_w"
    assert budget(usd=1e6, site_w=1e6, wafers_per_copy=1, tokens_per_s_per_copy=1)["limited_by"] == "usd"


def test_the_deal():
    found = deal()
    assert found["usd_per_w"]["low"] == pytest.approx(26.7, abs=0.05)
    assert found["usd_per_w"]["high"] == pytest.approx(32.8, abs=0.05)
    systems = [round(count / 1e3, 1) for count in found["systems"].values()]
    assert systems == [22.3, 19.1, 16.7]
    site = [round(watts / 1e3) for watts in found["site_w_per_system"].values()]
    assert site == [34, 39, 45]
    assert found["systems_by_power"] == pytest.approx(22e3, rel=0.005)
    assert found["years_to_deliver"] == pytest.approx(3)
    assert found["rent_usd_per_system_year"] == pytest.approx(367.6e3, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: budget(wafers_per_copy=1, tokens_per_s_per_copy=1), "needs watts or dollars"),
        (lambda: budget(usd=-1, wafers_per_copy=1, tokens_per_s_per_copy=1), "budget usd -1"),
        (lambda: usd_per_mtoken(1, 20, 0), "0 tokens/s"),
        (lambda: serving_energy(0, 1, WORK_8B), "0 systems"),
    ],
)
def test_bad_questions(call, words):
    with pytest.raises(ConfigError, match=words):
        call()
