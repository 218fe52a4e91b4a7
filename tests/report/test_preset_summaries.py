"""Years that presets inherit, and search words that are numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

import llmcalc
from llmcalc.report.preset_summaries import summaries
from llmcalc.report.presets import list_document
from llmcalc.report.search import search


def test_every_family_has_the_year_of_its_base() -> None:
    found, broken = summaries()
    assert not broken
    years = {preset["name"]: preset["year"] for preset in found}
    assert None not in years.values()
    assert years["gemma4-moe"] == years["gemma4"]


def test_a_status_is_named_once() -> None:
    rows = list_document(summaries()[0]).tables[0].rows
    titles = {row[0]: row[1] for row in rows}
    assert titles["gpt4"] == "GPT-4 (rumoured)"


def test_a_number_is_not_the_end_of_another_number() -> None:
    presets = [one for one in summaries()[0] if one["name"] in ("deepseek-llm", "qwen3", "llama2", "gemma4-e")]
    names = [model.name for model in search(["7b"], presets)]
    assert "deepseek-llm-7b" in names
    assert "llama2-7b" in names
    assert not [name for name in names if "67b" in name or "1.7b" in name]
    assert [model.name for model in search(["gemma4", "2026"], presets)]


def test_a_folder_with_the_name_of_a_preset_is_mentioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    assert not [note for note in llmcalc.load("gpt2").notes if "./gpt2" in note]
    (tmp_path / "gpt2" / "config.json").write_text("{}", "utf-8")
    assert "./gpt2 is the model in the folder" in llmcalc.load("gpt2").notes[0]


def test_codes_of_rules_may_be_a_list_in_one_text() -> None:
    lists = (["HW", "CF"], ["HW,CF"], ["HW, CF"])
    first, *others = ([each.code for each in llmcalc.check("gpt2", ignore=codes).findings] for codes in lists)
    assert others == [first, first]
    assert first != [each.code for each in llmcalc.check("gpt2").findings]
