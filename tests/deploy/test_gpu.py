"""GPU floors and utilizations against the published ones; who wins where."""

from __future__ import annotations

import itertools

import pytest

from wafersim.deploy.facts import Facts, tables
from wafersim.deploy.gpu import (
    GpuGroup,
    bandwidth_utilization,
    find_gpu,
    floor_tokens_per_s,
    gpu_alternative,
    gpus,
    serve_on,
    weight_bytes,
)  # fmt: skip
from wafersim.errors import ConfigError
from wafersim.models.accounting import cost
from wafersim.models.accounting.config import ModelConfig

FACTS = Facts.load()


@pytest.mark.parametrize(
    ("gpu", "count", "model", "precision", "floor"),
    [
        ("h100", 1, "llama-3.1-8b", "bf16", 207),
        ("h100", 1, "llama-3.1-8b", "fp8", 410),
        ("h100", 8, "llama-3.1-70b", "bf16", 189),
        ("h100", 8, "llama-3.1-70b", "fp8", 378),
        ("h200", 8, "llama-3.1-405b", "fp8", 94),
        ("b200", 8, "llama-3.1-70b", "fp8", 903),
        ("b200", 8, "llama-3.1-405b", "fp8", 157),
    ],
)
def test_floors(gpu, count, model, precision, floor):
    model = ModelConfig.load(model)
    kv = cost.kv_bytes(model, 1000, 16)
    found = floor_tokens_per_s(weight_bytes(model, precision), kv, find_gpu(gpu), count)
    assert found == pytest.approx(floor, rel=0.01)


@pytest.mark.parametrize(
    ("model", "gpu", "count", "precision", "context", "share"),
    [
        ("llama-3.1-70b", "h100", 8, "bf16", 1, 0.67),  # its context is not published
        ("llama-3.1-8b", "a100", 1, "bf16", 4096, 0.64),
        ("llama-3.1-8b", "a100", 8, "bf16", 4096, 0.26),
        ("llama-3.1-405b", "h200", 8, "fp8", 1000, 0.59),
    ],
)
def test_utilization_of_measured_points(model, gpu, count, precision, context, share):
    points = [
        row for row in tables("gpu")["measured"]
        if (row["model"], row["gpu"], row.get("gpus"), row["per_user"]) == (model, gpu, count, True)
        and row["precision"] == precision
    ]  # fmt: skip
    assert len(points) == 1
    found = ModelConfig.load(model)
    utilization = bandwidth_utilization(
        points[0]["tokens_per_s"], weight_bytes(found, precision), cost.kv_bytes(found, context, 16),
        find_gpu(gpu), count,
    )  # fmt: skip
    assert utilization == pytest.approx(share, abs=0.0051)


@pytest.mark.parametrize("model", ["llama-3.1-8b", "llama-3.1-405b", "gpt-oss-120b", "deepseek-v3"])
@pytest.mark.parametrize("key", sorted(gpus()))
def test_more_users_are_slower_each_and_faster_together(model, key):
    model, gpu = ModelConfig.load(model), find_gpu(key)
    group = GpuGroup.smallest(model, gpu, "fp8", 64, 4096, FACTS)
    found = [serve_on(group, users, 1024, 4096, FACTS) for users in (1, 8, 64)]
    for fewer, more in itertools.pairwise(found):
        assert more["tokens_per_s_user"]["value"] < fewer["tokens_per_s_user"]["value"]
        assert more["tokens_per_s_total"]["value"] > fewer["tokens_per_s_total"]["value"]
        assert more["usd_per_mtoken"]["value"] < fewer["usd_per_mtoken"]["value"]
    for answer in found:
        for name in ("tpot_s", "tokens_per_s_user", "usd_per_mtoken", "joules_per_token"):
            assert answer[name]["low"] < answer[name]["value"] < answer[name]["high"]
        assert answer["tokens_per_s_user"]["value"] < answer["floor_tokens_per_s_user"]


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in tables("gpu")["measured"]
        if row["model"].startswith("llama-3") and "input_tokens" in row
    ],
    ids=lambda row: f"{row['model']}-{row['gpu']}-{row['input_tokens']}-{row['output_tokens']}",
)
def test_measured_throughput_lies_within_a_factor_of_two(row):
    """Decode at the memory's limit, prompts in turn: a plausibility check, the engines' batching is unknown."""
    model = ModelConfig.load(row["model"].replace("3.3", "3.1"))
    gpu = find_gpu(row["gpu"])
    group = GpuGroup(model, gpu, row["gpus"], row["precision"])
    whole = row["input_tokens"] + row["output_tokens"]
    users = min(4096, group.most_users(whole, FACTS))
    decode = row["output_tokens"] * group.step_s(users, whole - row["output_tokens"] // 2, FACTS).value
    prompts = users * group.prefill_s(row["input_tokens"], FACTS).value
    found = users * row["output_tokens"] / (decode + prompts)
    assert row["tokens_per_s"] / 2 < found < row["tokens_per_s"] * 2


def test_nodes_are_slower_than_one_node():
    model, gpu = ModelConfig.load("llama-3.1-405b"), find_gpu("b200")
    one, two = (GpuGroup(model, gpu, count, "fp8").step_s(1, 4096, FACTS).value for count in (8, 16))
    assert two > one


def test_groups_hold_their_model():
    model = ModelConfig.load("llama-3.1-405b")
    sizes = {key: GpuGroup.smallest(model, gpu, "fp8", 1, 4096, FACTS).count for key, gpu in gpus().items()}
    assert sizes == {"a100": 16, "h100": 8, "h200": 4, "b200": 4}
    assert find_gpu("a100").precision_for("fp4") == "bf16"
    assert find_gpu("h200").precision_for("fp4") == "fp8"
    assert find_gpu("b200").precision_for("bf16") == "bf16"


def test_the_alternative():
    found = gpu_alternative(ModelConfig.load("llama-3.1-8b"), users=1)
    assert [row["gpu"] for row in found] == ["a100", "h100", "h200", "b200"]
    h200 = found[2]
    assert len(h200["measured"]) == 3
    assert {row["tokens_per_s"] for row in found[3]["measured"]} == {147_000}
    assert h200["at_most"]["users"] > 100
    most, one = (h200[key]["tokens_per_s_total"]["value"] for key in ("at_most", "at_users"))
    assert most > 10 * one
    # published: 700 W and 26,221 tokens/s make 0.027 J for the board alone
    board_joules = 700 / 26_221
    assert board_joules == pytest.approx(0.027, abs=0.0005)
    assert h200["at_most"]["joules_per_token"]["value"] > 0.027


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: find_gpu("mi300"), "allowed a100, h100, h200, b200"),
        (lambda: find_gpu("h100").precision_for("int4"), "allowed bf16, fp8, fp4"),
        (
            lambda: gpu_alternative(ModelConfig.load("llama-3.1-405b"), users=10**6, context=100_000),
            "more than 1,024 nodes",
        ),
    ],
)
def test_bad_questions(call, words):
    with pytest.raises(ConfigError, match=words):
        call()
