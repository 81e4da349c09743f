"""Keys under all their names, nested and quantized configs, and configs that are wrong."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from wafersim.errors import ConfigError
from wafersim.models import ModelConfig
from wafersim.models.accounting import cost, parameters
from wafersim.models.reading.families import UNLIKE

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
}  # fmt: skip

#: published totals of models that are no presets
PUBLISHED = {
    "gpt-oss-20b": (20_914_757_184, dict(
        model_type="gpt_oss", hidden_size=2880, intermediate_size=2880, num_hidden_layers=24, num_attention_heads=64,
        num_key_value_heads=8, head_dim=64, vocab_size=201088, num_local_experts=32, experts_per_token=4,
        sliding_window=128)),
    "gemma-3-4b": (3_880_263_168, dict(
        model_type="gemma3", vision_config={}, text_config=dict(
            model_type="gemma3_text", hidden_size=2560, intermediate_size=10240, num_hidden_layers=34, sliding_window=1024))),
    "deepseek-v2-lite": (15_706_484_224, dict(
        model_type="deepseek_v2", hidden_size=2048, intermediate_size=10944, moe_intermediate_size=1408,
        num_hidden_layers=27, num_attention_heads=16, vocab_size=102400, n_routed_experts=64, num_experts_per_tok=6,
        n_shared_experts=2, first_k_dense_replace=1, q_lora_rank=None, kv_lora_rank=512, qk_nope_head_dim=128,
        qk_rope_head_dim=64, v_head_dim=128)),
    "mixtral-8x22b": (140_630_071_296, dict(
        model_type="mixtral", hidden_size=6144, intermediate_size=16384, num_hidden_layers=56, num_attention_heads=48,
        num_key_value_heads=8, vocab_size=32768, num_local_experts=8, num_experts_per_tok=2, sliding_window=None)),
    "glm-4-9b-0414": (9_400_279_040, dict(
        model_type="glm4", hidden_size=4096, intermediate_size=13696, num_hidden_layers=40, num_attention_heads=32,
        num_key_value_heads=2, head_dim=128, vocab_size=151552, attention_bias=True)),
}  # fmt: skip


def total(**changes):
    return parameters.total(ModelConfig.from_hf({**LLAMA, **changes}))


@pytest.mark.parametrize("name", PUBLISHED)
def test_totals_of_further_families(name):
    expected, config = PUBLISHED[name]
    assert parameters.total(ModelConfig.from_hf(config, name)) == expected


SMALL = {
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "vocab_size": 1000,
}
MOE = {"num_experts": 4, "num_experts_per_tok": 2}
#: parameters of the model class of that name in transformers 5.24, made on the meta device
COUNTED = [
    ("glm", {"num_key_value_heads": 2, "attention_bias": True}, 608_832),
    ("chatglm", {"multi_query_group_num": 2, "add_qkv_bias": True}, 608_832),
    ("glm4", {"num_key_value_heads": 2, "attention_bias": True}, 609_984),
    ("smollm3", {"num_key_value_heads": 2}, 511_968),
    ("olmo", {"num_key_value_heads": 2}, 606_720),
    ("olmo3", {"num_key_value_heads": 2}, 608_688),
    ("olmoe", {"num_key_value_heads": 2, **MOE}, 1_440_432),
    ("granitemoe", {"num_key_value_heads": 2, **MOE}, 1_439_712),
    ("phimoe", {"num_key_value_heads": 2, **MOE}, 1_440_960),
    ("minimax_m2", {"num_key_value_heads": 2, **MOE}, 2_783_712),
    ("dots1", {"num_key_value_heads": 2, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1,
               "moe_intermediate_size": 24, "first_k_dense_replace": 1}, 692_592),
    ("exaone4", {"num_key_value_heads": 2}, 608_112),
    ("hunyuan_v1_dense", {"num_key_value_heads": 2, "head_dim": 12}, 608_112),
    ("seed_oss", {"num_key_value_heads": 2, "head_dim": 12}, 608_832),
    ("ernie4_5", {"num_key_value_heads": 2, "head_dim": 12}, 511_968),
    ("ernie4_5", {"num_key_value_heads": 2, "head_dim": 12, "use_bias": True}, 515_904),
    ("cohere", {"num_key_value_heads": 2}, 511_392),
    ("cohere", {"num_key_value_heads": 2, "use_qk_norm": True}, 512_112),
    ("cohere2", {"num_key_value_heads": 2}, 511_392),
    ("nemotron", {"num_key_value_heads": 2}, 517_056),
    ("arcee", {"num_key_value_heads": 2}, 515_808),
    ("starcoder2", {"num_key_value_heads": 2}, 424_032),
    ("starcoder2", {"num_key_value_heads": 2, "use_bias": False}, 421_056),
    ("phi", {}, 603_688),
    ("gpt_neox", {}, 603_840),
    ("gpt_neox", {"tie_word_embeddings": True}, 507_840),
    ("gpt_neox", {"attention_bias": False}, 601_536),
    ("opt", {"max_position_embeddings": 64}, 514_176),
    ("gptj", {"intermediate_size": None}, 860_776),
]  # fmt: skip


@pytest.mark.parametrize(("family", "changes", "expected"), COUNTED)
def test_families_count_as_their_model_class_does(family, changes, expected):
    assert parameters.total(ModelConfig.from_hf({**SMALL, "model_type": family, **changes})) == expected


@pytest.mark.parametrize("family", UNLIKE)
def test_a_type_that_would_be_counted_wrong_is_refused(family):
    with pytest.raises(ConfigError, match=f"model_type {family}: .* is not supported"):
        ModelConfig.from_hf({**SMALL, "model_type": family})


def test_other_names_of_keys_mean_the_same():
    renamed = {"n_embd": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads",
               "num_kv_heads": "num_key_value_heads", "padded_vocab_size": "vocab_size"}  # fmt: skip
    config = {short: LLAMA[long] for short, long in renamed.items()}
    config |= {"model_type": "llama", "intermediate_size": 128}
    assert parameters.total(ModelConfig.from_hf(config)) == total()


def test_nested_text_config_keeps_outer_quantization_and_tying():
    outer = {"model_type": "some_vl", "text_config": LLAMA, "tie_word_embeddings": True,
             "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}}  # fmt: skip
    model = ModelConfig.from_hf(outer)
    assert parameters.total(model) == total(tie_word_embeddings=True)
    assert model.quantization.bits == Fraction(4) + Fraction(20, 128)
    assert any(note.name == "vision_tower" for note in model.assumptions)


def test_biases_follow_the_family():
    assert total(attention_bias=True) - total() == 4 * (4 * 16 + 2 * 2 * 16 + 64)
    assert total(mlp_bias=True) - total() == 4 * (2 * 128 + 64)
    assert total(model_type="qwen2") - total() == 4 * (4 * 16 + 2 * 2 * 16)


def test_a_config_without_type_is_known_by_its_class():
    config = {k: v for k, v in LLAMA.items() if k != "model_type"} | {"architectures": ["Qwen2ForCausalLM"]}
    assert ModelConfig.from_hf(config).family == "qwen2"


def test_windows_stop_the_cache():
    mistral = ModelConfig.from_hf({**LLAMA, "model_type": "mistral", "sliding_window": 10})
    assert cost.kv_bytes(mistral, 1000) == 10 * cost.kv_bytes_per_token(mistral)
    unused = ModelConfig.from_hf(
        {**LLAMA, "model_type": "qwen2", "sliding_window": 10, "use_sliding_window": False}
    )
    assert cost.kv_bytes(unused, 1000) == 1000 * cost.kv_bytes_per_token(unused)
    types = ["sliding_attention", "full_attention"] * 2
    mixed = ModelConfig.from_hf({**LLAMA, "model_type": "gpt_oss", "num_local_experts": 4, "num_experts_per_tok": 2,
                                 "sliding_window": 10, "layer_types": types})  # fmt: skip
    assert cost.kv_bytes(mixed, 1000) * 4 == (2 * 10 + 2 * 1000) * cost.kv_bytes_per_token(mixed)
    pattern = ModelConfig.from_hf(
        {**LLAMA, "model_type": "gemma3_text", "sliding_window": 10, "num_hidden_layers": 7}
    )
    assert [layer.window for layer in pattern.layers] == [10, 10, 10, 10, 10, None, 10]


@pytest.mark.parametrize(
    ("keys", "bits", "kept_wide"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, Fraction(4) + Fraction(20, 64), {"head", "embedding"}),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, Fraction(9, 2), {"head"}),
        ({"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8}, "ignore": ["lm_head", "re:.*self_attn.*"],
          "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32, "type": "int"}}}},
         Fraction(9, 2), {"head", "attention"}),
        ({"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}, Fraction(9, 2), {"head"}),
    ],
)  # fmt: skip
def test_quantization_keys(keys, bits, kept_wide):
    found = ModelConfig.from_hf({**LLAMA, "quantization_config": keys}).quantization
    assert found.bits == bits
    assert not found.groups & kept_wide
    assert found.kv_bits == (8 if "kv_cache" in str(keys) else 16)


WRONG = {
    "not a number": ({"hidden_size": "wide"}, "hidden_size is text"),
    "truth for a number": ({"num_hidden_layers": True}, "num_hidden_layers is true or false"),
    "too many layers": ({"num_hidden_layers": 10**9}, "1 to 4,096 is allowed"),
    "huge": ({"vocab_size": 10**4000}, "more than 18 digits"),
    "negative": ({"intermediate_size": -3}, "intermediate_size is -3"),
    "heads do not divide": ({"num_key_value_heads": 3}, "not a multiple of num_key_value_heads 3"),
    "head width unknown": ({"hidden_size": 63}, "head_dim is absent"),
    "unknown type lacks": ({"model_type": "novel", "hidden_size": None, "vocab_size": None}, "model_type novel is not known; it lacks hidden_size, vocab_size"),
    "state space": ({"mamba_d_state": 16}, "state-space layers is not supported"),
    "quant method": ({"quantization_config": {"quant_method": "magic"}}, "quant_method magic; allowed are"),
    "quant bits": ({"quantization_config": {"quant_method": "gptq", "bits": 10**9}}, "bits is 1000000000"),
    "quant shape": ({"quantization_config": {"quant_method": "compressed-tensors", "config_groups": [1]}}, "quantization_config"),
    "layer types": ({"model_type": "gpt_oss", "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 4, "layer_types": ["full_attention"]}, "1 entries"),
    "more experts than there are": ({"model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 3}, "more than the 2 experts"),
    "dtype": ({"torch_dtype": "float7"}, "torch_dtype is float7"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_configs_give_one_clear_line(case):
    changes, words = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        ModelConfig.from_hf({**LLAMA, **changes}, "bad.json")
    assert words in str(caught.value)
    assert str(caught.value).startswith("model config bad.json: ")
    assert "\n" not in str(caught.value)


HOSTILE = {
    "deep": "[" * 100_000,
    "deep object": '{"a":' * 200 + "1" + "}" * 200,
    "nan": '{"hidden_size": NaN}',
    "twice": '{"hidden_size": 1, "hidden_size": 2}',
    "list": "[1, 2]",
    "cut": '{"hidden_size": ',
    "empty": "",
    "overflow": '{"hidden_size": 1e999}',
    "many digits": '{"hidden_size": ' + "9" * 5000 + "}",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_give_one_clear_line(case, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(HOSTILE[case])
    with pytest.raises(ConfigError) as caught:
        ModelConfig.load(path)
    assert "model config" in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(ConfigError, match="cannot be read as UTF-8"):
        ModelConfig.load(path)
    with path.open("wb") as file:
        file.truncate(5 << 20)
    with pytest.raises(ConfigError, match="at most"):
        ModelConfig.load(path)
    with pytest.raises(ConfigError, match="no such file"):
        ModelConfig.load(tmp_path / "none.json")


def test_a_folder_and_a_preset_are_found(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    assert parameters.total(ModelConfig.load(tmp_path)) == total()
    with pytest.raises(ConfigError, match=r"did you mean 'llama-3\.1-8b'"):
        ModelConfig.load("llama-3.1-8bb")


def test_storage_with_scales():
    fp8 = ModelConfig.load("deepseek-v3")
    assert round(cost.weight_bytes(fp8) / 1e9, 2) == 671.19
    assert cost.weight_bytes(ModelConfig.load("llama-3.1-8b")) == 2 * 8_030_261_248
