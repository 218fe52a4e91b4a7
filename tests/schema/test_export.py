"""An architecture as a preset file: it loads to the same architecture, and is pleasant to read."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.core.errors import LlmcalcError
from llmcalc.core.record import fields
from llmcalc.importers.hf import families
from llmcalc.schema import export
from llmcalc.schema.describe import describe
from llmcalc.schema.export import preset_text
from llmcalc.schema.preset import load_text
from llmcalc.schema.preset_files import names

OWN = ("name", "title", "notes", "warnings", "inputs")
WIDEST = 120
GEMMA = """\
# Imported from a test.
name: mine
title: gemma2
family: gemma2
layout: gemma2
variables: {n_layers: 5, d_model: 44, n_heads: 4, n_kv_heads: 2, d_head: 22, d_ff: 53, vocab: 101}
"""


def read_back(architecture: llmcalc.Architecture) -> llmcalc.Architecture:
    text = preset_text(architecture, "mine", ("Imported from a test.",))
    for line in text.splitlines():
        assert len(line) <= WIDEST or line.lstrip().startswith(("legend", "pattern", "order", "- "))
    return load_text(text, "mine.yaml")


def same(one: llmcalc.Architecture, other: llmcalc.Architecture) -> bool:
    compared = [field.name for field in fields(one) if field.name not in OWN]
    return all(getattr(one, name) == getattr(other, name) for name in compared)


@pytest.mark.parametrize("model_type", families.names())
def test_every_family_comes_back(model_type: str) -> None:
    try:
        architecture = llmcalc.load({"model_type": model_type})
    except llmcalc.InputError:  # a family whose defaults alone make no model
        pytest.skip("its class needs more than its defaults")
    assert same(read_back(architecture), architecture)


@pytest.mark.parametrize("name", sorted(names()))
def test_every_preset_comes_back(name: str) -> None:
    architecture = llmcalc.load(name)
    assert same(read_back(architecture), architecture)


def test_it_reads_as_a_person_would_write_it() -> None:
    config = {
        "model_type": "gemma2", "num_hidden_layers": 5, "hidden_size": 44, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 22, "intermediate_size": 53, "vocab_size": 101,
    }  # fmt: skip
    text = preset_text(llmcalc.load(config), "mine", ("Imported from a test.",))
    assert text.startswith(GEMMA)
    assert "order: {cycle: [local, global], length: $n_layers}" in text
    assert "mlp: {geglu: {d_ff: $d_ff}}" in text
    assert "d_ff: 53" in text.split("architecture:")[0]
    assert " 53" not in text.split("architecture:")[1]


def test_sizes_become_variables_that_can_be_set() -> None:
    text = preset_text(llmcalc.load({"model_type": "deepseek_v3"}), "mine")
    assert "order: [dense * 3, {block: sparse, times: $n_layers - 3}]" in text
    fewer = load_text(text, "mine.yaml", ["n_layers=7", "n_experts=16"])
    wanted = llmcalc.load({"model_type": "deepseek_v3", "num_hidden_layers": 7, "n_routed_experts": 16})
    assert fewer.stacks == wanted.stacks


def test_published_figures_and_notes_go_with_it() -> None:
    gpt3 = llmcalc.load("gpt3")
    found = read_back(gpt3)
    assert (found.name, found.expect, found.notes) == ("mine-175b", gpt3.expect, gpt3.notes)


def test_remarks_stay_apart_from_notes() -> None:
    gopher = llmcalc.load("gopher-280b")
    assert 0 < len(gopher.remarks) < len(gopher.notes)
    for found in (read_back(gopher), llmcalc.load(describe(gopher))):
        assert (found.notes, found.remarks) == (gopher.notes, gopher.remarks)


def test_what_warned_is_a_note() -> None:
    config = {"model_type": "mystery", "hidden_size": 32, "num_hidden_layers": 3, "n_gates": 5}
    odd = llmcalc.load(config, as_="llama", allow_unknown=["n_gates"])
    assert set(odd.warnings) <= set(read_back(odd).notes)


def test_a_text_that_would_mean_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "load_text", lambda text, name: llmcalc.load("gpt2"))
    with pytest.raises(LlmcalcError, match="would differ in stacks"):
        preset_text(llmcalc.load("bert"), "mine")
