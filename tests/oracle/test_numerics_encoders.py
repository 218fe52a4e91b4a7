"""Logits of the encoders whose attention is not BERT's, side by side with transformers' own classes in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import llmcalc

from .test_numerics import BART, BATCH, BERT, SPREAD, T5, TOLERANCE, VOCAB

TOKENS = 15
SEGMENTS = {"XLNetLMHeadModel": 2, "FunnelForMaskedLM": 3}  # of configs that do not say how many
EPS = {"layer_norm_eps": 0.03}
DEBERTA = {**BERT, **EPS, "relative_attention": True, "position_biased_input": False, "max_relative_positions": -1}
DEBERTA |= {"pos_att_type": ["c2p", "p2c"], "type_vocab_size": 0}
V3 = {**DEBERTA, "position_buckets": 4, "norm_rel_ebd": "layer_norm", "share_att_key": True}
FNET = {key: value for key, value in BERT.items() if "heads" not in key}
FUNNEL = {"vocab_size": VOCAB, "d_model": 24, "n_head": 4, "d_head": 6, "d_inner": 20, **EPS}
FUNNEL |= {"block_sizes": [1, 2, 1], "num_decoder_layers": 2}
LONGT5 = {**T5, "local_radius": 4, "encoder_attention_type": "transient-global", "global_block_size": 4}
PROPHETNET = {"vocab_size": VOCAB, "hidden_size": 24, "encoder_ffn_dim": 20, "decoder_ffn_dim": 28, "num_buckets": 6}
PROPHETNET |= {"num_encoder_layers": 2, "num_decoder_layers": 2, "num_encoder_attention_heads": 4}
PROPHETNET |= {"num_decoder_attention_heads": 3, "max_position_embeddings": 32, "relative_max_distance": 8}
XLNET = {"vocab_size": VOCAB, "d_model": 24, "n_layer": 3, "n_head": 4, "d_inner": 20, **EPS}

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("DebertaForMaskedLM", "plain", DEBERTA),
    ("DebertaForMaskedLM", "long", {**DEBERTA, "max_relative_positions": 6, "pos_att_type": ["c2p"]}),
    ("DebertaForMaskedLM", "absolute", {**DEBERTA, "relative_attention": False, "position_biased_input": True}),
    ("DebertaForMaskedLM", "newer head", {**DEBERTA, "legacy": False, "type_vocab_size": 2, "hidden_act": "silu"}),
    ("DebertaV2ForMaskedLM", "v3", V3),
    ("DebertaV2ForMaskedLM", "far", {**V3, "max_relative_positions": 7, "pos_att_type": ["p2c"]}),
    ("DebertaV2ForMaskedLM", "own projections", {**V3, "share_att_key": False, "norm_rel_ebd": "none"}),
    ("DebertaV2ForMaskedLM", "no buckets", {**V3, "position_buckets": -1, "max_relative_positions": 5}),
    ("DebertaV2ForMaskedLM", "newer head", {**V3, "legacy": False}),
    ("LongformerForMaskedLM", "plain", {**BERT, **EPS, "attention_window": 4, "pad_token_id": 1}),
    ("LongformerForMaskedLM", "windows", {**BERT, "attention_window": [4, 8, 8], "max_position_embeddings": 48}),
    ("LEDForConditionalGeneration", "plain", {**BART, "attention_window": 4, "activation_function": "relu"}),
    ("XLNetLMHeadModel", "plain", XLNET),
    (
        "XLNetLMHeadModel",
        "causal",
        {**XLNET, "attn_type": "uni", "ff_activation": "relu", "tie_word_embeddings": False},
    ),
    ("XLNetLMHeadModel", "clamped", {**XLNET, "clamp_len": 5, "mem_len": 7}),
    ("FunnelForMaskedLM", "plain", FUNNEL),
    ("FunnelForMaskedLM", "factorized", {**FUNNEL, "attention_type": "factorized", "pooling_type": "max"}),
    ("FunnelForMaskedLM", "whole", {**FUNNEL, "truncate_seq": False, "hidden_act": "relu"}),
    ("FunnelForMaskedLM", "first pooled", {**FUNNEL, "separate_cls": False, "pool_q_only": False}),
    ("FunnelForMaskedLM", "factorized apart", {**FUNNEL, "attention_type": "factorized", "pool_q_only": False}),
    ("FunnelForMaskedLM", "one block", {**FUNNEL, "block_sizes": [2], "num_decoder_layers": 1}),
    ("LongT5ForConditionalGeneration", "local", {**T5, "local_radius": 3}),
    ("LongT5ForConditionalGeneration", "summaries", {**LONGT5, "layer_norm_epsilon": 0.03}),
    ("LongT5ForConditionalGeneration", "gated", {**LONGT5, "feed_forward_proj": "gated-gelu", "global_block_size": 8}),
    ("ConvBertForMaskedLM", "plain", {**BERT, **EPS, "embedding_size": 10, "conv_kernel_size": 3}),
    ("ConvBertForMaskedLM", "wide taps", {**BERT, "embedding_size": 24, "conv_kernel_size": 5, "head_ratio": 4}),
    ("FNetForMaskedLM", "plain", {**FNET, **EPS, "hidden_act": "relu"}),
    ("FNetForMaskedLM", "segments", {**FNET, "type_vocab_size": 3, "tie_word_embeddings": False}),
    ("NystromformerForMaskedLM", "plain", {**BERT, **EPS, "num_landmarks": 5, "segment_means_seq_len": TOKENS}),
    ("NystromformerForMaskedLM", "full", {**BERT, "num_landmarks": 64, "segment_means_seq_len": 64}),
    ("YosoForMaskedLM", "expected", {**BERT, **EPS, "use_expectation": True, "conv_window": 3, "hash_code_len": 4}),
]


def build(class_name: str, fields: dict[str, Any]) -> tuple[Any, Any]:
    """A tiny model of a class with random weights in float64, and its config."""
    torch.manual_seed(0)
    found = getattr(transformers, class_name)
    config = found.config_class(**fields)
    config._attn_implementation = "eager"
    model = found(config).to(torch.float64).eval()
    for parameter in model.parameters():
        noise = SPREAD * torch.randn_like(parameter)
        parameter.data = parameter.data + noise if parameter.ndim == 1 else noise
    return model, config


def compare(model: Any, config: Any, inputs: tuple[Any, ...], wanted: Any, **more: Any) -> None:
    """The twin with the model's weights gives the logits that are wanted."""
    loaded = llmcalc.load({**config.to_dict(), "architectures": [type(model).__name__]})
    twin = llmcalc.twin(replace(loaded, unmodelled=()))  # such as PEGASUS-X's positions, which are left out here
    twin.load({name: tensor.numpy() for name, tensor in model.state_dict().items()})
    found = twin.forward(*(ids.numpy() for ids in inputs), **{name: value.numpy() for name, value in more.items()})
    gap = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    assert gap <= TOLERANCE


@pytest.mark.parametrize(("class_name", "variant", "fields"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES])
def test_logits_are_those_of_transformers(class_name: str, variant: str, fields: dict[str, Any]) -> None:
    model, config = build(class_name, fields)
    ids = torch.randint(3, VOCAB, (BATCH, TOKENS), generator=torch.Generator().manual_seed(1))
    more = {"decoder_input_ids": ids.flip(1)[:, :7]} if getattr(config, "is_encoder_decoder", False) else {}
    segments = SEGMENTS.get(class_name, fields.get("type_vocab_size", 1))
    if segments > 1:
        more["token_type_ids"] = ids % segments
    with torch.no_grad():
        output = model(ids, **more, **({"use_cache": False} if "decoder_input_ids" in more else {}))
    wanted = output.logits.double().numpy()
    compare(model, config, (ids,), wanted, **more)


PREDICTED = {
    "plain": PROPHETNET,
    "far": {**PROPHETNET, "ngram": 3, "activation_function": "relu", "tie_word_embeddings": False},
    "one stream": {**PROPHETNET, "ngram": 1},
}


@pytest.mark.parametrize("variant", PREDICTED)
def test_prophetnet_predicts_token_by_token(variant: str) -> None:
    """Transformers mixes up the biases of several tokens that come together, which the authors' code does not."""
    model, config = build("ProphetNetForConditionalGeneration", PREDICTED[variant])
    ids = torch.randint(3, VOCAB, (BATCH, TOKENS), generator=torch.Generator().manual_seed(1))
    target, cache, wanted = ids.flip(1)[:, :7], None, []
    with torch.no_grad():
        encoded = model.prophetnet.encoder(ids)
        for token in target.split(1, dim=1):
            output = model(encoder_outputs=encoded, decoder_input_ids=token, cache=cache, use_cache=True)
            cache = output.cache
            wanted.append(output.logits.numpy())
    compare(model, config, (ids, target), np.concatenate(wanted, axis=1))


PEGASUS = {**BART, "block_size": 4, "num_global_tokens": 3, "stagger_local_blocks": True, "encoder_layers": 3}


@pytest.mark.parametrize("staggered", [True, False])
def test_global_tokens_move_beside_the_text(staggered: bool) -> None:
    model, config = build("PegasusXForConditionalGeneration", {**PEGASUS, "stagger_local_blocks": staggered})
    ids = torch.randint(3, VOCAB, (BATCH, TOKENS), generator=torch.Generator().manual_seed(1))
    target = ids.flip(1)[:, :7]
    with torch.no_grad():
        wanted = model(ids, decoder_input_ids=target, use_cache=False).logits.numpy()
    compare(model, config, (ids, target), wanted)


TOWER = {"vocab_size": VOCAB, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2}
TOWER |= {"num_attention_heads": 4, "max_position_embeddings": 32, "pad_token_id": 0, "bos_token_id": 1}
END = 19  # of the texts below: once, twice, and not at all
POOLED = [
    ("CLIPTextModelWithProjection", {"projection_dim": 10, "eos_token_id": END}),
    ("CLIPTextModelWithProjection", {"projection_dim": 10, "eos_token_id": 2}),
    ("MetaClip2TextModelWithProjection", {"projection_dim": 10, "eos_token_id": END}),
    ("SiglipTextModel", {"projection_size": 10}),
    ("AlignTextModel", {}),
]


@pytest.mark.parametrize(("class_name", "fields"), POOLED)
def test_the_token_that_stands_for_a_text(class_name: str, fields: dict[str, Any]) -> None:
    model, config = build(class_name, {**TOWER, **fields})
    ids = torch.randint(END + 1, VOCAB, (3, TOKENS), generator=torch.Generator().manual_seed(1))
    ids[0, 4] = ids[1, 2] = ids[1, 7] = END
    with torch.no_grad():
        output = model(ids)
    wanted = output.text_embeds if hasattr(output, "text_embeds") else output.pooler_output
    compare(model, config, (ids,), wanted[:, None].numpy())
