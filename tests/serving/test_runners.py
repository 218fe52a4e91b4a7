"""The profile run of vLLM: its sampler, what callers of compiled parts hold, CUDA graphs, and the runner of a model."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.interval import Interval
from llmcalc.core.record import changed
from llmcalc.engines.profile import GIB, EngineProfile
from llmcalc.serving.start.memory import MIB, ModelBytes, captured_graphs, profiled
from llmcalc.serving.start.models import model_kinds

SEQUENCES, VOCABULARY = 13, 251


def profile(settings: dict[str, Any] | None = None, **constants: float) -> EngineProfile:
    """Return vLLM's profile, in which all other constants are zero."""
    own = llmcalc.serve("llama3.1-8b", "h100", engine_version="0.19", max_model_len=8192).profile
    all_of_them = dict.fromkeys(own.constants, 0.0) | constants
    more = {"share": 1.0, "max_num_seqs": SEQUENCES, **(settings or {})}
    exact = {name: Interval.exact(value) for name, value in all_of_them.items()}
    return changed(own, constants=exact, settings={**own.settings, **more})


def activation(constants: dict[str, float], **sizes: int) -> float:
    model = ModelBytes(**{"weights": 0, "forward": 0, "hidden": 0, "logits": SEQUENCES * VOCABULARY, **sizes})
    return profiled(model, 10**9, profile(**constants)).activation.best


def test_the_sampler_holds_logits_and_hidden_states() -> None:
    sizes = {"hidden": 10_007, "sampled": 1009}
    copies = {"logits": 3, "sampled": 2}
    logits = SEQUENCES * VOCABULARY
    assert activation(copies, **sizes) == logits * (3 * 4 + 2) + 10_007 + 2 * 1009
    rows = logits * (3 * 4 + 2) + 7 * VOCABULARY * 4 + 10_007 + 2 * 1009
    assert activation({**copies, "top_k_rows": 7}, **sizes) == rows
    most = logits * (3 * 4 + 2) + SEQUENCES * VOCABULARY * 4 + 10_007 + 2 * 1009
    assert activation({**copies, "top_k_rows": 101}, **sizes) == most  # a row for each sequence


def test_the_caller_of_a_compiled_part_holds_what_it_reads() -> None:
    found = activation({"forward": 1, "held": 2, "benchmark": 3 / GIB}, forward=1_000_003, hidden=101)
    assert found == 1_000_003 + 2 * 101 + 3


def test_graphs_are_captured_for_parts_and_for_the_whole_model() -> None:
    settings = {"max_num_seqs": 5, "max_num_batched_tokens": 8192}
    assert captured_graphs(settings) == len([1, 2, 4, 8]) + len([1, 2, 4])
    assert captured_graphs({**settings, "kept_drafts": 1}) == len([1, 2, 4, 8, 16]) + len([1, 2, 4, 8])
    assert captured_graphs({**settings, "max_num_batched_tokens": 7}) == 2 * len([1, 2, 4])
    own = profile({**settings, "counts_graphs": True}, graph_layer=3, graph_pool=5 / GIB)
    memory = profiled(ModelBytes(weights=0, forward=0, hidden=0, logits=0, layers=11), 10**10, own)
    assert memory.graphs == Interval.exact(3 * MIB * 11 * 7 + 5)
    assert memory.available.best == 10**10 - memory.graphs.best
    own = profile({**settings, "counts_graphs": True, "enforce_eager": True}, graph_layer=3, graph_pool=5 / GIB)
    eager = profiled(ModelBytes(weights=0, forward=0, hidden=0, logits=0, layers=11), 10**10, own)
    assert eager.graphs.best == 0


@pytest.mark.parametrize(
    ("model", "is_dense"),
    [
        ("llama3.1-8b", True),
        ("gemma3-27b", True),
        ("mixtral-8x7b", False),
        ("mamba2-2.7b", False),
        ("qwen3.5-27b", False),
    ],
)
def test_a_dense_model_has_neither_experts_nor_recurrent_states(model: str, is_dense: bool) -> None:
    kinds = model_kinds(llmcalc.load(model))
    assert ("dense" in kinds, "any" in kinds) == (is_dense, True)


@pytest.mark.parametrize(
    ("model", "version", "copies", "counts_graphs"),
    [
        ("llama3.1-8b", "0.19", 3, False),
        ("llama3.1-8b", "0.22", 3, True),
        ("llama3.1-8b", "0.24", 1, False),
        ("qwen3-8b", "0.24", 1, False),
        ("gemma3-27b", "0.24", 3, True),
        ("gemma3-27b", "0.25", 1, False),
        ("gemma3-27b", "0.28", 0, False),
        ("mixtral-8x7b", "0.28", 3, True),
        ("mixtral-8x7b", "0.29", 0, True),
        ("mixtral-8x7b", "0.33", 3, True),
    ],
)
def test_a_model_has_the_runner_of_its_version(model: str, version: str, copies: int, counts_graphs: bool) -> None:
    result = llmcalc.serve(model, "h200", engine_version=version, max_model_len=4096)
    assert (result.profile.constants["logits"].best, result.memory.counts_graphs) == (copies, counts_graphs)


def test_a_newer_version_counts_what_its_runner_allocates() -> None:
    """Embeddings of a step, and hidden states and embeddings of a step as input of the draft."""
    size = 4096 * llmcalc.load("qwen3.5-27b").main.d_model * 2
    own: dict[str, Any] = {"max_num_batched_tokens": 4096, "images_per_prompt": 0}
    drafts = {"draft_method": "mtp", "draft_tokens": 2}
    before, after, drafted = (
        llmcalc.serve("qwen3.5-27b", "h200", engine_version=version, **own, **more).memory.non_torch.best
        for version, more in (("0.26", {}), ("0.27", {}), ("0.27", drafts))
    )
    assert (after - before, drafted - before) == (size, 3 * size)
    dense = [
        llmcalc.serve("llama3.1-8b", "h200", engine_version=version, **own).memory.non_torch.best
        for version in ("0.26", "0.27")
    ]
    assert dense[0] == dense[1]  # a runner that has these embeddings only for images


def test_a_size_in_tokens_counts_blocks_of_attention() -> None:
    """A log of vLLM 0.10.2 states 973,760 tokens for 44.59 GiB, in blocks of 544."""
    result = llmcalc.serve("qwen3-next-80b-a3b", "h200:2", engine_version="0.10.2", kv_cache_memory=int(44.59 * GIB))
    assert result.tokens.best == pytest.approx(973_760, rel=1e-3)
    assert result.tokens.best % 544 == 0


def test_hybrid_models_cache_prefixes_by_default() -> None:
    """A log of vLLM 0.29 states 38.35 requests for 31.24 GiB, each with two recurrent states per group."""
    own: dict[str, Any] = {"max_model_len": 8192, "kv_cache_memory": int(31.24 * GIB)}
    result = llmcalc.serve("qwen3.8-27b", "rtx-pro-6000", engine_version="0.29", **own)
    assert result.concurrency.best == pytest.approx(38.35, abs=0.01)
    without = llmcalc.serve("qwen3.8-27b", "rtx-pro-6000", engine_version="0.29", prefix_caching=False, **own)
    before = llmcalc.serve("qwen3.8-27b", "rtx-pro-6000", engine_version="0.25", **own)
    assert without.concurrency.best == before.concurrency.best > result.concurrency.best
