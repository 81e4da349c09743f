"""Prefill layers as machine programs: values against NumPy, counters, and the sum over distinct sections."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.arch import Arch
from wafersim.errors import ConfigError
from wafersim.kernels import get
from wafersim.kernels.llm import prefill_sum
from wafersim.models import ModelConfig
from wafersim.models.pieces.reference import prefill_data, prefill_output
from wafersim.models.pieces.small_models import SMALL, SMALL_MODELS
from wafersim.models.prefill.data import attends
from wafersim.models.prefill.kernel import counts
from wafersim.models.prefill.run import prefill_run
from wafersim.models.work import published
from wafersim.models.work.prefill_plan import prefill_plan
from wafersim.simulate import Simulator, run

WSE2 = Arch.load("wse2")
MOE = {"model_type": "mixtral", "num_local_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 12}
SHARED = {"model_type": "deepseek", "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1,
          "moe_intermediate_size": 10}  # fmt: skip


def model_of(**changes):
    return ModelConfig.from_hf({**SMALL_MODELS["tiny"], **changes}, "tiny")


def simulate(model, grid, tokens, arch="wse2", spoil=None):
    machine = Arch.load(arch)
    built = prefill_run(machine, model, model.layers[0], grid, tokens)
    sim = Simulator(built.program, machine)
    built.setup(sim, np.random.default_rng(1))
    if spoil is not None:
        spoil(sim)
    sim.launch("main")
    record = sim.run()
    assert record.status == "finished"
    return built.check(sim), built.metrics(sim, record)


@pytest.mark.parametrize(
    ("changes", "grid", "tokens", "arch"),
    [
        ({}, (4, 4), 10, "wse2"),
        ({"num_key_value_heads": 4}, (2, 2), 5, "wse3"),
        ({"num_key_value_heads": 1}, (3, 3), 7, "wse2"),
        (MOE, (2, 2), 5, "wse2"),
    ],
    ids=["grouped", "multi-head", "multi-query, odd side", "experts"],
)
def test_a_layer_equals_numpy(changes, grid, tokens, arch):
    (error, good), _ = simulate(model_of(**changes), grid, tokens, arch)
    assert good and 0 < error < 0.03


@pytest.mark.long
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize(
    ("changes", "grid", "tokens"),
    [
        ({}, (8, 8), 30),
        ({"num_key_value_heads": 8}, (8, 8), 20),
        ({"num_key_value_heads": 1}, (5, 6), 12),
        ({"model_type": "mistral", "sliding_window": 5}, (6, 6), 20),
        ({"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}, (8, 8), 17),
        (SHARED, (6, 7), 17),
    ],
    ids=["grouped", "multi-head", "multi-query", "window", "experts", "shared expert"],
)
def test_larger_layers_equal_numpy(changes, grid, tokens, arch):
    model = ModelConfig.from_hf({**SMALL, **changes}, "small")
    (error, good), _ = simulate(model, grid, tokens, arch)
    assert good and 0 < error < 0.03


def test_the_check_finds_a_wrong_weight_and_a_wrong_key():
    for name in ("Wo", "cos"):

        def spoil(sim, name=name):
            values = np.array(sim.read(name, rect=(0, 0, 2, 2)))
            values[1, 1] *= 3
            sim.write(name, values, rect=(0, 0, 2, 2))

        (_, good), _ = simulate(model_of(), (2, 2), 6, spoil=spoil)
        assert not good


def test_a_prompt_of_one_token_attends_to_itself():
    model, rng = model_of(), np.random.default_rng(3)
    data = prefill_data(model, model.layers[0], 4, rng)
    whole = prefill_output(model, data)[0]
    assert np.allclose(prefill_output(model, data, window=4)[0], whole)
    assert not np.allclose(prefill_output(model, data, window=2)[0][2:], whole[2:])
    assert np.allclose(prefill_output(model, data, window=2)[0][:2], whole[:2])


def test_masks_are_causal_and_have_windows():
    tokens, keys = np.arange(5)[:, None], np.arange(5)[None, :]
    assert (attends(tokens, keys, None) == np.tri(5, dtype=bool)).all()
    assert attends(tokens, keys, 2).sum(axis=1).tolist() == [1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("heads", "side", "span"), [(2, 10, 5), (8, 8, 1), (5, 10, 2), (1, 11, 11), (16, 8, 1)]
)
def test_meshes_have_whole_groups_of_heads(heads, side, span):
    model = model_of(num_attention_heads=16 if 16 % heads == 0 else heads, num_key_value_heads=heads)
    plan = prefill_plan(model, model.layers[0], 11, 12, 20)
    assert (plan.side, plan.span) == (side, span)
    assert plan.groups * plan.span == plan.side and plan.groups * plan.kv_heads >= heads


def test_refusals():
    kernel = get("llm_prefill_layer")
    for params, grid, words in (
        ({"model": "deepseek-v3"}, (4, 4), "latent attention has no prefill program"),
        ({"variant": "published"}, (4, 3), "square"),
        ({"variant": "published", "model": "mixtral-8x7b"}, (4, 4), "no experts"),
        ({"layer": 3}, (4, 4), "has 1 layers"),
        ({}, (1, 4), "2x2 or larger"),
    ):
        with pytest.raises(ConfigError, match=words):
            kernel.build(WSE2, *grid, kernel.resolve(params))


#: colors on which rows align their tiles
ALIGNING = (*(f"x_shift{i}" for i in range(3)), *(f"x_back{i}" for i in range(3)))


def published_run(grid, part, side=1024, fidelity="stream"):
    params = {"variant": "published", "model": "llama-3-8b", "prompt": 4096, "side": side, "part": part}
    return run("llm_prefill_layer", WSE2, grid, params, fidelity=fidelity, values=fidelity == "wavelet")


def test_published_counts_equal_the_tables():
    """Ops, multiply-adds and words of a layer; what the rings send is counted on the links of the rings."""
    record = published_run((3, 3), "products", fidelity="wavelet")
    tile = published.tile(4096, 14336, 1024, 4096)
    d, s, f = tile.dim, tile.seq, tile.ffn
    whole = counts(tile, 720, prefill_sum.ORDER)
    assert whole["mapped_ops"] == 720 * (4 * d * d + 2 * d * s + 3 * d * f)
    assert whole["macs"] == s * whole["mapped_ops"]
    assert record.metrics["mapped_ops"] == 3 * (d * d + 2 * d * s + 2 * d * f)
    rings = {"x": ("x0", "x1", "x2", *ALIGNING), "y": ("y0", "y1", "y2")}
    for axis, names in rings.items():
        sent = sum(record.link_wavelets(name, "RAMP") for name in names)
        assert (sent == record.metrics[f"ring_words_{axis}"]).all()


def test_both_fidelities_agree_on_published_sections():
    exact, quick = (published_run((3, 3), "products", fidelity=f).metrics for f in ("wavelet", "stream"))
    assert exact == quick


def test_a_layer_is_its_sections_and_their_places():
    """On the small mesh itself nothing is extrapolated: what is left are the starts of 21 sections."""
    products, row, starts, whole = (
        published_run(grid, part, 2048).metrics
        for grid, part in (((8, 8), "products"), ((8, 1), "local"), ((3, 1), "starts"), ((8, 8), "whole"))
    )
    cycles = prefill_sum.layer_cycles(8, products, products, row, starts)
    assert cycles == pytest.approx(whole["window_cycles"], abs=2)


@pytest.mark.long
@pytest.mark.parametrize(("side", "fidelity"), [(24, "wavelet"), (96, "stream")])
def test_a_large_mesh_is_its_sections_on_small_ones(side, fidelity):
    """The whole layer against products on 8 x 8 and 12 x 12 PEs, a row of the whole and the starts."""
    small, large = (
        published_run((n, n), "products", 2048, fidelity).metrics for n in prefill_sum.SMALL_SIDES
    )
    row = published_run((side, 1), "local", 2048, fidelity).metrics
    starts = published_run(prefill_sum.STARTS_GRID, prefill_sum.STARTS, fidelity=fidelity).metrics
    whole = published_run((side, side), "whole", 2048, fidelity).metrics["window_cycles"]
    assert prefill_sum.layer_cycles(side, small, large, row, starts) == pytest.approx(whole, abs=2)


#: published prefill layers (WLLM3): 4096 tokens, tokens per second of 32 and 40 layers
PUBLISHED = {
    ("llama-3-8b", 480): 20320.6, ("llama-3-8b", 600): 25037.2, ("llama-3-8b", 720): 27686.5,
    ("llama-2-13b", 480): 13685.1, ("llama-2-13b", 600): 16854.2, ("llama-2-13b", 720): 17498.3,
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("model", "side"), PUBLISHED, ids=str)
def test_published_prefill_speeds(model, side):
    params = {"variant": "published", "model": model, "prompt": 4096, "side": side}
    metrics = [
        run("llm_prefill_layer", WSE2, grid, params | {"part": part}).metrics
        for grid, part in (
            ((8, 8), "products"),
            ((12, 12), "products"),
            ((side, 1), "local"),
            ((3, 1), "starts"),
        )
    ]
    layers = 32 if model == "llama-3-8b" else 40
    speed = 4096 * 1.1e9 / (layers * prefill_sum.layer_cycles(side, *metrics))
    assert speed == pytest.approx(PUBLISHED[model, side], rel=0.2)
