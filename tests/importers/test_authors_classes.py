"""Configs that authors' code wrote: classes without a model_type, MosaicBERT, and other names of keys."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc

BERT: dict[str, Any] = {
    "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 44, "num_attention_heads": 4,
    "num_hidden_layers": 3, "intermediate_size": 53, "vocab_size": 101, "type_vocab_size": 2,
}  # fmt: skip
OWN_CODE = {"auto_map": {"AutoModel": "bert_layers.BertModel"}, "alibi_starting_size": 512}


def test_mosaic_bert_has_no_positions_and_gated_layers() -> None:
    found = llmcalc.load({**BERT, **OWN_CODE})
    embeddings = (101 + 2 + 2) * 44
    attention = 4 * (44 * 44 + 44) + 2 * 44
    mlp = 3 * 44 * 53 + 44 + 2 * 44  # no bias in the fused gate and up-projection
    assert llmcalc.params(found).total == embeddings + 3 * (attention + mlp) + 44 * 44 + 44
    stored = dict(llmcalc.params(found).tensors(layout="transformers"))
    assert stored["encoder.layer.2.attention.self.Wqkv.weight"] == (3 * 44, 44)
    assert stored["encoder.layer.2.mlp.gated_layers.weight"] == (2 * 53, 44)
    assert not found.warnings
    assert llmcalc.verify(found).ok


def test_the_class_of_transformers_does_not_have_its_key() -> None:
    plain = llmcalc.load({**BERT, "alibi_starting_size": 512})
    assert llmcalc.params(plain).total == llmcalc.params(llmcalc.load(BERT)).total
    assert any("alibi_starting_size" in warning for warning in plain.warnings)


CHATGLM = {
    "architectures": ["ChatGLMModel"], "hidden_size": 44, "num_attention_heads": 4, "kv_channels": 11, "num_layers": 3,
    "ffn_hidden_size": 53, "padded_vocab_size": 101, "multi_query_attention": True, "multi_query_group_num": 2,
    "add_qkv_bias": True,
}  # fmt: skip


def test_a_class_states_a_missing_model_type() -> None:
    found = llmcalc.load(CHATGLM)
    assert found.family == "chatglm"
    assert llmcalc.params(found).total == llmcalc.params(llmcalc.load({**CHATGLM, "model_type": "chatglm"})).total


@pytest.mark.parametrize("named", [["OwnModel"], [], "ChatGLMModel", None])
def test_other_classes_do_not(named: object) -> None:
    with pytest.raises(llmcalc.InputError, match="has no model_type"):
        llmcalc.load({**CHATGLM, "architectures": named})


def test_the_first_name_of_a_class_is_known() -> None:
    config = {
        "model_type": "t5",
        "d_model": 44,
        "d_kv": 11,
        "num_heads": 4,
        "num_layers": 2,
        "d_ff": 53,
        "vocab_size": 101,
    }
    totals = {
        llmcalc.params(llmcalc.load({**config, "architectures": [name]})).total
        for name in ("T5WithLMHeadModel", "T5ForConditionalGeneration")
    }
    assert len(totals) == 1


REFORMER = {"model_type": "reformer", "architectures": ["ReformerModelWithLMHead"], "is_decoder": True}


def test_another_name_of_a_key_is_a_warning_for_the_class_of_transformers() -> None:
    found = llmcalc.load({**REFORMER, "feed_forward_size": 53, "intermediate_size": 3072})
    assert llmcalc.params(found).total == llmcalc.params(llmcalc.load({**REFORMER, "feed_forward_size": 53})).total
    assert any("'intermediate_size' (3072)" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    "config",
    [
        {**REFORMER, "intermediate_size": 3072},
        {"model_type": "reformer", "is_decoder": True, "feed_forward_size": 53, "intermediate_size": 3072},
        {**REFORMER, "feed_forward_size": 53, "num_experts": 8},
    ],
)
def test_other_keys_are_errors(config: dict[str, Any]) -> None:
    with pytest.raises(llmcalc.InputError, match="unknown config key"):
        llmcalc.load(config)
