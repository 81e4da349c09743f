"""``wafersim llm`` about deployments: one JSON object with all keys, words for people, clear errors."""

from __future__ import annotations

import json

import pytest
from broken_traces import AZURE, all_kinds, row

from command_line import call
from wafersim.deploy.ask import Deployment, deployment
from wafersim.errors import ConfigError
from wafersim.models.ask import ask

MODEL = "llama-3.1-8b"
KINDS = list(all_kinds())


def ask_json(*arguments):
    said = call("llm", *arguments, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def check_range(figure):
    assert figure["low"] <= figure["value"] <= figure["high"]


def test_power_and_cost_come_with_every_answer():
    found = ask_json(MODEL)
    assert found["power_w"] == pytest.approx(18.4e3, rel=0.01)
    assert found["power_range_w"]["low"] < found["power_w"] < found["power_range_w"]["high"]
    assert found["joules_per_token"] * found["tokens_per_s_total"] == pytest.approx(found["power_w"])
    for name in ("tco", "own", "rent"):
        check_range(found["cost"]["usd_per_mtoken"][name])
    assert found["cost"]["usd_per_mtoken"]["tco"]["value"] == pytest.approx(
        23.35 / 3600 / found["tokens_per_s_total"] * 1e6
    )
    for assumptions in (found["cost"]["assumptions"], found["energy"]["assumptions"]):
        for fact in assumptions.values():
            check_range(fact)
            assert fact["source"]
            assert fact["confidence"]


def test_one_user_leaves_the_machine_idle():
    found = ask_json(MODEL, "--users", "1")
    assert found["utilisation"]["compute"] < 0.01
    assert found["energy"]["static_share"] > 0.95


@pytest.mark.parametrize("model", [MODEL, "llama-3.1-70b", "gpt-oss-120b"])
def test_more_users_are_no_faster_and_no_dearer_on_the_same_wafers(model):
    wafers = deployment(model)["wafers"]
    before = None
    for users in (1, 2, 3, 5, 8, 16, 32):
        try:
            found = deployment(model, users=users, wafers=wafers)
        except ConfigError:
            break  # keys and values force another wafer
        now = (found["tokens_per_s_user"], found["cost"]["usd_per_mtoken"]["tco"]["value"])
        if before is not None:
            assert now[0] <= before[0] * (1 + 1e-9)
            assert now[1] <= before[1] * (1 + 1e-9)
        before = now
    assert users > 2


def test_a_trace(tmp_path):
    path = tmp_path / "trace.csv"
    rows = [f"2023-11-16 18:15:{50 + k // 10}.{k % 10}00,{100 + k},{20 + k}" for k in range(40)]
    path.write_text(AZURE + "\n".join(rows) + "\n")
    found = ask_json(MODEL, "--trace", str(path), "--ttft", "1", "--tpot", "0.01")
    serving = found["serving"]
    assert serving["served"] == 41
    for name in ("ttft_s", "tpot_s", "e2e_s"):
        p = serving[name]
        assert 0 < p["p50"] <= p["p90"] <= p["p99"]
        for at in ("p50", "p99"):
            ends = serving["ranges"][name]
            assert ends["low"][at] <= p[at] <= ends["high"][at]
            assert ends["low"][at] < ends["high"][at]
    assert serving["slo"]["kept"] == 1.0
    assert serving["fewest_copies"] == 1
    assert serving["largest_load"]["rate_per_s"] > 5
    assert serving["binds_next"] in serving["utilization"]
    # power and cost are those of the load
    assert found["joules_per_token"] == pytest.approx(found["power_w"] / serving["tokens_per_s"])


def test_a_rate_and_its_copies():
    options = (MODEL, "--rate", "40", "--requests", "400", "--prompt", "512", "--output", "64")
    few = ask_json(*options, "--copies", "1")["serving"]
    many = ask_json(*options, "--copies", "4")["serving"]
    assert (few["wafers"], many["wafers"]) == (1, 4)
    assert many["ttft_s"]["p90"] < few["ttft_s"]["p90"]
    apart = ask_json(*options, "--copies", "1", "--prompt-copies", "3")["serving"]
    assert apart["wafers"] == 4
    assert "prompts" in apart["utilization"]
    assert apart["tpot_s"]["p90"] < few["tpot_s"]["p90"]
    assert ask_json(*options, "--copies", "4")["serving"] == many
    drafts = ask_json(*options, "--copies", "4", "--draft-tokens", "3")["serving"]
    assert drafts["tpot_s"]["p50"] != many["tpot_s"]["p50"]


def test_targets_that_no_copy_meets():
    serving = ask_json(MODEL, "--rate", "1", "--requests", "50", "--ttft", "0.001")["serving"]
    assert serving["fewest_copies"] is None
    assert serving["one_copy_less_lacks"] == "latency"
    assert serving["slo"]["kept"] == 0
    assert serving["largest_load"]["rate_per_s"] == 0
    assert serving["largest_load"]["binds"] == "latency"


def test_budgets():
    found = ask_json("llama-3.1-70b", "--budget-mw", "750")
    bought, wafers = found["budget"], found["wafers"]
    assert bought["systems"]["value"] == 22058
    assert bought["copies"]["value"] == 22058 // wafers
    check_range(bought["tokens_per_s"])
    both = ask_json("llama-3.1-70b", "--budget-mw", "750", "--budget-usd", "24.6e9")["budget"]
    assert both["limited_by"] == "site_w"
    assert both["rented"]["systems"]["value"] == 19121
    changed = ask_json("llama-3.1-70b", "--budget-mw", "750", "--assume", "site_w_per_system=45e3")["budget"]
    assert changed["systems"]["value"] == 16666
    assert changed["assumptions"]["site_w_per_system"]["source"] == "given by the user"


def test_comparison_with_gpus():
    found = ask_json(MODEL, "--compare", "gpu", "--prompt", "128", "--output", "512")
    assert [row["gpu"] for row in found["gpu"]] == ["a100", "h100", "h200", "b200"]
    verdict = found["verdict"]
    assert verdict["user_speed"]["low"] > 1, "one user is faster on a wafer"
    full = verdict["usd_per_mtoken"]["at_most"]
    assert full["low"] > 1, "at large batch GPUs are cheaper"
    prices = [row["usd_per_mtoken"]["value"] for row in found["by_users"]]
    assert [row["users"] for row in found["by_users"]] == [1, 4, 16, 64, 256]
    assert prices[0] > 3 * prices[1] > 9 * prices[2], "few users pay for an idle machine"
    for kind in found["by_users"][0]["gpu"]:
        check_range(kind["usd_per_mtoken"])
    words = " ".join(verdict["text"])
    assert "the wafer wins" in words
    assert "GPUs win" in words
    for gpu in found["gpu"]:
        assert gpu["source"]
        speeds = [gpu[key]["tokens_per_s_user"]["value"] for key in ("fastest", "at_users")]
        assert speeds[0] >= speeds[1]


def test_training():
    found = ask_json("llama-3.1-70b", "--mode", "train", "--wafers", "64", "--tokens", "15e12",
                     "--sequence", "8192", "--compare", "gpu")  # fmt: skip
    check_range(found["train"]["days"])
    # 6.35e24 FLOPs at 40 % of the peak and 95 % scaling are 194 days
    assert found["train"]["days"]["low"] < 194 < found["train"]["days"]["high"]
    assert 0.2 < found["train"]["mfu"] < 0.5
    for name in ("tco", "own", "rent"):
        check_range(found["cost"]["usd"][name])
    h100 = next(row for row in found["gpu"] if row["gpu"] == "h100")
    assert h100["gpu_hours"]["low"] < 7.0e6 < h100["gpu_hours"]["high"] * 1.05, "the published run"
    assert ask_json(MODEL, "--mode", "train", "--budget-mw", "1")["train"]["systems"] == 29
    assert ask_json(MODEL, "--mode", "train")["train"]["tokens"] == 20 * 8030261248


@pytest.mark.parametrize(
    "arguments",
    [(), ("--compare", "gpu", "--prompt", "128", "--output", "512", "--budget-usd", "1e9"), ("--rate", "2", "--requests", "50", "--ttft", "1"),
     ("--mode", "train", "--compare", "gpu")],
    ids=["plain", "compare", "load", "train"],
)  # fmt: skip
def test_words_for_people(arguments):
    said = call("llm", MODEL, *arguments)
    assert said.code == 0, said.err
    assert said.err == ""
    assert "power" in said.out
    assert "$" in said.out
    assert " to " in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rate", "0"), "--rate"),
        (("--rate", "1", "--trace", "x"), "give one of them"),
        (("--trace", "gone.jsonl"), "gone.jsonl:1: cannot be read"),
        (("--copies", "2"), "copies and chunks need a load"),
        (("--chunk-tokens", "128"), "copies and chunks need a load"),
        (("--budget-mw", "-1"), "--budget-mw"),
        (("--compare", "tpu"), "'gpu'"),
        (("--assume", "site_w_per_sistem=3"), "did you mean site_w_per_system"),
        (("--assume", "site_w_per_system"), "NAME=VALUE"),
        (("--assume", "site_w_per_system=x"), "NAME=VALUE"),
        (("--assume", "site_w_per_system=nan"), "NAME=VALUE"),
        (("--assume", "site_w_per_system=3:2:1"), "low <= value"),
        (("--tokens", "1e9"), "--mode train"),
        (("--mode", "train", "--rate", "3"), "training has no requests"),
        (("--mode", "train", "--budget-usd", "10"), "does not reach for one system"),
        (("--mode", "learn"), "'train'"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:40],
)
def test_mistakes(arguments, words):
    said = call("llm", MODEL, *arguments, "--json")
    assert said.code == 2
    assert words in said.err
    assert said.err.count("\n") == 1
    assert json.loads(said.out)["status"] == "error"


@pytest.mark.parametrize(("name", "content", "line", "words"), KINDS, ids=[kind[0] for kind in KINDS])
def test_a_broken_trace_on_the_command_line(tmp_path, name, content, line, words):
    path = tmp_path / "requests.trace"
    path.write_bytes(content)
    said = call("llm", MODEL, "--trace", str(path))
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith(f"wafersim: requests.trace:{line}: ")
    assert words in said.err
    assert said.err.count("\n") == 1


def test_a_trace_with_long_requests_gets_the_wafers_to_hold_them(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_text(row(timestamp=0) + "\n" + row(timestamp=5000, input_length=300_000) + "\n")
    found = ask_json(MODEL, "--trace", str(path))
    assert found["serving"]["refused"] == 0
    assert found["serving"]["wafers"] > 1
    assert found["prompt"] == round((10 + 300_000) / 2)
    one = ask_json(MODEL, "--trace", str(path), "--wafers", "1", "--copies", "1")
    assert (one["serving"]["refused"], one["serving"]["wafers"]) == (1, 1)
    path.write_text(row(timestamp=0, input_length=300_000) + "\n")
    said = call("llm", MODEL, "--trace", str(path), "--wafers", "1")
    assert said.code == 2
    assert "too few" in said.err or "no request fits" in said.err


def test_chunks_are_asked_of_the_model_layer():
    options = (MODEL, "--rate", "4", "--requests", "100", "--prompt", "8192", "--output", "64")
    whole, chunks = ask_json(*options), ask_json(*options, "--chunk-tokens", "512")
    # small chunks are poor products: they take the slowest stage longer
    assert chunks["serving"]["utilization"]["pipeline"] > whole["serving"]["utilization"]["pipeline"]


def test_the_answer_is_the_model_layers_with_more():
    plain, found = ask("gpt-oss-120b", users=8, tpot=0.01), deployment("gpt-oss-120b", users=8, tpot=0.01)
    for key, value in plain.items():
        if key != "method":
            assert found[key] == value, key


@pytest.mark.parametrize("drafts", [0, 3])
def test_a_rare_user_has_the_speed_of_the_model_layer(drafts):
    asked = Deployment(rate=0.01, requests=20)
    found = deployment("llama-3.1-70b", asked=asked, prompt=64, output=2000, draft_tokens=drafts)
    # the model layer takes the context of the last token, the run those on the way
    assert found["percentiles"]["tpot_s"]["p50"] == pytest.approx(found["tpot_s"], rel=0.06)
    assert found["percentiles"]["tpot_s"]["p50"] < found["tpot_s"] * 1.02


def test_a_deployment_asked_from_python():
    with pytest.raises(ConfigError, match="give one of them"):
        Deployment(rate=1.0, trace="x")
    found = deployment(MODEL, asked=Deployment(rate=5.0, requests=100, seed=3), prompt=128, output=16)
    assert found["serving"]["seed"] == 3
    assert found["serving"]["requests"]["requests"] == 100
