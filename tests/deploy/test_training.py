"""Training against published runs and the formulas of weight streaming."""

from __future__ import annotations

import math

import pytest

from wafersim.deploy.ask_training import training
from wafersim.deploy.facts import Facts, tables
from wafersim.deploy.layer_pipeline import pipelined_step, shares
from wafersim.deploy.products import streamed_products
from wafersim.deploy.training import (
    Assumed,
    TrainLayer,
    Tree,
    activations,
    hidden_tokens,
    mfu,
    run_days,
    scaling_efficiency,
    step_time,
    train,
    train_layers,
)  # fmt: skip
from wafersim.errors import ConfigError
from wafersim.models.accounting import parameters
from wafersim.models.accounting.config import ModelConfig

RUNS = {run["name"]: run for run in tables("training")["run"]}
CEREBRAS_13B = {
    "model_type": "gpt2", "n_embd": 5120, "n_layer": 40, "n_head": 40, "vocab_size": 50257, "n_positions": 2048,
}  # fmt: skip


def assumed(**changes):
    facts = Facts.load(**changes)
    return Assumed.of(facts)


@pytest.mark.parametrize(
    ("flops", "stream_bytes", "tokens"), [(7.5e15, 4, 50_000), (15.6e15, 2, 52_000), (15.6e15, 4, 104_000)]
)
def test_tokens_that_hide_the_streaming(flops, stream_bytes, tokens):
    assert hidden_tokens(flops, 0.5, stream_bytes, 150e9) == tokens


def test_the_threshold_is_where_a_step_stops_growing_with_the_link():
    layers = [TrainLayer(1e9, 1e9)] * 4
    a = assumed(training_utilization=0.5, scaling_loss_16=0, swarmx_hop_s=0)
    needed = hidden_tokens(a.flops, a.utilization, a.in_bytes, a.link)
    above = step_time(layers, needed * 1.001, 1, a)
    below = step_time(layers, needed * 0.5, 1, a)
    assert above["pass_s"] == pytest.approx(above["compute_s"])
    assert below["pass_s"] == pytest.approx(below["stream_s"])
    assert below["pass_s"] > 1.3 * below["compute_s"]


def test_cerebras_gpt_13b():
    run = RUNS["Cerebras-GPT 13B"]
    each = [count * run["sequence"] / run["systems"] for count in run["sequences"]]
    assert each == pytest.approx([92_160, 138_240])
    assert min(each) > hidden_tokens(run["system_flops"], 0.5, 4, 150e9)
    model = ModelConfig.from_hf(CEREBRAS_13B, "cerebras-gpt-13b")
    assert parameters.total(model) == pytest.approx(run["params"], rel=0.01)
    held = activations(model, each[1], Facts.load())
    assert held.bytes_per_token == pytest.approx(410e3, rel=0.001)
    assert held.per_system == pytest.approx(57e9, rel=0.01)
    assert held.passes == 2
    assert 6 * run["params"] * run["tokens"] == pytest.approx(run["flops"], rel=0.005)
    # 6 N D + 12 L h S D counts the whole square of attention, ours its causal half
    square = 6 * run["params"] * run["tokens"] + 12 * 40 * 5120 * 2048 * run["tokens"]
    assert square == pytest.approx(run["flops_with_attention"], rel=0.01)
    ours = 3 * sum(layer.forward_flops(run["tokens"]) for layer in train_layers(model, 2048))
    assert run["flops"] * 0.99 < ours < run["flops_with_attention"]


def test_days_of_published_runs():
    run = RUNS["Cerebras-GPT 13B"]
    assert run_days(run["flops_with_attention"], 1, 15.6e15, 0.4, 1.0) == pytest.approx(39, abs=0.5)
    assert run_days(run["flops_with_attention"], 16, 15.6e15, 0.4, 0.95) == pytest.approx(2.6, abs=0.05)
    assert run_days(RUNS["Llama-3.1-70B"]["flops"], 64, 15.6e15, 0.4, 0.95) == pytest.approx(194, abs=0.5)


@pytest.mark.parametrize("name", ["Llama-3.1-405B", "Llama-3.1-70B"])
def test_mfu_of_published_gpu_runs(name):
    run = RUNS[name]
    assert mfu(run["flops"], run["gpu_hours"], run["gpu_flops"]) == pytest.approx(run["mfu"], abs=0.001)


def test_a_pass_of_a_trillion_weights():
    layers = [TrainLayer(1e12, 1e12)]
    two = assumed(weight_stream_bytes=2, gradient_stream_bytes=2, scaling_loss_16=0)
    four = assumed(scaling_loss_16=0)
    assert step_time(layers, 1, 1, two)["forward_s"] == pytest.approx(13.3, abs=0.05)
    assert step_time(layers, 1, 1, four)["forward_s"] == pytest.approx(26.7, abs=0.05)


def test_scaling_is_that_of_the_published_runs():
    run = RUNS["1 T parameters on 16 CS-3"]
    loss = Facts.load().range("scaling_loss_16")
    assert 16 * scaling_efficiency(16, loss.value) == pytest.approx(run["speedup"], rel=0.005)
    assert scaling_efficiency(16, loss.high) == pytest.approx(0.91)
    assert scaling_efficiency(1, loss.high) == 1.0
    assert scaling_efficiency(64, loss.value) < scaling_efficiency(16, loss.value)


@pytest.mark.parametrize(
    ("systems", "radix", "depth", "nodes"),
    [(1, 4, 0, 0), (2, 4, 1, 1), (4, 4, 1, 1), (16, 4, 2, 5), (17, 4, 3, 8), (64, 4, 3, 21), (16, 2, 4, 15)],
)
def test_the_tree(systems, radix, depth, nodes):
    assert (Tree(systems, radix).depth, Tree(systems, radix).nodes) == (depth, nodes)


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gpt-oss-120b", "deepseek-v3"])
def test_layers_are_the_whole_model(name):
    model = ModelConfig.load(name)
    layers = train_layers(model, 4096)
    assert len(layers) == model.num_layers + 1
    assert sum(layer.params for layer in layers) == parameters.total(model)
    # six operations per weight in products and token, attention on top
    run = train(model, 1e9, 1, sequence=64)
    assert run["flops"] == pytest.approx(6e9 * parameters.matmul(model), rel=0.02)


def test_a_run():
    model = ModelConfig.load("llama-3.1-8b")
    run = train(model, 1e12, 16, sequence=4096)
    assert run["streaming_is_hidden"]
    assert run["days"]["low"] < run["days"]["value"] < run["days"]["high"]
    facts = Facts.load()
    expected = facts.value("training_utilization") * run["scaling_efficiency"]
    assert run["mfu"] == pytest.approx(expected, rel=0.001)
    assert run["step_s"] * run["steps"] == pytest.approx(run["days"]["value"] * 86400)
    assert run["checkpoint"]["bytes"]["value"] == 12 * parameters.total(model)
    assert 0 < run["checkpoint"]["share"] < 0.1
    twice = train(model, 2e12, 16, sequence=4096)
    assert twice["days"]["value"] == pytest.approx(2 * run["days"]["value"])
    more = train(model, 1e12, 64, sequence=4096)
    assert run["days"]["value"] / 4 < more["days"]["value"] < run["days"]["value"] / 3.5


def test_few_tokens_show_the_streaming():
    model = ModelConfig.load("llama-3.1-8b")
    run = train(model, 1e12, 16, sequence=4096, sequences=16)
    assert not run["streaming_is_hidden"]
    assert run["step_s"] == pytest.approx(run["step"]["stream_s"] / run["scaling_efficiency"], rel=0.05)
    assert run["mfu"] < 0.1
    # zeros are not sent
    sparse = train(model, 1e12, 16, sequence=4096, sequences=16, facts=Facts.load(zero_fraction=0.5))
    assert sparse["step_s"] == pytest.approx(run["step_s"] / 2, rel=0.05)


def test_spilling_or_passes_whichever_is_faster():
    model = ModelConfig.load("llama-3.1-70b")
    run = train(model, 1e12, 16, sequence=8192)
    assert run["activation_bytes_per_system"] > run["activation_sram_bytes"]
    assert (run["passes_per_step"], run["spilled_bytes"] > 0) == (1, True)
    fits = train(model, 1e12, 16, sequence=8192, facts=Facts.load(activation_sram_bytes=1e12))
    assert fits["spilled_bytes"] == 0
    assert fits["days"]["value"] <= run["days"]["value"] * (1 + 1e-12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokens": 0}, "tokens 0"),
        ({"tokens": math.inf}, "tokens inf"),
        ({"systems": 0}, "systems 0"),
        ({"sequence": 0}, "sequence 0"),
        ({"sequences": 3}, "at least one per system, 16"),
        ({"utilization": 1.5}, "utilization 1.5"),
    ],
)
def test_bad_runs(changes, words):
    with pytest.raises(ConfigError, match=words):
        train(**{"model": ModelConfig.load("llama-3.1-8b"), "tokens": 1e12, "systems": 16, **changes})


# -- layers resident on one wafer


def resident(layers, micro_batches, **changes):
    options = {"pes": 800_000, "flops": 7.5e15, "utilization": 0.4, **changes}
    return pipelined_step(layers, 1024, 2048, micro_batches, **options)


def test_pes_go_where_the_work_is():
    assert shares([1, 1, 2], 8) == [2, 2, 4]
    assert sum(shares([1, 2, 3.7], 1000)) == 1000
    assert shares([1e-9, 1], 10) == [1, 9]
    with pytest.raises(ConfigError, match="2 PEs for 3 layers"):
        shares([1, 1, 1], 2)


def test_the_pipeline_fills():
    layers = [TrainLayer(1e7, 1e7)] * 3 + [TrainLayer(3e7, 3e7)]
    one, many = resident(layers, 1), resident(layers, 100)
    assert one.step_s == pytest.approx(one.fill_s) == pytest.approx(sum(one.layer_s))
    assert many.step_s == pytest.approx(many.fill_s + 99 * max(many.layer_s))
    # balanced layers: all as fast as each other, and a long step reaches the utilization asked for
    assert max(many.layer_s) == pytest.approx(min(many.layer_s), rel=1e-4)
    work = 3 * 100 * sum(layer.forward_flops(2048) for layer in layers)
    assert work / (many.step_s * 7.5e15) == pytest.approx(0.4 * 100 / 103, rel=1e-3)
    assert many.bubble == pytest.approx(3 / 103, rel=1e-3)


def test_a_billion_weights_fit_and_ten_do_not():
    def of(params):
        return resident([TrainLayer(params / 24, params / 24)] * 24, 48)

    assert of(1.3e9).fits
    assert not of(10e9).fits
    assert of(1.3e9).as_dict()["fits"]


# -- products of the machine


@pytest.mark.parametrize("name", ["llama-3.1-8b", "deepseek-v3", "gpt-oss-120b", "llama-3.1-405b"])
def test_more_tokens_make_longer_ops_and_better_products(name):
    model = ModelConfig.load(name)
    found = [streamed_products(model, "wse3", tokens) for tokens in (1_170, 11_700, 117_000, 1_170_000)]
    shares_ = [one.utilization for one in found]
    assert shares_ == sorted(shares_)
    assert [one.op_length for one in found] == [1, 10, 100, 1000]
    assert 0 < shares_[0] < 0.05
    # at best one element per SIMD lane and cycle at the arch's clock
    assert shares_[-1] < 0.85 / 1.085


def test_products_counted_by_hand():
    model = ModelConfig.load("llama-3.1-8b")
    found = streamed_products(model, "wse3", 117_000)
    columns = {4096: 6, 14336: 19}  # of 755 PEs each
    ops = columns[4096] * (4096 + 2 * 1024) + columns[4096] * 4096 + columns[4096] * 2 * 14336
    ops += columns[14336] * 4096
    weights = 4096 * (4096 + 2048) + 4096 * 4096 + 3 * 4096 * 14336
    seconds = ops * found.op_cycles / 0.85e9
    assert found.utilization == pytest.approx(2 * weights * 117_000 / seconds / 15.6e15, rel=1e-9)


def test_experts_meet_their_share_of_the_tokens():
    model = ModelConfig.load("deepseek-v3")
    dense = ModelConfig.load("llama-3.1-405b")
    # 8 of 256 experts: ops of experts are 32 times shorter
    assert (
        streamed_products(model, "wse3", 117_000).utilization
        < 0.5 * streamed_products(dense, "wse3", 117_000).utilization
    )


def test_training_takes_the_machines_products():
    found = training("llama-3.1-8b", systems=16, tokens=1e12, sequence=4096)
    run = found["train"]
    used = run["assumptions"]["training_utilization"]
    assert used["value"] == run["products"]["utilization"]
    assert used["confidence"] == "derived"
    assert "cycles" in used["source"]
    assert run["mfu"] == pytest.approx(used["value"] * run["scaling_efficiency"], rel=1e-3)
    mine = training("llama-3.1-8b", systems=16, tokens=1e12, facts=Facts.load(training_utilization=0.3))
    assert mine["train"]["assumptions"]["training_utilization"]["source"] == "given by the user"
    older = training("llama-3.1-8b", "wse2", systems=16, tokens=1e12)
    assert older["train"]["assumptions"]["wafer_dense_flops"]["value"] == 7.5e15


def test_a_small_model_can_lie_on_one_wafer():
    small = {**CEREBRAS_13B, "n_embd": 1088, "n_layer": 14, "n_head": 17}
    model = ModelConfig.from_hf(small, "cerebras-gpt-256m")
    run = training(model, systems=1, tokens=5.12e9)["train"]
    resident_ = run["layer_pipelined"]
    assert resident_["fits"]
    assert 0.05 < resident_["bubble"] < 0.2
    # the assumed utilization, and the bubble; streaming has that of its products
    assumed_share = Facts.load().value("training_utilization")
    bare = run_days(run["flops"], 1, 15.6e15, assumed_share, 1 - resident_["bubble"])
    assert resident_["days"] == pytest.approx(bare, rel=0.02)
    assert "layer_pipelined" not in training("llama-3.1-8b", systems=1)["train"]
