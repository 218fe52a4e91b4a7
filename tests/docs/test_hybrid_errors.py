"""Public starts of models with recurrent states and compressed caches agree with what is predicted for them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import llmcalc

FOLDER = Path(__file__).resolve().parents[2] / "docs"
if not (FOLDER / "hybrid_errors.py").is_file():
    pytest.skip("the documentation is not here", allow_module_level=True)


def script(name):
    """Import a script of the documentation."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


measurements, engine_logs = script("measurements"), script("engine_logs")
module = script("hybrid_errors")
ROWS = [row for row in module.starts(module.CACHES) if row["kv_cache_gib"]]
UNKNOWN = {"NVIDIA-Nemotron-3-Nano-4B-FP8", "DeepSeek-V4.1-Flash", "MiMo-V2.6-Flash-MOPD", "Qwen3.8-Flash-Next-FP8"}
# starts whose pages don't state a flag that decides, by version and tokens or blocks: what it would have to be
UNSTATED = {
    ("0.26.0", "7.04"): {"prefix_caching": False},
    ("0.26.0", "8.82"): {"prefix_caching": False},
    ("0.26.0", "9.75"): {"prefix_caching": False},
    ("0.27.1", "5.42"): {"cache": "fp8"},
    ("0.23.1rc1.dev1431", "22.72"): {"max_num_seqs": 8},
    ("0.20.0", "2.95"): {"max_num_seqs": 8},
}
FIGURES = ("blocks", "kv_cache_tokens", "needed_gib", "longest")


def name(row):
    return row["model"].rpartition("/")[2]


KNOWN = [row for row in ROWS if name(row) not in UNKNOWN]


@pytest.mark.parametrize("file", [module.CACHES, module.REFUSALS])
def test_each_start_names_its_page_its_model_and_a_figure(file):
    lines = (FOLDER / "data" / file).read_text("utf-8").splitlines()
    assert "no licence is claimed" in lines[0]
    rows = list(module.starts(file))
    assert len(rows) >= 25
    for row in rows:
        assert all((row["source"], row["model"])), row
        assert any(row.get(column) for column in (*FIGURES, "kv_cache_gib", "block_size", "concurrency")), row


@pytest.mark.parametrize("row", [row for row in ROWS if name(row) in UNKNOWN], ids=name)
def test_models_without_a_preset_are_not_counted(row):
    with pytest.raises(llmcalc.LlmcalcError):
        module.start(row)


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: f"{name(row)} {row['version']} {row['kv_cache_gib']}")
def test_starts_at_a_stated_memory_have_the_logged_figures(row):
    """The memory is printed to 0.01 GiB, which is less than half a per mille, or 0.3 % of the smallest one."""
    found = module.start(row, **UNSTATED.get((row["version"], row["kv_cache_gib"]), {}))
    assert found.starts == (row["starts"] == "yes"), found.reason
    for column in FIGURES:
        if row[column]:
            assert module.figure(found, column) == pytest.approx(float(row[column]), rel=4e-3), column
    if row["concurrency"]:
        assert found.concurrency.best == pytest.approx(float(row["concurrency"]), abs=0.006, rel=6e-3)


def test_at_least_ten_starts_are_right_without_what_pages_leave_out():
    """Start or refusal, and eight of them within 2 % of the logged blocks or tokens."""
    plain = {id(row): module.start(row) for row in KNOWN}
    right = [row for row in KNOWN if plain[id(row)].starts == (row["starts"] == "yes")]
    assert len(right) >= len(KNOWN) - 3
    close = 0
    for row in right:
        figures = [(column, row[column]) for column in ("blocks", "kv_cache_tokens") if row[column]]
        close += bool(figures) and all(
            module.figure(plain[id(row)], column) == pytest.approx(float(logged), rel=0.02)
            for column, logged in figures
        )
    assert close >= 18


@pytest.mark.parametrize(
    ("model", "tp", "version", "block"),
    [("kimi-linear-48b-a3b", 2, "0.11", 960), ("kimi-linear-48b-a3b", 2, "0.25", 944), ("kimi-k3", 8, "0.29", 768)],
)
def test_blocks_of_latents_beside_states(model, tp, version, block):
    """A guide to a cache server states 944 and 768 tokens, which are those of two and of eight ranks."""
    found = llmcalc.serve(
        model, f"h200:{tp}", engine_version=version, tp=tp, max_model_len=8192, kv_cache_memory=10 * module.GIB
    )
    assert module.figure(found, "block_size") == block
