"""What is published of a training: of all sizes or of one, each fact with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.data import table as facts_table
from llmcalc.report.published_figures import training_table
from llmcalc.schema import preset_files
from llmcalc.schema.facts import training_facts
from llmcalc.schema.preset import load_text

TOKENS = {"quantity": "training_tokens", "value": 17e9, "source": "nobody2025"}
HOURS = {"quantity": "accelerator_hours", "value": 19, "source": "nobody2025 Table 3"}
PRESET = """
name: small
architecture:
  stacks: {decoder: {d_model: 12, blocks: {block: {mlp: {mlp: {d_ff: 7}}}}, order: [block]}}
sizes: {one: {}}
facts: {one: [%s]}
"""


def test_a_size_says_otherwise_than_all() -> None:
    data = {"facts": {"all": [TOKENS, HOURS], "big": [{**TOKENS, "value": 23e9}]}}
    assert [(fact.quantity, fact.value) for fact in training_facts(data, "big")] == [
        ("accelerator_hours", 19),
        ("training_tokens", 23e9),
    ]
    assert [fact.value for fact in training_facts(data, "small")] == [17e9, 19]


def test_sources_that_disagree_both_stand() -> None:
    data = {"facts": {"one": [TOKENS, {**TOKENS, "value": 29e9, "source": "somebody2026"}]}}
    assert [fact.value for fact in training_facts(data, "one")] == [17e9, 29e9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{quantity: trainingtokens, value: 3, source: x}", "training_tokens"),
        ("{quantity: training_tokens, value: 3}", "missing key 'source'"),
        ("{quantity: training_tokens, value: 3, source: x, colour: 1}", "unknown key 'colour'"),
        ("{quantity: training_tokens, value: many, source: x}", "must be a number"),
        ("{quantity: training_tokens, value: -3, source: x}", "must be greater than 0"),
        ("{quantity: accelerator, value: 3, source: x}", "must be a string"),
        ("{quantity: accelerators, value: 3, source: x, confirmed: maybe}", "true or false"),
    ],
)
def test_a_wrong_fact_is_an_error(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_text(PRESET % text, "small.yaml")


def test_a_changed_model_has_no_facts() -> None:
    assert llmcalc.load("gpt3").facts
    assert not llmcalc.load("gpt3", overrides=["n_layers=5"]).facts


@pytest.mark.parametrize("file", sorted(Path(preset_files.shipped_folder()).glob("*.yaml")), ids=lambda file: file.stem)
def test_the_facts_of_every_preset_are_cited(file: Path) -> None:
    data: dict[str, Any] = preset_files.read_preset(file)
    for size in data["sizes"]:
        model = llmcalc.load(f"{file.stem}-{size}")
        assert {fact.source.split()[0] for fact in model.facts} <= facts_table("sources").keys()
        table = training_table(model)
        assert len(table.rows) == len(model.facts)
