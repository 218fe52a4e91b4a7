"""Values of a config that contradict each other, or that no model can have, are errors in every family."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.data import table
from llmcalc.importers.hf import families
from llmcalc.importers.hf.class_defaults import is_irrelevant
from llmcalc.importers.hf.config import Config
from llmcalc.importers.hf.contradictions import STAGES, check_values
from llmcalc.importers.hf.unknown_keys import Effect, effect_of

DEFAULTS = Path(llmcalc.__file__).parent / "data" / "hf"
# integer keys whose doubling leaves the number of parameters unchanged, by reason
UNCHANGED = {
    "repeats stored layers": """
        H_cycles L_cycles hc_sinkhorn_iters loop_num_passes n_input_layers n_layers_per_attn_res_block
        n_output_layers n_recurrent_loops num_blocks num_hidden_layers
    """,
    "of a module that this class does not build or llmcalc does not count, or a copy of a nested key": """
        adaptor_kernel_size adaptor_stride audio_length_per_tok audio_samples_per_frame audio_soft_tokens_per_image
        char_vocab_size classifier_proj_size conv_depthwise_kernel_size default_num_delay_tokens embedding_dim
        feature_projection_input_dim feature_size image_size image_text_hidden_size insert_layer_id lang_embed_dim
        max_num_columns max_num_rows median_filter_width mm_tokens_per_image n_relations num_adapter_layers
        num_conv_pos_embedding_groups num_conv_pos_embeddings num_frames num_mel_attn_blocks num_mel_bins
        output_num_channels patch_size projection_dim reduction_factor samples_per_patch spatial_pool_stride
        speaker_embedding_dim speech_decoder_postnet_kernel speech_decoder_postnet_layers
        speech_decoder_postnet_units speech_decoder_prenet_layers speech_decoder_prenet_units
        speech_encoder_attention_heads speech_encoder_chunk_size speech_encoder_intermediate_size
        speech_encoder_layers speech_encoder_left_chunk_num spkr_embed_dim t2u_decoder_attention_heads
        t2u_decoder_ffn_dim t2u_decoder_layers t2u_encoder_attention_heads t2u_encoder_ffn_dim t2u_encoder_layers
        t2u_max_position_embeddings t2u_variance_predictor_embed_dim t2u_variance_predictor_hidden_dim
        t2u_variance_predictor_kernel_size t2u_vocab_size unit_embed_dim unit_hifi_gan_vocab_size
        upsample_initial_channel variance_predictor_kernel_size video_temporal_patch_size
        vision_soft_tokens_per_image vision_vocab_size vocab_size vocoder_num_langs vocoder_num_spkrs vocoder_offset
    """,
    "rounds up a size that is a multiple of both values": "pad_vocab_size_multiple",
    "limits which tokens attend to each other": """
        attention_chunk_size attention_window attention_window_size block_per_row block_size
        global_attn_every_n_layers global_block_size hash_code_len keep_window_size local_attention
        local_attention_window_len local_radius local_transformer_stride no_rope_layer_interval num_hash
        num_hash_functions num_random_blocks prefix_dense_sliding_window_pattern segment_means_seq_len
        sliding_window sliding_window_pattern window_size
    """,
    "heads divide a fixed width, or have no tensors of their own": """
        attention_heads decoder_attention_heads decoder_num_attention_heads encoder_attention_heads
        encoder_num_attention_heads head_dim n_head n_heads n_mamba_heads num_attention_heads
        num_cross_attention_heads num_encoder_attention_heads num_heads num_key_value_heads num_self_attention_heads
        rotary_dim
    """,
    "used only with another setting than the class default": """
        audio_channels block_multiple_of dense_intermediate_size encoder_layers expand expansion_ratio
        index_block_size index_head_dim index_local_blocks index_n_heads index_topk_blocks intermediate_size
        intermediate_size_mlp mamba_expand multiple_of n_routed_experts n_shared_experts num_codebooks num_experts
        prompt_length prompt_mid_dim
        task_type_vocab_size
    """,
    "size of a computation in chunks": """
        audio_chunk_size chunk_size conv_L_cache mamba_chunk_size
    """,
    "selects among stored experts, groups or tokens": """
        centroid_intermediate_top_k end_n_top expert_capacity index_topk moe_k moe_topk n_group num_centroids
        num_experts_per_tok start_n_top topk_group
    """,
    "changes values and no tensor": """
        dim_model_base log_scaling_n_floor rope_ratio scale_emb
    """,
    "a limit of positions that are not stored": """
        left_max_position_embeddings max_position_embeddings max_rel_2d_pos max_rel_pos max_source_positions
        max_speech_positions max_target_positions max_text_positions mem_len n_positions position_bias_max_distance
        relative_max_distance right_max_position_embeddings
    """,
    "module that transformers does not build": """
        num_mtp_layers num_nextn_predict_layers
    """,
}
LLAMA = {"model_type": "llama", "num_hidden_layers": 3, "vocab_size": 101}


@cache
def shipped(model_type: str) -> dict[str, Any]:
    file = DEFAULTS / f"{model_type}.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def total(config: dict[str, Any]) -> int | None:
    try:
        return llmcalc.params(llmcalc.load(config)).total
    except llmcalc.InputError:
        return None


def readable() -> list[str]:
    return [name for name in families.names() if total({"model_type": name}) is not None]


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(llmcalc.InputError) as caught:
        llmcalc.load(config)
    return str(caught.value)


@pytest.mark.parametrize("model_type", readable())
def test_null_is_an_error_where_the_class_refuses_it(model_type: str) -> None:
    data = shipped(model_type)
    if "nullable" not in data:
        pytest.skip("not a class of transformers")
    for key, value in data["defaults"].items():
        if value is not None and key not in data["nullable"] and not is_irrelevant(key):
            assert f"{key} must not be null" in refusal({"model_type": model_type, key: None})


@pytest.mark.parametrize("model_type", readable())
def test_a_list_per_layer_has_an_entry_of_a_known_type_for_each_layer(model_type: str) -> None:
    data = shipped(model_type)
    layers = data.get("defaults", {}).get(data["aliases"].get("num_hidden_layers", "num_hidden_layers")) if data else 0
    if type(layers) is not int:
        pytest.skip("no number of layers")
    for key in ("layer_types", "mlp_layer_types"):
        if key in data["defaults"]:
            word = "full_attention" if key == "layer_types" else "dense"
            refusal({"model_type": model_type, key: [word] * (layers + 1)})
            refusal({"model_type": model_type, key: ["nonsense"] * layers})


@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nonsense", "must be an object"),
        ([1], "must be an object"),
        ({"rope_type": "nonsense", "factor": 2.0}, "unknown rope_type 'nonsense'"),
        ({"type": 3}, "unknown type 3"),
        ({"rope_type": "linear", "factor": 0}, "factor must be a positive number"),
        ({"rope_type": "default", "rope_theta": "10000"}, "rope_theta must be"),
        (
            {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, -3]},
            "mrope_section must be a list of positive",
        ),
        ({"full_attention": {"rope_type": "nonsense"}}, "'nonsense' in full_attention"),
    ],
)
def test_garbage_in_rotary_settings_is_an_error(key: str, value: object, said: str) -> None:
    for model_type in ("llama", "gemma3_text", "qwen2_vl_text", "modernbert"):
        assert said in refusal({"model_type": model_type, key: value}) or key == "rope_scaling"
    assert said in refusal({**LLAMA, key: value})


def test_two_names_of_one_setting_agree() -> None:
    twice = {"rope_theta": 5.0, "rope_parameters": {"rope_type": "default", "rope_theta": 7.0}}
    assert "rope_theta is 5.0, but the rope_theta in rope_parameters is 7.0" in refusal({**LLAMA, **twice})
    assert "torch_dtype is 'float16', but dtype is 'bfloat16'" in refusal(
        {**LLAMA, "torch_dtype": "float16", "dtype": "bfloat16"}
    )
    assert llmcalc.load({**LLAMA, "torch_dtype": "torch.float16", "dtype": "float16"})
    assert "aliases" in refusal({"model_type": "gpt2", "n_embd": 44, "hidden_size": 48})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "gpt_neo", "num_layers": 2, "attention_types": [[["global", "local"], 1]],
          "attention_layers": ["local", "local"]}, "attention_types and attention_layers describe different layers"),
        ({"model_type": "gpt_neo", "num_layers": 3, "attention_types": [[["local"], 1]]}, "describes 1 layers"),
        ({"model_type": "axk1", "num_hidden_layers": 3, "moe_layer_freq": 2,
          "mlp_layer_types": ["dense", "sparse", "sparse"]}, "moe_layer_freq and mlp_layer_types describe different"),
        ({"model_type": "mimo_v2_flash", "num_hidden_layers": 3, "moe_layer_freq": [0, 1, 0],
          "mlp_layer_types": ["dense", "sparse", "sparse"]}, "moe_layer_freq and mlp_layer_types describe different"),
        ({"model_type": "mimo_v2_flash", "num_hidden_layers": 2, "hybrid_layer_pattern": [0, 1],
          "layer_types": ["full_attention"] * 2}, "hybrid_layer_pattern and layer_types describe different layers"),
    ],
)  # fmt: skip
def test_two_descriptions_of_the_layers_agree(config: dict[str, Any], said: str) -> None:
    assert said in refusal(config)


@pytest.mark.parametrize("model_type", sorted(file.stem for file in DEFAULTS.glob("*.json")))
def test_lists_with_an_entry_per_stage_are_equally_long(model_type: str) -> None:
    """The lists of a class's own default value are, so one more entry of any of them is an error."""
    defaults = shipped(model_type)["defaults"]
    for keys in STAGES:
        own = [key for key in keys if isinstance(defaults.get(key), list)]
        for key in own if len(own) > 1 else ():
            data = {key: [*defaults[key], defaults[key][-1]]}
            with pytest.raises(llmcalc.InputError, match="lists with an entry per stage must have equal lengths"):
                check_values(Config(data, model_type, "config"))


def test_a_vision_encoder_has_as_many_widths_as_depths() -> None:
    vision = {"model_type": "florence_vision", "projection_dim": 1024}
    assert total({"model_type": "florence2", "vision_config": vision}) is not None
    for key, value in (("depths", [1, 1, 9]), ("num_heads", [4] * 5), ("patch_padding", [3])):
        text = refusal({"model_type": "florence2", "vision_config": {**vision, key: value}})
        assert "equal lengths" in text
        assert f"{key} has {len(value)}" in text


@pytest.mark.parametrize("model_type", readable())
def test_an_empty_object_has_the_defaults_of_its_own_class(model_type: str) -> None:
    """A missing or null one has the defaults that the outer class states, which may differ."""
    for key, value in shipped(model_type).get("defaults", {}).items():
        if isinstance(value, dict) and "model_type" in value:
            plain, tied = {"model_type": model_type}, {"tie_word_embeddings": True}
            named = {"model_type": value["model_type"]}
            assert total({**plain, **tied, key: {}}) == total({**plain, **tied, key: named}), key


@pytest.mark.parametrize("model_type", ["gemma4_text", "dots3_note_text", "neomme", "step3p5"])
def test_settings_of_single_layers_name_layers_and_keys_of_the_model(model_type: str) -> None:
    for value, said in (
        ("nonsense", "must be an object"),
        ([1], "must be an object"),
        ({"0": 3}, "must be an object"),
        ({"first": {}}, "must be an object"),
        ({"999": {}}, "names layer 999"),
        ({"0": {"nonsense": 3}}, "unknown per_layer_config key 'nonsense'"),
    ):
        assert said in refusal({"model_type": model_type, "per_layer_config": value})
    null, empty = ({"model_type": model_type, "per_layer_config": value} for value in (None, {}))
    assert total(null) == total(empty) is not None


def test_a_null_list_of_settings_of_single_layers_means_none() -> None:
    """A missing one means the class's own, such as wider heads in each layer without a window."""
    gemma = {"model_type": "gemma4_text", "num_hidden_layers": 6, "hidden_size": 64, "vocab_size": 101}
    assert total({**gemma, "per_layer_config": None}) != total(gemma)


def test_a_null_flag_is_false_unless_the_class_computes_its_own() -> None:
    t5 = {"model_type": "t5", "feed_forward_proj": "gated-gelu"}
    assert total({**t5, "is_gated_act": None}) == total({**t5, "is_gated_act": False}) != total(t5)
    falcon = {"model_type": "falcon"}
    assert total({**falcon, "multi_query": None}) == total({**falcon, "multi_query": False}) != total(falcon)


def test_a_window_may_be_null_if_each_layer_has_a_type() -> None:
    names = "sliding_window sliding_window_pattern"
    families = {"exaone4": names, "exaone_moe": "sliding_window_pattern", "afmoe": "global_attn_every_n_layers"}
    for model_type, keys in families.items():
        for key in keys.split():
            config = {"model_type": model_type, "num_hidden_layers": 2, key: None}
            assert f"cannot be derived without {' and '.join(keys.split())}" in refusal(config)
            assert total({**config, "layer_types": ["full_attention"] * 2}) is not None


@pytest.mark.parametrize("value", ["fp8", [1], 3])
def test_a_quantization_config_is_an_object(value: object) -> None:
    assert "quantization_config must be an object" in refusal({**LLAMA, "quantization_config": value})


def test_a_shared_reader_reads_only_keys_that_the_class_has() -> None:
    """A class that does not have a key of other classes ignores it."""
    for key, types in table("config_keys")["ignored"].items():
        for model_type in types:
            plain = total({"model_type": model_type})
            for value in (3, True) if plain is not None else ():
                assert total({"model_type": model_type, key: value}) in (plain, None), (model_type, key)


@pytest.mark.parametrize("model_type", readable())
def test_doubling_a_size_changes_the_total_or_has_a_reason(model_type: str) -> None:
    """Or is an error, such as a number of heads that no longer divides a width."""
    plain, known = total({"model_type": model_type}), " ".join(UNCHANGED.values()).split()
    for key, value in shipped(model_type).get("defaults", {}).items():
        counts = type(value) is int and value > 0 and not is_irrelevant(key)
        is_copy = (model_type, key) == ("paligemma", "hidden_size")  # not read by the class
        if counts and effect_of(key, value) is Effect.STRUCTURAL and key not in known and not is_copy:
            assert total({"model_type": model_type, key: 2 * value}) != plain, key


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "mamba2", "hidden_size": 40, "num_heads": 4, "head_dim": 16}, "must equal expand"),
        ({"model_type": "bamba", "mamba_d_head": 16}, "must equal the inner width"),
        ({"model_type": "llama", "num_attention_heads": 3, "head_dim": 8}, "must be a multiple of num_attention_heads"),
        ({"model_type": "deepseek_v2", "mlp_bias": True, "n_shared_experts": 0}, "n_shared_experts is 0, but mlp_bias"),
        ({"model_type": "bitnet", "head_dim": 64}, "head_dim is 64, but other keys imply 128"),
        ({"model_type": "funnel", "num_hidden_layers": 13}, "num_hidden_layers is 13, but other keys imply 12"),
        ({"model_type": "olmoe", "head_dim": 64}, "head_dim is 64, but other keys imply 128"),
        ({"model_type": "mistral4", "moe_layer_freq": 2}, "only moe_layer_freq: 1 is supported"),
        ({"model_type": "chameleon", "vq_config": {"num_res_blocks": 0}}, "num_res_blocks must be an integer from 1"),
        ({"model_type": "zamba2", "hybrid_layer_ids": [1]}, "hybrid_layer_ids is [1], but other keys imply"),
        ({"model_type": "zamba2", "mamba_headdim": 7}, "mamba_headdim is 7, but other keys imply"),
        ({"model_type": "jamba", "attn_layer_offset": 9}, "attn_layer_offset (9) must be less than attn_layer_period"),
        ({"model_type": "zamba", "attn_layer_offset": 9}, "must be less than attn_layer_period"),
        ({"model_type": "axk2", "n_group": 2, "topk_group": 4}, "topk_group (4) must not exceed n_group (2)"),
        ({"model_type": "bros", "dim_bbox_projection": 7}, "dim_bbox_projection is 7, but other keys imply"),
        ({"model_type": "aria_text", "moe_num_shared_experts": 0}, "moe_num_shared_experts must be an integer from 1"),
    ],
)
def test_sizes_that_a_class_refuses_are_refused(config: dict[str, Any], said: str) -> None:
    assert said in refusal(config)


def test_a_sparse_config_names_the_sizes_of_the_class() -> None:
    found = llmcalc.load({"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4})
    (note,) = found.notes
    assert note.endswith("intermediate_size = 11008")
    assert any("num_hidden_layers = 32, vocab_size = 32000" in warning for warning in found.warnings)
    whole = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 7, "vocab_size": 5}
    assert llmcalc.load({**LLAMA, **whole}).notes == ()


def test_an_encoder_decoder_is_read_as_transformers_saves_it() -> None:
    """Every decoder is saved with ``is_decoder``, also if its class has no such key."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40}
    decoder = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 101}
    config = {
        "model_type": "encoder-decoder", "is_encoder_decoder": True,
        "encoder": {"model_type": "bert", "vocab_size": 101, **sizes},
        "decoder": {**decoder, "is_decoder": True, "add_cross_attention": True},
    }  # fmt: skip
    assert total(config) == 104_816


def test_copies_of_the_sizes_of_a_language_model_agree() -> None:
    """A vocabulary may be padded, as published configs state it."""
    text = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 32_064}
    whole = {"model_type": "llava_next", "text_config": text}
    plain = total(whole)
    assert plain is not None
    assert total({**whole, "hidden_size": 64, "vocab_size": 32_000}) == plain
    assert "hidden_size is 128, but other keys imply 64" in refusal({**whole, "hidden_size": 128})
    assert "the language model's vocabulary has 32064 tokens" in refusal({**whole, "vocab_size": 61_054})


def test_an_odd_number_of_rotated_channels_is_an_error() -> None:
    said = refusal({"model_type": "deepseek_v3", "qk_rope_head_dim": 63})
    assert "qk_rope_head_dim must be even, because pairs of channels are rotated, not 63" in said


def test_an_activation_with_learned_parameters_is_counted_in_an_mlp_and_an_error_elsewhere() -> None:
    plain, learned = (total({**LLAMA, "hidden_act": name}) for name in ("silu", "xielu"))
    assert plain is not None
    assert learned == plain + 2 * 3
    said = refusal({"model_type": "qwen3_moe", "num_hidden_layers": 2, "hidden_act": "xielu"})
    assert "moe: activation must be one of identity, relu" in said
