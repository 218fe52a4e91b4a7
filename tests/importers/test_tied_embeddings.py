"""Vision-language models whose embeddings are tied if the outer or the inner config says so."""

from __future__ import annotations

import pytest

import llmcalc

SIZES = {
    "vocab_size": 211,
    "hidden_size": 52,
    "intermediate_size": 97,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


def _is_tied(model_type: str, outer: bool | None, inner: bool | None) -> bool:
    text = SIZES | ({} if inner is None else {"tie_word_embeddings": inner})
    whole = {"model_type": model_type, "text_config": text}
    found = llmcalc.load(whole | ({} if outer is None else {"tie_word_embeddings": outer}))
    return any(getattr(layer, "share", None) for _, layer in found.main.outputs)


@pytest.mark.parametrize("model_type", ["llava", "llava_onevision", "qwen2_vl", "qwen2_5_vl", "glm4v"])
@pytest.mark.parametrize("outer", [None, False, True])
@pytest.mark.parametrize("inner", [None, False, True])
def test_either_config_ties(model_type: str, outer: bool | None, inner: bool | None) -> None:
    assert _is_tied(model_type, outer, inner) == bool(outer or inner)
