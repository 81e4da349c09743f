"""Wafers, speeds and limits: what `wafersim llm` answers."""

from __future__ import annotations

import json

import pytest

from command_line import call
from wafersim.errors import ConfigError
from wafersim.models import ModelConfig
from wafersim.models.accounting import cost
from wafersim.models.answer.answer import Question, answer, service_times
from wafersim.models.answer.bottleneck import BOTTLENECKS
from wafersim.models.ask import ask, planner_for, service_model
from wafersim.models.pieces.small_models import SMALL, left_out
from wafersim.models.placement.partition import capacity_bound
from wafersim.models.placement.planner import rhythm
from wafersim.models.placement.speculation import Speculation
from wafersim.models.placement.wafer import Wafer

#: users x context -> wafers by bytes, and weights in GB: 44 GB x 0.85 a wafer
BOUNDS = {
    ("llama-3.1-8b", "auto"): (16.1, {(1, 8192): 1, (1, 131072): 1, (8, 32768): 2, (32, 32768): 5}),
    ("qwen3-32b", "auto"): (65.5, {(1, 8192): 2, (1, 131072): 3, (8, 32768): 4, (32, 32768): 10}),
    ("llama-3.1-70b", "auto"): (141.1, {(1, 8192): 4, (1, 131072): 5, (8, 32768): 7, (32, 32768): 13}),
    ("gpt-oss-120b", "auto"): (65.2, {(1, 8192): 2, (1, 131072): 2, (8, 32768): 3, (32, 32768): 3}),
    ("gpt-oss-120b", "mxfp4"): (65.2, {(1, 8192): 2}),
    ("qwen3-235b-a22b", "auto"): (470.2, {(1, 8192): 13, (1, 131072): 14, (8, 32768): 14, (32, 32768): 18}),
    ("llama-3.1-405b", "auto"): (811.7, {(1, 8192): 22, (1, 131072): 24, (8, 32768): 26, (32, 32768): 37}),
    ("deepseek-v3", "auto"): (671.2, {(1, 8192): 18, (1, 131072): 19, (8, 32768): 19, (32, 32768): 20}),
    ("deepseek-v3", "fp8"): (671.2, {(1, 8192): 18}),
    ("kimi-k2", "int4"): (594.2, {(1, 8192): 16, (1, 131072): 17, (8, 32768): 17, (32, 32768): 18}),
}


@pytest.mark.parametrize("case", BOUNDS, ids=" ".join)
def test_wafers_by_bytes(case):
    planner = planner_for(case[0], "wse3", case[1])
    gigabytes, table = BOUNDS[case]
    assert cost.weight_bytes(planner.model) / 1e9 == pytest.approx(gigabytes, abs=0.06)
    found = {key: capacity_bound(planner.model, planner.wafer, *key) for key in table}
    assert found == table


def test_whole_layers_take_more_wafers_and_say_why():
    found = ask("llama-3.1-405b")
    assert (found["wafers_capacity_bound"], found["wafers"]) == (22, 26)
    assert "at most 5 on a wafer" in found["wafers_why"] and "126 layers take 26" in found["wafers_why"]
    assert {entry["layers"] for entry in found["placement"][:25]} == {5}


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gpt-oss-120b", "deepseek-v3", "gemma-2-9b", "llama-2-13b"])
@pytest.mark.parametrize("users", [1, 64])
def test_a_placement_is_sound(name, users):
    planner = planner_for(name)
    plan = planner.plan(users, 4096)
    placed = plan.placed
    layers = [i for cut in placed.cuts for i in cut.layers]
    assert layers == list(range(planner.model.num_layers))
    assert placed.wafers >= plan.bound
    assert placed.cuts[0].has_embedding and placed.cuts[-1].has_head
    assert sum(cut.has_embedding for cut in placed.cuts) == sum(cut.has_head for cut in placed.cuts) == 1
    for cut, region in zip(placed.cuts, placed.regions, strict=True):
        assert sum(region.counts) == len(cut.layers)
        assert region.fullest_bytes <= planner.wafer.pe_most_bytes < planner.wafer.pe_bytes
        head = region.head.pes if region.head else 0
        assert (
            sum(mesh.pes for mesh in region.meshes) + head + region.embedding_rows * planner.wafer.width
            <= planner.wafer.pes
        )
    assert plan.rhythm.flights <= placed.stages
    assert plan.rhythm.flights * plan.rhythm.batch >= users > (plan.rhythm.flights - 1) * plan.rhythm.batch


@pytest.mark.parametrize("name", ["gpt-oss-120b"])
def test_a_sweep_over_users_is_monotone(name):
    """On the same wafers nobody gets faster by company; wafers never fall."""
    planner = planner_for(name)
    wafers, last = 1, {}
    for users in [1, 2, 8, 17, 64, 100, 256, 1024]:
        plan = planner.plan(users, 4096)
        assert plan.placed.wafers >= wafers
        wafers = plan.placed.wafers
        assert plan.rhythm.tpot_s >= last.get(wafers, 0.0) * (1 - 1e-12)
        last[wafers] = plan.rhythm.tpot_s
    fixed = [planner.plan(users, 4096, wafers).rhythm.tpot_s for users in (1, 4, 32, 128, 512, 1024)]
    assert fixed == sorted(fixed)


def test_times_grow_with_context_and_batch():
    placed = service_model("llama-3.1-70b", users=8, context=8192)
    for batch in (1, 2, 4, 8):
        assert placed.decode_step_s(batch + 1, 4096) > placed.decode_step_s(batch, 4096)
        assert placed.decode_interval_s(batch, 4096) <= placed.decode_step_s(batch, 4096)
    assert placed.decode_step_s(1, 8192) > placed.decode_step_s(1, 512)
    assert placed.prefill_interval_s(2048) <= placed.prefill_s(2048) < placed.prefill_s(8192)
    assert placed.kv_capacity_tokens >= 8 * 8192
    assert placed.stages >= placed.wafers == 5


KEYS = {
    "params", "kv_bytes_per_token", "flops", "wafers", "wafers_capacity_bound", "batch", "context", "max_users",
    "slo_met", "ttft_s", "tpot_s", "tokens_per_s_user", "tokens_per_s_total", "utilisation", "bottleneck", "placement",
    "method", "validity", "assumptions", "not_modelled",
}  # fmt: skip


def test_the_answer_has_every_key():
    said = call("llm", "gpt-oss-120b", "--users", "8", "--tpot", "0.01", "--json")
    assert said.code == 0 and said.err == ""
    found = json.loads(said.out)
    assert set(found) >= KEYS
    assert set(found["params"]) == {"total", "active", "active_no_input_embedding"}
    assert set(found["utilisation"]) >= {"compute", "sram", "link"}
    assert found["bottleneck"] in BOTTLENECKS
    assert sum(found["time_shares"].values()) == pytest.approx(1)
    assert found["tpot_range_s"]["low"] < found["tpot_s"] < found["tpot_range_s"]["high"]
    assert found["tokens_per_s_user"] == pytest.approx(1 / found["tpot_s"])
    assert found["slo_met"] is True
    assert all({"value", "source", "confidence"} <= set(note) for note in found["assumptions"])


def test_targets_limit_the_users():
    planner = planner_for("llama-3.1-8b")
    from wafersim.arch import Arch

    loose = answer(planner, Arch.load("wse3"), Question(users=4, wafers=1))
    tight = answer(planner, Arch.load("wse3"), Question(users=4, wafers=1, tpot_s=loose["tpot_s"] * 1.01))
    assert loose["max_users_limit"] == "sram_capacity" and loose["slo_met"] is None
    assert tight["max_users_limit"] == "tpot"
    assert 4 <= tight["max_users"] <= loose["max_users"]
    plan = planner.plan(4, 4096, 1)
    edge = rhythm(plan.placed, tight["max_users"], 4096, Speculation()).tpot_s
    assert (
        edge
        <= loose["tpot_s"] * 1.01
        < rhythm(plan.placed, tight["max_users"] + 1, 4096, Speculation()).tpot_s
    )


@pytest.mark.parametrize(
    ("acceptance", "drafts", "tokens"),
    [(0.7, 1, 1.70), (0.7, 3, 2.53), (0.7, 5, 2.94), (0.8, 3, 2.95), (0.9, 5, 4.69)],
)
def test_speculation_expects_the_published_tokens(acceptance, drafts, tokens):
    assert Speculation(drafts, acceptance).tokens_per_pass == pytest.approx(tokens, abs=0.005)


def test_speculation_speeds_up_a_latency_bound_model():
    plain = ask("llama-3.1-70b")
    drafted = ask("llama-3.1-70b", draft_tokens=3, acceptance=0.8)
    assert 1.2 < drafted["tokens_per_s_user"] / plain["tokens_per_s_user"] < 2.95


def test_link_time_of_a_step():
    """Four wafers: three links forward and one back, 5 us each and the activations of one token."""
    placed = service_model("llama-3.1-70b")
    assert placed.wafers == 4
    assert placed.link_s(1) == pytest.approx(4 * 5e-6 + 3 * 8192 * 2 / 150e9)


WRONG = [
    (["llm", "llama-3.1-70b", "--wafers", "3"], "--wafers 3: too few"),
    (["llm", "no-such-model"], "neither a file nor a preset"),
    (["llm", "llama-3.1-8b", "--users", "0"], "users"),
    (["llm", "llama-3.1-8b", "--wafers", "many"], "neither 'auto' nor a whole number"),
    (["llm", "llama-3.1-8b", "--arch", "wse9"], "wse9"),
    (["llm", "llama-3.1-405b", "--users", "1048576", "--prompt", "100000"], "layers stay whole"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_bad_input_gives_one_line(arguments, words):
    said = call(*arguments)
    assert said.code == 2
    assert words in said.err and said.err.count("\n") == 1


def test_people_read_words_and_a_table():
    said = call("llm", "llama-3.1-8b")
    assert said.code == 0
    assert "takes 1 wafer" in said.out and "limited by" in said.out and "0-31 +embedding +head" in said.out


def test_a_smaller_machine_takes_more_wafers():
    assert ask("llama-3.1-70b", "wse2")["wafers"] >= ask("llama-3.1-70b", "wse3")["wafers"]
    assert Wafer.of(planner_arch()).pe_data_bytes < 49152


def planner_arch():
    from wafersim.arch import Arch

    return Arch.load("wse3")


def test_prefill_and_first_token():
    planner = planner_for(ModelConfig.load("llama-3.1-8b"))
    question = Question(prompt=4096, output=16)
    times = service_times(planner, planner.plan(1, question.context), question)
    assert times["ttft_s"] == pytest.approx(times["prefill_s"] + times["tpot_s"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gemma-2-9b", "the activation gelu_pytorch_tanh"),
        ("gpt2-124m", "an MLP of two matrices"),
        ("gpt-oss-120b", "attention sinks"),
        ("qwen2.5-32b", "biases of the projections"),
        ("deepseek-v3", "latent attention"),
    ],
)
def test_what_programs_leave_out_of_a_model_is_named(name, words):
    found = left_out("layers", ModelConfig.load(name))
    assert any(line.startswith("layers: ") and words in line for line in found)
    assert left_out("layers", ModelConfig.load("llama-3.1-8b")) == []


def test_the_file_names_the_activation_unless_the_class_has_its_own():
    base = SMALL | {"hidden_act": "ReLU2"}
    assert ModelConfig.from_hf(base).activation == "relu2"
    assert ModelConfig.from_hf(SMALL).activation == "silu"
    assert ModelConfig.from_hf(SMALL | {"model_type": "gemma"}).activation == "gelu_pytorch_tanh"
    with pytest.raises(ConfigError, match="hidden_act is an integer"):
        ModelConfig.from_hf(SMALL | {"hidden_act": 3})
