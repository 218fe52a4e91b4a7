"""Searches in an installed package read an index instead of building every model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmcalc.report import search
from llmcalc.report.preset_summaries import summary
from llmcalc.schema.preset_files import shipped_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(search, "installed_folder", lambda: str(tmp_path))
    search._index.cache_clear()
    return tmp_path


def found(folder: Path, *words: str) -> list[tuple[str, str, int]]:
    file = folder / "gpt2.yaml"
    file.write_bytes((Path(shipped_folder()) / file.name).read_bytes())
    models = search.search(words, [summary(file.stem, str(file))])
    return [(model.name, model.kind, model.total) for model in models]


def test_a_search_reads_the_index(folder: Path) -> None:
    sizes = {"small": ("gpt2-small", "decoder, moe", 1_009), "xl": ("gpt2-xl", "decoder", 1_013)}
    (folder / search.INDEX).write_text(json.dumps({"gpt2.yaml": sizes}), "utf-8")
    assert found(folder, "moe") == [sizes["small"]]
    assert found(folder, "gpt2", "<1.1k") == [sizes["small"], sizes["xl"]]


def test_a_search_without_an_index_builds_the_models(folder: Path) -> None:
    built = found(folder, "small")
    assert built == [("gpt2-small", "decoder", 124_439_808)]
    (folder / search.INDEX).write_text(json.dumps({"gpt2.yaml": {"small": built[0]}}), "utf-8")
    search._index.cache_clear()
    assert found(folder, "small") == built
