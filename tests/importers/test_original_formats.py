"""Configs in the formats of original releases, and classes that are not those of a language model."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.data import table
from llmcalc.importers.hf.class_names import family_of_class
from llmcalc.importers.hf.config_keys import ConfigKeys
from llmcalc.importers.hf.unknown_keys import Effect, effect_in

LLAMA = {
    "model_type": "llama", "vocab_size": 101, "hidden_size": 44, "intermediate_size": 53, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False,
}  # fmt: skip
BERT = {
    "model_type": "bert", "vocab_size": 101, "hidden_size": 44, "intermediate_size": 53, "num_hidden_layers": 3,
    "num_attention_heads": 4, "max_position_embeddings": 17,
}  # fmt: skip
ADAPTED = {
    "mm_vision_tower": "clip", "mm_projector_type": "mlp", "mm_hidden_size": 19, "image_aspect_ratio": "pad",
    "tune_mm_mlp_adapter": False,
}  # fmt: skip
HEAD = 101 * 44
POOLER = 44 * 44 + 44


def total(config: dict[str, Any], **how: Any) -> int:
    return llmcalc.params(llmcalc.load(config, **how)).total


@pytest.mark.parametrize("task", ["ForMultipleChoice", "ForRewardModel", "RewardModel"])
def test_an_unknown_head_for_a_task_is_noted_and_not_counted(task: str) -> None:
    found = llmcalc.load({**LLAMA, "architectures": [f"Llama{task}"]})
    assert llmcalc.params(found).total == total(LLAMA) - HEAD
    assert any(f"not counted: the head that 'Llama{task}' adds" in note for note in found.notes)
    assert found.layout == llmcalc.load(LLAMA).layout  # unlike that of the bare model


def test_only_classes_for_sequences_have_a_pooler() -> None:
    bare, scores = total({**BERT, "architectures": ["BertModel"]}), 2 * 44 + 2
    assert total({**BERT, "architectures": ["BertForSequenceClassification"]}) == bare + scores
    assert total({**BERT, "architectures": ["BertForQuestionAnswering"]}) == bare - POOLER + scores


def test_a_task_per_token_needs_only_the_encoder_of_t5() -> None:
    small = {"model_type": "t5", "vocab_size": 101, "d_model": 44, "d_ff": 53, "num_layers": 3, "num_heads": 4}
    for_tokens, encoder = (
        total({**small, "architectures": [name]}) for name in ("T5ForTokenClassification", "T5EncoderModel")
    )
    assert for_tokens == encoder + 2 * 44 + 2


@pytest.mark.parametrize(
    ("name", "family"),
    [("PhiForCausalLM", "phi"), ("Qwen2MoeForCausalLM", "qwen2_moe"), ("GPTNeoXForCausalLM", "gpt_neox"), ("Foo", "")],
)
def test_a_class_names_its_family(name: str, family: str) -> None:
    assert family_of_class({"architectures": [name]}) == family


def test_an_unknown_model_type_is_read_by_its_class_with_a_warning() -> None:
    config = {**LLAMA, "model_type": "my_llama", "architectures": ["LlamaForCausalLM"]}
    found = llmcalc.load(config)
    assert llmcalc.params(found).total == total(LLAMA)
    assert "'my_llama' but is read as llama, as its other keys imply" in found.warnings[0]
    with pytest.raises(llmcalc.InputError, match="unknown model_type"):
        llmcalc.load(config, strict=True)
    with pytest.raises(llmcalc.InputError, match="unknown model_type"):
        llmcalc.load({**config, "architectures": ["MyLlamaForCausalLM"]})


@pytest.mark.parametrize("model_type", ["llava", "llava_llama", "some_llama"])
def test_an_adapted_language_model_is_counted_alone(model_type: str) -> None:
    config = {**LLAMA, **ADAPTED, "model_type": model_type, "architectures": ["LlavaLlamaForCausalLM"]}
    found = llmcalc.load(config)
    assert llmcalc.params(found).total == total(LLAMA)
    assert "only its language model (llama) is counted; not counted: clip" in found.notes[-1]
    with pytest.raises(llmcalc.InputError, match="n_gates"):
        llmcalc.load({**config, "n_gates": 3})


def test_a_decoder_with_the_class_of_a_multimodal_model_is_counted_alone() -> None:
    found = llmcalc.load({**LLAMA, "architectures": ["LlamaSeesForConditionalGeneration"]})
    assert found.stacks == llmcalc.load(LLAMA).stacks
    assert "'LlamaSeesForConditionalGeneration' is the class of a multimodal model" in found.notes[-1]
    with pytest.raises(llmcalc.InputError, match="'mlm' head"):
        llmcalc.load({**LLAMA, "architectures": ["LlamaForMaskedLM"]})


def test_a_decoder_whose_class_has_no_cross_attention_is_counted_with_a_warning() -> None:
    encoder = {"model_type": "wavlm", "hidden_size": 19}
    decoder = {**LLAMA, "is_decoder": True, "add_cross_attention": True}
    config = {"model_type": "speech-encoder-decoder", "encoder": encoder, "decoder": decoder}
    found = llmcalc.load(config)
    assert found.stacks == llmcalc.load(LLAMA).stacks
    assert found.warnings == ("the config sets add_cross_attention, but the class of llama has no cross-attention",)
    assert llmcalc.load({**config, "decoder": {**decoder, "add_cross_attention": False}}).warnings == ()
    gpt2 = {"model_type": "gpt2", "n_embd": 44, "n_head": 4, "n_layer": 3, "vocab_size": 101, "n_positions": 17}
    crossed = llmcalc.load({**config, "decoder": {**gpt2, "add_cross_attention": True}})
    assert crossed.warnings == ()
    assert llmcalc.params(crossed).total > total({**config, "decoder": gpt2})


@pytest.mark.parametrize(
    ("model_type", "more"),
    [("RefinedWeb", {"new_decoder_architecture": True, "n_head_kv": 2}), ("RefinedWebModel", {"multi_query": True})],
)
def test_falcon_in_the_format_of_its_authors(model_type: str, more: dict[str, Any]) -> None:
    sizes = {"hidden_size": 44, "vocab_size": 101, "bias": False, "parallel_attn": True, **more}
    original = {"model_type": model_type, **sizes, "n_head": 4, "n_layer": 3, "architectures": ["RWForCausalLM"]}
    grouped = {"num_kv_heads": sizes.pop("n_head_kv")} if "n_head_kv" in sizes else {}
    ours = {"model_type": "falcon", **sizes, **grouped, "num_attention_heads": 4, "num_hidden_layers": 3}
    assert llmcalc.load(original).stacks == llmcalc.load(ours).stacks


def test_an_adapted_qwen_is_qwen2() -> None:
    config = {**LLAMA, **ADAPTED, "model_type": "llava_qwen", "architectures": ["LlavaQwenForCausalLM"]}
    assert total(config) == total({**LLAMA, "model_type": "qwen2"})


def test_an_adapted_language_model_with_a_class_of_its_own_is_found_by_its_type() -> None:
    config = {**LLAMA, **ADAPTED, "model_type": "logics", "architectures": ["LogicsForConditionalGeneration"]}
    found = llmcalc.load({**config, "pos_skipping_range": 53, "faster_token_stride": 7})
    assert llmcalc.params(found).total == total({**LLAMA, "model_type": "qwen3"})
    assert found.warnings == ()
    assert "'token_compression'" in llmcalc.load({**config, "token_compression": True}).warnings[0]


def test_florence_in_the_format_of_its_authors() -> None:
    sizes = {"depths": [1, 2], "num_heads": [2, 4], "num_groups": [2, 4], "patch_size": [7, 3], "patch_stride": [4, 2]}
    sizes |= {"patch_padding": [3, 1], "patch_prenorm": [False, True], "window_size": 5, "projection_dim": 44}
    text = {"d_model": 44, "encoder_layers": 2, "decoder_layers": 3, "vocab_size": 101, "encoder_attention_heads": 4}
    text |= {"decoder_attention_heads": 4, "encoder_ffn_dim": 53, "decoder_ffn_dim": 59}
    original = {
        "dim_embed": [16, 28],
        "visual_temporal_embedding": {"type": "COSINE", "max_temporal_embeddings": 31},
        "image_pos_embed": {"type": "learned_abs_2d", "max_pos_embeddings": 37},
        "image_feature_source": ["spatial_avg_pool", "temporal_avg_pool"],
    }
    ours = {"embed_dim": [16, 28], "max_temporal_embeddings": 31, "max_position_embeddings": 37}
    config: dict[str, Any] = {"model_type": "florence2", "text_config": {**text, "model_type": "florence2_language"}}
    found = llmcalc.load({**config, "vision_config": {**sizes, **original, "model_type": "davit"}})
    assert (found.stacks, found.warnings) == (
        llmcalc.load({**config, "vision_config": {**sizes, **ours, "model_type": "florence_vision"}}).stacks,
        (),
    )


def test_cohere_asr_in_the_format_of_its_authors() -> None:
    encoder = {
        "d_model": 28,
        "n_layers": 2,
        "n_heads": 4,
        "feat_in": 16,
        "conv_kernel_size": 5,
        "ff_expansion_factor": 3,
    }
    encoder |= {"subsampling_factor": 8, "subsampling_conv_channels": 13, "pos_emb_max_len": 31}
    decoder = {
        "hidden_size": 44,
        "inner_size": 53,
        "num_layers": 3,
        "num_attention_heads": 4,
        "max_sequence_length": 37,
    }
    original: dict[str, Any] = {"model_type": "cohere_asr", "encoder": encoder, "head": {"num_classes": 101}}
    original |= {"transf_decoder": {"config_dict": decoder}, "transf_encoder": {"num_layers": 0}, "batch_size": 7}
    part = {"hidden_size": 28, "num_hidden_layers": 2, "num_attention_heads": 4, "num_mel_bins": 16}
    part |= {"conv_kernel_size": 5, "intermediate_size": 84, "subsampling_conv_channels": 13}
    part |= {"max_position_embeddings": 31}
    ours = {"hidden_size": 44, "intermediate_size": 53, "num_hidden_layers": 3, "num_attention_heads": 4}
    ours |= {"max_position_embeddings": 37, "vocab_size": 101, "tie_word_embeddings": True}
    found = llmcalc.load(original)
    assert found.warnings == ()
    assert llmcalc.params(found).total == total({"model_type": "cohere_asr", "encoder_config": part, **ours}) - 37 * 44
    with pytest.raises(llmcalc.InputError, match="transf_encoder"):
        llmcalc.load({**original, "transf_encoder": {"num_layers": 2}})
    with pytest.raises(llmcalc.InputError, match="only untie_biases: True is supported"):
        llmcalc.load({**original, "encoder": {**encoder, "untie_biases": False}})
    with pytest.raises(llmcalc.InputError, match="config_dict"):
        llmcalc.load({**original, "transf_decoder": {}})
    with pytest.raises(llmcalc.InputError, match="ff_expansion_factor must be an integer"):
        llmcalc.load({**original, "encoder": {**encoder, "ff_expansion_factor": "much"}})


def test_deepseek_ocr_names_the_language_model_by_its_keys() -> None:
    text = {
        "hidden_size": 44,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "use_mla": False,
        "n_routed_experts": 7,
    }
    text |= {"num_experts_per_tok": 2, "n_shared_experts": 2, "moe_intermediate_size": 13, "intermediate_size": 53}
    text |= {"vocab_size": 101, "first_k_dense_replace": 1, "num_key_value_heads": 4}
    found = llmcalc.load({"model_type": "DeepseekOCR", "language_config": text, "vision_config": {"width": {}}})
    assert llmcalc.params(found).total == total({**text, "model_type": "deepseek", "tie_word_embeddings": False})


@pytest.mark.parametrize("key", ["lm_config", "llm_cfg", "language"])
def test_a_language_model_under_a_key_that_the_class_lacks_is_counted_alone(key: str) -> None:
    whisper = {"d_model": 19, "model_type": "whisper"}
    found = llmcalc.load({"model_type": "glmasr", key: LLAMA, "whisper_config": whisper})
    assert llmcalc.params(found).total == total(LLAMA)
    assert "not counted: whisper" in found.notes[-1]


def test_parts_that_the_original_release_wraps_are_read() -> None:
    audio = {"model_type": "qwen3_asr_audio_encoder", "d_model": 12, "encoder_layers": 2, "encoder_attention_heads": 3}
    audio |= {"encoder_ffn_dim": 23, "output_dim": 44, "downsample_hidden_size": 7, "num_mel_bins": 16}
    parts = {"audio_config": audio, "text_config": {**LLAMA, "model_type": "qwen3_asr_text", "head_dim": 11}}
    wrapped = {"model_type": "qwen3_asr", "thinker_config": {**parts, "model_type": "qwen3_asr_thinker"}}
    assert total(wrapped) == total({"model_type": "qwen3_asr", **parts})
    assert [stack.role for stack in llmcalc.load(wrapped).stacks] == ["decoder", "tower"]


def test_a_repeated_merge_size_must_agree() -> None:
    config: dict[str, Any] = {"model_type": "minimax_m3_vl", "text_config": {}, "vision_config": {}}
    compression = {"img_token_compression_config": {"spatial_merge_size": 2}}
    vision = {"model_type": "clip_vision_model", **compression}
    assert total({**config, **compression, "vision_config": vision}) == total(config)
    with pytest.raises(llmcalc.InputError, match="spatial_merge_size is 2, but other keys imply 3"):
        llmcalc.load({**config, "img_token_compression_config": {"spatial_merge_size": 3}})


@pytest.mark.parametrize("rate", [-0.5, 7, "much", True])
def test_a_dropout_rate_that_is_none_is_an_error_only_where_it_is_used(rate: object) -> None:
    found = llmcalc.load({**LLAMA, "attention_dropout": rate})
    assert any(note.startswith("attention_dropout must be a dropout rate from 0 to 1") for note in found.notes)
    llmcalc.memory(found, mode="training", attention="eager")
    with pytest.raises(llmcalc.InputError, match="attention_dropout must be a dropout rate from 0 to 1"):
        llmcalc.memory(found, mode="training", attention="eager", dropout=True)


@pytest.mark.parametrize(
    "marks",
    [
        {"architectures": ["LlamaForCausalLMEagle3"]},
        {"architectures": ["LlamaForCausalLM"], "draft_vocab_size": 53},
        {"architectures": ["DFlashDraftModel"], "dflash_config": {"target_layer_ids": [1, 2]}, "block_size": 7},
        {"architectures": ["Eagle3Speculator"], "model_type": "speculator"},
    ],
)
def test_a_draft_model_is_refused_with_one_clear_message(marks: dict[str, Any]) -> None:
    with pytest.raises(llmcalc.InputError, match="is a draft model, which only runs with its target model"):
        llmcalc.load({**LLAMA, **marks})


def test_an_unknown_class_is_read_as_the_usual_one_with_a_warning() -> None:
    config = {**LLAMA, "architectures": ["MyRetriever"]}
    found = llmcalc.load(config)
    assert llmcalc.params(found).total == total(LLAMA)
    assert found.warnings == ("the class 'MyRetriever' is unknown; it is read as a llama model",)
    with pytest.raises(llmcalc.InputError, match="unknown model class 'MyRetriever'"):
        llmcalc.load(config, strict=True)


STATED: dict[str, dict[str, Any]] = table("unknown_keys")["stated"]


@pytest.mark.parametrize("model_type", STATED)
def test_a_key_that_states_what_the_class_does_has_no_effect(model_type: str) -> None:
    for key, value in STATED[model_type].items():
        config = ConfigKeys({}, model_type, "")
        assert key not in config.defaults
        assert effect_in(config, key, 7 if value == "any" else value) is Effect.NONE
        assert effect_in(config, key, [value, value]) is Effect.NONE
        if value != "any":
            assert effect_in(config, key, "other") is not Effect.NONE


def test_a_list_of_one_value_per_layer_may_repeat_a_size() -> None:
    assert not llmcalc.load({**LLAMA, "d_inner": [53, 53, 53]}).warnings
    with pytest.raises(llmcalc.InputError, match="d_inner"):
        llmcalc.load({**LLAMA, "d_inner": [53, 53, 47]})


def test_the_experts_of_hunyuan_may_be_given_for_each_layer() -> None:
    config = {**LLAMA, "model_type": "hunyuan_v1_moe", "num_experts": 5, "head_dim": 11}
    assert total({**config, "moe_topk": [2, 2, 2]}) == total({**config, "moe_topk": 2})
    with pytest.raises(llmcalc.InputError, match="different values of num_experts_per_tok in different layers"):
        llmcalc.load({**config, "moe_topk": [2, 2, 3]})


def test_hunyuans_original_release_is_read_by_its_class() -> None:
    own = {**LLAMA, "model_type": "hunyuan", "architectures": ["HunYuanMoEV1ForCausalLM"], "num_experts": 5}
    own |= {
        "attention_head_dim": 13,
        "moe_topk": 2,
        "moe_intermediate_size": [53, 53, 53],
        "num_shared_expert": [1, 1, 1],
    }
    assert total(own) == total(
        {**LLAMA, "model_type": "hunyuan_v1_moe", "num_experts": 5, "moe_topk": 2, "head_dim": 13}
    )


def test_the_layers_of_exaone_4_may_be_letters() -> None:
    config = {**LLAMA, "model_type": "exaone4", "sliding_window": 7, "num_hidden_layers": 8}
    letters, number = (llmcalc.load({**config, "sliding_window_pattern": pattern}) for pattern in ("LLLG", 4))
    assert letters.stacks == number.stacks


@pytest.mark.parametrize("model_type", ["florence2", "fuyu", "llava", "pix2struct", "vibevoice_asr"])
@pytest.mark.parametrize("key", ["hidden_size", "vocab_size"])
def test_a_copy_of_a_size_of_the_language_model_must_agree(model_type: str, key: str) -> None:
    with pytest.raises(llmcalc.InputError, match=f"{key} is 1236"):
        llmcalc.load({"model_type": model_type, key: 1236})


def test_deepseek_v2_without_latent_attention_is_deepseekmoe() -> None:
    experts = {"n_routed_experts": 5, "n_shared_experts": 2, "num_experts_per_tok": 2, "moe_intermediate_size": 13}
    own = {**LLAMA, **experts, "model_type": "deepseek_v2", "use_mla": False, "kv_lora_rank": None, "n_group": 1}
    assert total(own) == total({**LLAMA, **experts, "model_type": "deepseek"})
    assert llmcalc.load(own).warnings == ()
    with pytest.raises(llmcalc.InputError, match="kv_lora_rank must not be null"):
        llmcalc.load({**own, "use_mla": True})


def test_the_decoder_of_a_composite_model_is_its_language_model() -> None:
    tokenizer = {"model_type": "vibevoice_acoustic_tokenizer"}
    own = {"model_type": "vibevoice", "decoder_config": {**LLAMA, "model_type": "qwen2"}}
    found = llmcalc.load({**own, "acoustic_tokenizer_config": tokenizer})
    assert llmcalc.params(found).total == total({**LLAMA, "model_type": "qwen2"})
    assert found.notes[-1].endswith("only its language model (qwen2) is counted; not counted: acoustic_tokenizer")
