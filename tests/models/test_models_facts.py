"""Every expected integer of the public configurations, exactly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wafersim.models import ModelConfig
from wafersim.models.accounting import cost, parameters
from wafersim.models.reading import presets

FACTS = json.loads(Path(__file__).with_name("model_facts.json").read_text())
MODELS = FACTS["models"]


def answers(model):
    """All that the facts expect, by the same names."""
    linear, attention = cost.prefill_flops(model, 2048)
    return {
        "total_params": parameters.total(model),
        "active_params_with_embedding": parameters.active(model),
        "active_params_no_input_embedding": parameters.active_no_input_embedding(model),
        "matmul_params": parameters.matmul(model),
        "kv_elements_per_token_per_layer": cost.kv_elements_per_layer(model),
        "kv_bytes_per_token_fp16": cost.kv_bytes_per_token(model, 16),
        "kv_bytes_at_ctx_fp16": {str(c): cost.kv_bytes(model, c, 16) for c in (4096, 32768, 131072)},
        "decode_flops_ctx4096": cost.decode_flops(model, 4096),
        "decode_flops_ctx4096_mla_expanded": cost.decode_flops(model, 4096, is_absorbed=False),
        "prefill_flops_s2048": {"linear": linear, "attention": attention},
    }


@pytest.mark.parametrize("name", MODELS)
def test_every_expected_field_is_exact(name):
    model = ModelConfig.from_hf(MODELS[name]["config"], name)
    expected = dict(MODELS[name]["expected"])
    if "storage_bytes_mxfp4" in expected:
        quantized = ModelConfig.from_hf(
            MODELS[name]["config"] | {"quantization_config": MODELS[name]["quantization"]}
        )
        assert cost.weight_bytes(quantized) == expected.pop("storage_bytes_mxfp4")
    found = answers(model)
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("name", FACTS["gpt2_style"]["models"])
def test_gpt2_style_totals_are_exact(name):
    config = dict(FACTS["gpt2_style"]["models"][name])
    expected = config.pop("total_params")
    assert parameters.total(ModelConfig.from_hf(config, name)) == expected


@pytest.mark.parametrize("name", presets.names())
def test_presets_are_the_models_of_the_facts(name):
    expected = MODELS.get(name, {}).get("expected") or FACTS["gpt2_style"]["models"][name]
    assert parameters.total(ModelConfig.load(name)) == expected["total_params"]
