"""``--set path=value``: of the right type, in a place that exists, and nowhere else."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.schema.overrides import apply_overrides


def total(*overrides: str, model: str = "gpt2") -> int:
    return llmcalc.params(llmcalc.load(model, overrides=overrides)).total


GPT2_SMALL = 124_439_808
A_LAYER = 12 * 768 * 768 + 13 * 768  # four projections and two matrices, their biases, two norms


def test_a_variable_changes_the_count() -> None:
    assert total() == GPT2_SMALL
    assert total("n_layers=11") == GPT2_SMALL - A_LAYER
    assert total("n_layers=11", "n_layers=13") == GPT2_SMALL + A_LAYER
    assert total("vocab=50_258") == GPT2_SMALL + 768


def test_a_path_changes_a_key() -> None:
    assert total("stacks.decoder.blocks.block.attention.mha.o_bias=false") == GPT2_SMALL - 12 * 768


def test_nothing_that_is_shared_is_changed() -> None:
    before = total("n_layers=11")
    shared = {"x": 1}
    template = {"a": shared, "b": shared}
    changed, _ = apply_overrides(template, {}, ["a.x=2"])
    assert changed == {"a": {"x": 2}, "b": {"x": 1}}
    assert template == {"a": {"x": 1}, "b": {"x": 1}}
    total("stacks.decoder.blocks.block.attention.mha.o_bias=false")
    assert total("n_layers=11") == before


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("n_layers", "path=value"),
        ("=3", "path=value"),
        ("n_layer=3", "did you mean n_layers"),
        ("n_layers=twelve", "an integer"),
        ("n_layers=12.5", "an integer"),
        ("n_layers=true", "an integer"),
        ("n_layers=", "an integer"),
        ("n_layers=-1", "-1"),
        ("n_layers=" + "9" * 1000, "digits"),
        ("d_model=0", "not 0"),
        ("d_model=-768", "not -768"),
        ("n_heads=5", "does not divide"),
        ("n_heads=0", "n_heads must be"),
        ("stacks.decoder.blocks.blok.mlp=3", "did you mean block"),
        ("stacks.decoder.blocks.block.mlp.mlp.activaton=relu", "did you mean activation"),
        ("stacks.decoder.blocks.block.attention.mha.o_bias=3", "true or false"),
        ("stacks.decoder.d_model.x=3", "neither a mapping"),
        ("stacks.decoder.order.7=3", "unknown key '7'"),
        ("...=3", "unknown key ''"),
    ],
)
def test_what_cannot_be_set_is_an_error(override: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        total(override)
