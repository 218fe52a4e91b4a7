"""GPU and host share one memory on some computers, so that a part in host memory takes from the same bytes."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.estimate.hardware import SYSTEM_BYTES
from llmcalc.inputs.gpus import accelerators

GIB = 2**30
MAC, OTHER = "m4-16gb", "rtx-4060-ti-16gb"


def test_data_state_which_memory_is_shared() -> None:
    shared = {card.title for card in accelerators().values() if card.shared_bytes}
    assert all("Apple" in title or "Strix Halo" in title or "DGX Spark" in title for title in shared)
    assert all(card.shared_bytes for card in accelerators().values() if card.vendor == "Apple")
    spark = accelerators()["dgx-spark"]
    assert spark.shared_bytes == max(spark.memory_bytes, spark.usable_bytes) - SYSTEM_BYTES
    assert accelerators()["h100-sxm"].shared_bytes is None


@pytest.mark.parametrize(
    ("model", "gpu", "settings"),
    [
        ("llama3.3-70b", MAC, {"weights": "q4_k_m", "max_model_len": 8192}),
        ("gpt-oss-120b", "m4-32gb", {}),
        ("deepseek-v3", "dgx-spark", {"engine": "llama.cpp", "weights": "q4_k_m"}),
    ],
)
def test_a_model_larger_than_the_unified_memory_does_not_start(model: str, gpu: str, settings: dict[str, Any]) -> None:
    found = llmcalc.serve(model, gpu, **settings)
    assert found.verdict == "will not start"
    assert "unified memory" in found.reason
    assert found.host.total.best > 0
    own = llmcalc.serve(model, gpu_memory=found.memory.total, **{"engine": "llama.cpp", **settings})
    assert own.starts  # with host memory of its own


def test_what_both_store_is_compared_with_what_both_have() -> None:
    """A 24-GB Mac has 16 GiB for its GPU, and host memory beside it."""
    found = llmcalc.serve("qwen3-30b-a3b", "m4-24gb", weights="q4_k_m", max_model_len=4099)
    card = accelerators()["m4-24gb"]
    assert found.starts
    used = found.memory.budget - found.memory.available.best + float(found.groups.block_bytes)
    assert found.host.total.best > GIB
    assert card.usable_bytes < used + found.host.total.best <= card.shared_bytes


def test_weights_that_vllm_offloads_count() -> None:
    settings = {"tp": 1, "max_model_len": 4099, "cpu_offload_gb": 23}
    shared = llmcalc.serve("qwen3-32b", "dgx-spark", **settings)
    assert not shared.starts
    assert "unified memory" in shared.reason
    alone = llmcalc.serve("qwen3-32b", gpu_memory=accelerators()["dgx-spark"].usable_bytes, **settings)
    assert alone.starts


def test_changes_respect_the_unified_memory() -> None:
    found = llmcalc.serve("qwen3-14b", MAC, weights="q4_k_m", max_model_len=30011)
    for _, change in found.changes:
        assert change.starts
        assert change.host.total.best < accelerators()[MAC].shared_bytes


@pytest.mark.parametrize("solve", ["gpu-layers", "cpu-experts"])
def test_a_solution_fits_into_both_together(solve: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = "qwen3-30b-a3b"
    small, large = (llmcalc.fit(model, gpu, weights="q4_k_m", solve=solve, engine="none") for gpu in (MAC, "m4-24gb"))
    assert small.solution.value is None
    assert not small.fits
    assert small.memory == accelerators()[MAC].shared_bytes
    assert large.fits
    assert large.result.peak + large.result.host_state <= accelerators()["m4-24gb"].shared_bytes - large.reserve
    assert llmcalc.fit(model, accelerators()[MAC].usable_bytes, weights="q4_k_m", solve=solve, engine="none").fits
    assert main(f"fit {model} --gpu {MAC} --weights q4_k_m --solve {solve}".split()) == 1
    assert "GPU and host share one memory: 12.90 GiB" in capsys.readouterr().out


def test_an_optimizer_in_host_memory_takes_from_the_same_memory() -> None:
    names = "full, optimizer on the CPU"
    shared, alone = (
        [one for one in llmcalc.find_recipes("llama3-8b", **gpu).recipes if one.method == names]
        for gpu in ({"gpu": "m1-max-64gb"}, {"gpu_memory": accelerators()["m1-max-64gb"].usable_bytes})
    )
    assert not any(one.fits for one in shared)
    assert all(one.fits for one in alone)
    small = [one for one in llmcalc.find_recipes("qwen3-0.6b", "m1-max-64gb").recipes if one.method == names]
    larger = [
        one
        for one in llmcalc.find_recipes("qwen3-0.6b", gpu_memory=accelerators()["m1-max-64gb"].usable_bytes).recipes
        if one.method == names
    ]
    assert all(one.fits and 0 < one.batch <= other.batch for one, other in zip(small, larger, strict=True))
