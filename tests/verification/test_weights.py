"""Headers against an architecture: what is as declared, what is not, and what every byte is."""

import json

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.importers.weights import headers_of
from llmcalc.verification.weights import verify_weights

from ..importers.checkpoints import LLAMA, MIXTRAL, OSS, folder, holds
from ..importers.files import safetensors

QUERY, EXPERT = "model.layers.1.self_attn.q_proj.weight", "model.layers.1.block_sparse_moe.experts.2.w3.weight"


def compared(path):
    found = llmcalc.load(path)
    return verify_weights(found, headers_of(found))


def differences(path):
    return [(one.name, one.what, one.declared, one.stored) for one in compared(path).differences]


@pytest.mark.parametrize("rules", [0, 1], ids=["as published", "as transformers saves them"])
def test_experts_may_be_stored_one_by_one_or_together(tmp_path, rules):
    tensors = holds(MIXTRAL, rules)
    assert (EXPERT in tensors) == (rules == 0)
    found = compared(folder(tmp_path / "m", MIXTRAL, tensors))
    assert found.ok
    assert found.naming.startswith(("as published", "as transformers")[rules])
    assert len(found.matched) == len(tensors)


def test_each_tensor_that_is_not_as_declared_is_named(tmp_path):
    tensors = holds(MIXTRAL)
    del tensors[EXPERT]
    tensors |= {
        "model.layers.0.strange": ("F32", (3,)),
        QUERY: ("BF16", (254, 256)),
        "lm_head.weight": ("I8", (101, 256)),
    }
    assert differences(folder(tmp_path / "m", MIXTRAL, tensors)) == [
        (QUERY, "shape", "256×256 BF16", "254×256 BF16"),
        (EXPERT, "missing", "384×256 BF16", ""),
        ("lm_head.weight", "type", "101×256 BF16", "101×256 I8"),
        ("model.layers.0.strange", "extra", "", "3 F32"),
    ]


def test_floats_may_be_kept_in_more_bits_but_not_in_other_ones(tmp_path):
    norm = "model.norm.weight"
    assert compared(folder(tmp_path / "a", LLAMA, {**holds(LLAMA), norm: ("F32", (256,))})).ok
    assert differences(folder(tmp_path / "b", LLAMA, {**holds(LLAMA), norm: ("F16", (256,))})) == [
        (norm, "type", "256 BF16", "256 F16")
    ]


def test_tied_names_buffers_and_scales_of_a_cache_are_expected(tmp_path):
    config = {**LLAMA, "tie_word_embeddings": True}
    more = {
        "lm_head.weight": ("BF16", (101, 256)), "model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", (16,)),
        "model.layers.0.self_attn.k_scale": ("F32", ()),
    }  # fmt: skip
    found = compared(folder(tmp_path / "m", config, {**holds(config), **more}))
    assert found.ok
    assert {group.name: group.tensors for group in found.additional} == {
        "other names of tied tensors": 1, "tables that are computed from the config": 1,
        "scales of a quantised KV cache": 1,
    }  # fmt: skip
    alone = {name: held for name, held in holds(config).items() if name != "model.embed_tokens.weight"}
    assert compared(folder(tmp_path / "n", config, {**alone, "lm_head.weight": ("BF16", (101, 256))})).ok


def test_blocks_that_predict_further_tokens_are_beside_the_model_if_the_config_has_them(tmp_path):
    tensors = {**holds(LLAMA), "model.layers.2.eh_proj.weight": ("BF16", (3, 5))}
    assert differences(folder(tmp_path / "a", LLAMA, tensors))[0][:2] == ("model.layers.2.eh_proj.weight", "extra")
    config = {
        "model_type": "glm4_moe", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "head_dim": 4,
        "num_key_value_heads": 1, "n_routed_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 5,
        "intermediate_size": 7, "vocab_size": 11, "num_nextn_predict_layers": 1, "dtype": "bfloat16",
    }  # fmt: skip
    more = {**holds(config), "model.layers.2.eh_proj.weight": ("BF16", (3, 5))}
    found = compared(folder(tmp_path / "b", config, more))
    assert found.ok
    assert found.additional[0].name == "multi-token prediction"


@pytest.mark.parametrize("change", [
    lambda name: name.removeprefix("model."), lambda name: f"language_model.{name}",
    lambda name: name.replace("model.", "model.language_model.", 1),
])  # fmt: skip
def test_names_may_lack_the_prefix_of_the_class_or_stand_in_a_larger_model(tmp_path, change):
    config = {**LLAMA, "tie_word_embeddings": True}
    tensors = {change(name): held for name, held in holds(config).items()}
    assert compared(folder(tmp_path / "m", config, tensors)).ok


def test_a_model_of_many_more_tensors_than_are_held_is_one_difference(tmp_path):
    config = {**LLAMA, "num_hidden_layers": 4_999}
    found = compared(folder(tmp_path / "m", config, holds(LLAMA)))
    assert not found.ok
    assert [(one.name, one.declared, one.stored) for one in found.differences] == [
        ("all of them", "44,994 tensors", "21 tensors")
    ]


def test_a_million_experts_that_are_not_there_are_not_listed(tmp_path):
    found = compared(folder(tmp_path / "m", {**MIXTRAL, "num_local_experts": 1_000_000}, holds(MIXTRAL)))
    assert not found.ok
    assert len(found.differences) < 1000


def test_bytes_are_explained_to_the_last_one(tmp_path):
    path = folder(tmp_path / "m", LLAMA)
    found = compared(path)
    size = (path / "model.safetensors").stat().st_size
    assert sum(part.bytes for part in found.bytes_by_part()) == size
    assert found.checks[1].observed == size


METHODS = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False},
    "gptq in 3 bits, one group": {"quant_method": "gptq", "bits": 3, "group_size": -1},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True, "version": "gemm"},
    "nf4": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "nf4 nested": {"quant_method": "bitsandbytes", "_load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
                   "bnb_4bit_use_double_quant": True},
    "int8": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "fp8 in tiles": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    "fp8": {"quant_method": "fp8", "activation_scheme": "static"},
    "packed": {"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
               "config_groups": {"group_0": {"targets": ["Linear"], "weights": {
                   "num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": True}}}},
    "channels": {"quant_method": "compressed-tensors", "format": "float-quantized", "ignore": ["re:.*lm_head"],
                 "config_groups": {"group_0": {"targets": ["Linear"], "weights": {
                     "num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True}}}},
    "nvfp4": {"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head", "model.layers.0*"]},
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_a_quantised_checkpoint_is_as_its_config_says_and_memory_holds_just_that(tmp_path, method):
    config = {**LLAMA, "quantization_config": METHODS[method]}
    path = folder(tmp_path / "m", config)
    found = compared(path)
    assert found.ok, found.differences
    assert not any(name.endswith("q_proj.weight") and kind == "BF16" for name, (kind, _) in holds(config).items()) or (
        method == "nvfp4"
    )
    left = sum(held.size_bytes for held in found.headers if "quant_state" in held.name)
    assert llmcalc.memory(llmcalc.load(path), seq=16).weights == found.headers.files[0].data_bytes - left


def test_the_way_of_writing_that_fits_best_is_taken(tmp_path):
    tiles = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    written = holds({**LLAMA, "quantization_config": {**tiles, "scale_fmt": "ue8m0", "transformers_version": "5.0"}})
    config = {**LLAMA, "quantization_config": {**tiles, "scale_fmt": "ue8m0"}}
    assert "model.layers.0.mlp.up_proj.scale" in holds(config)
    assert "model.layers.0.mlp.up_proj.weight_scale_inv" in written
    found = compared(folder(tmp_path / "m", config, written))
    assert found.ok, found.differences
    spoilt = {**written, "model.layers.0.mlp.up_proj.weight": ("BF16", (384, 256))}
    assert [one.name for one in compared(folder(tmp_path / "n", config, spoilt)).differences] == [
        "model.layers.0.mlp.up_proj.weight"
    ]


def test_scales_of_inputs_may_stand_beside(tmp_path):
    config = {**LLAMA, "quantization_config": {"quant_method": "modelopt", "quant_algo": "W4A16_AWQ"}}
    tensors = {**holds(config), "model.layers.0.mlp.up_proj.pre_quant_scale": ("BF16", (256,))}
    found = compared(folder(tmp_path / "m", config, tensors))
    assert found.ok
    assert [(group.tensors, group.elements) for group in found.additional] == [(1, 256)]


def test_gpt_oss_keeps_its_experts_in_blocks(tmp_path):
    left = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
    config = {**OSS, "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": left}}
    tensors = holds(config)
    assert tensors["model.layers.0.mlp.experts.gate_up_proj_blocks"] == ("U8", (3, 192, 2, 16))
    assert tensors["model.layers.0.mlp.experts.down_proj_scales"] == ("U8", (3, 64, 3))
    path = folder(tmp_path / "m", config)
    assert compared(path).ok
    assert llmcalc.memory(llmcalc.load(path), seq=16).weights == compared(path).headers.files[0].data_bytes


def test_a_part_of_a_packed_matrix_that_is_missing_is_named(tmp_path):
    config = {**LLAMA, "quantization_config": METHODS["gptq"]}
    tensors = holds(config)
    del tensors["model.layers.0.mlp.up_proj.g_idx"]
    tensors["model.layers.1.mlp.up_proj.qzeros"] = ("I32", (2, 47))
    assert differences(folder(tmp_path / "m", config, tensors)) == [
        ("model.layers.0.mlp.up_proj.g_idx", "missing", "256 I32", ""),
        ("model.layers.1.mlp.up_proj.qzeros", "shape", "2×48 I32", "2×47 I32"),
    ]


def test_the_command_says_no_with_exit_code_1(tmp_path, capsys):
    path = folder(tmp_path / "m", LLAMA)
    assert main(["verify", str(path)]) == 0
    assert "21 tensors match" in capsys.readouterr().out
    folder(path, LLAMA, {**holds(LLAMA), QUERY: ("BF16", (2, 256))})
    assert main(["verify", str(path), "--json"]) == 1
    result = json.loads(capsys.readouterr().out)["result"]
    assert not result["ok"]
    assert result["differences"][0]["name"] == QUERY


def test_headers_without_a_config_are_counted_as_they_are(tmp_path, capsys):
    tensors = {"a": ("F32", (3, 5)), "b": ("I32", (7,))}
    file = tmp_path / "m.safetensors"
    file.write_bytes(safetensors(tensors))
    assert main(["params", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["total"] == 22
    assert main(["verify", str(tmp_path)]) == 1
    assert "no config.json to compare with" in capsys.readouterr().out
    assert main(["flops", str(file)]) == 2
    assert "missing config.json" in capsys.readouterr().err
