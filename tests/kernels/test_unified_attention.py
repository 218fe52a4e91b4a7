"""Which attention runs in vLLM's kernel in Triton."""

from __future__ import annotations

import pytest

import llmcalc

UNIFIED = "unified_attention_prefill"


@pytest.mark.parametrize(
    ("model", "gpu", "engine", "is_unified"),
    [
        ("gpt-oss-20b", "a100-sxm-80gb", "vllm", True),
        ("gpt-oss-20b", "rtx-4090", "vllm", True),
        ("gpt-oss-20b", "rtx-5090", "vllm", True),
        ("gpt-oss-20b", "h100-sxm", "vllm", False),
        ("gpt-oss-20b", "b200-180gb", "vllm", False),
        ("gpt-oss-20b", "a100-sxm-80gb", "sglang", False),
        ("llama3.1-8b", "a100-sxm-80gb", "vllm", False),
        ("gemma4-31b", "a100-sxm-80gb", "vllm", True),
        ("gemma4-31b", "h100-sxm", "vllm", False),
    ],
)
def test_attention_with_sinks_or_wide_heads_runs_in_triton_where_no_other_kernel_has_them(
    model: str, gpu: str, engine: str, is_unified: bool
) -> None:
    found = llmcalc.latency(model, gpu, mode="prefill", seq=4099, engine=engine)
    assert (UNIFIED in {kind for kind, _ in found.efficiencies}) == is_unified


def test_narrow_heads_of_the_same_model_run_in_other_kernels() -> None:
    kinds = {kind for kind, _ in llmcalc.latency("gemma4-31b", "a100-sxm-80gb", mode="prefill", seq=4099).efficiencies}
    assert {UNIFIED, "attention_prefill"} <= kinds


def test_attention_in_triton_is_slower() -> None:
    model = llmcalc.load("gpt-oss-20b")
    unified, other = (
        llmcalc.latency(model, "a100-sxm-80gb", mode="prefill", seq=32003, engine=engine)
        for engine in ("vllm", "sglang")
    )
    core = [next(part.seconds for part in one.parts if part.name == "attention core") for one in (unified, other)]
    assert core[0] > 2 * core[1]
