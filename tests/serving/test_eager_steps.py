"""Times of requests where nothing is captured in CUDA graphs."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.search.serving_search import ServingSearch
from llmcalc.serving.result import ServingResult
from llmcalc.serving.step.step import step_values
from llmcalc.serving.step.step_models import step_model

LLAMA = llmcalc.load("llama3.1-8b")


def serve(model: Any = LLAMA, gpu: str = "h100", **change: Any) -> ServingResult:
    result = llmcalc.serve(model, gpu, **{"isl": 509, "osl": 251, "concurrency": 1, "enforce_eager": True, **change})
    assert isinstance(result, ServingResult)
    return result


@pytest.mark.parametrize(("model", "gpu", "sizes", "published_ms"), [
    ("gpt2", "h200", {"isl": 128, "osl": 32}, 1e3 / 207.7),  # deepspeedai/DeepSpeed 8352
    ("qwen3-moe-30b-a3b", "rtx4090:4", {"isl": 3500, "osl": 1500, "concurrency": 8, "tp": 4}, 33.9),  # vllm 45709
    ("qwen2.5-7b", "a100-sxm-80gb", {"isl": 500, "osl": 200}, 22.5),  # vllm-omni 7960, on an A800
])  # fmt: skip
def test_published_runs_are_in_the_interval(model: str, gpu: str, sizes: dict[str, int], published_ms: float) -> None:
    result = serve(model, gpu, engine="vllm", **sizes)
    assert result.tpot_low_s < published_ms / 1e3 < result.tpot_high_s
    assert 0.55 < result.tpot_s * 1e3 / published_ms < 1.7
    assert "the time in which the host launches a kernel is assumed" in result.reasons


def test_launches_and_kernels_overlap() -> None:
    """A step with few rows takes the time of its launches, and one with long kernels that of its kernels."""
    eager = step_model(LLAMA, serve().accelerator, serve().mesh, "vllm", enforce_eager=True)
    captured = step_model(LLAMA, serve().accelerator, serve().mesh, "vllm")
    few, many = step_values(1.0, 1.0, 509.0), step_values(509.0, 1.0, 8009.0)
    n_kernels = captured.step(few).launches / captured.engine.kernel_s
    step = eager.step(few)
    assert step.seconds - step.engine == pytest.approx(n_kernels * eager.engine.launch_s)
    assert eager.step(many).seconds == pytest.approx(float(captured.step(many).seconds))
    assert eager.with_launch(0.0).step(few).seconds == pytest.approx(float(captured.step(few).seconds))
    prompts = step_values(7.0, 1009.0, 1009.0)
    assert eager.step(None, prompts).seconds == pytest.approx(float(captured.step(None, prompts).seconds))


def test_launches_matter_less_with_more_requests() -> None:
    found = [serve(concurrency=number).tpot_s / serve(concurrency=number, enforce_eager=False).tpot_s
             for number in (1, 32, 512)]  # fmt: skip
    assert found[0] > 1.7
    assert found == sorted(found, reverse=True)
    assert 1 <= found[-1] < 1.15
    one, other = (serve(isl=16_001, enforce_eager=is_eager).ttft_s for is_eager in (True, False))
    assert one is not None
    assert one == pytest.approx(other, rel=0.02)


def test_all_kernels_of_experts_are_launched() -> None:
    """Those of a library have a time of their own in a CUDA graph."""
    own = {"concurrency": 1, "tp": 1, "weights": "fp8"}
    dense, experts = (serve(model, "h200", **own).tpot_s for model in ("qwen3-8b", "qwen3-moe-30b-a3b"))
    assert experts > 1.5 * dense


def test_command_lines_and_searches_without_graphs_have_times() -> None:
    line = "python -m sglang.launch_server --model-path Qwen/Qwen3-8B --disable-cuda-graph"
    pasted = llmcalc.serve(gpu="h100", command=line, isl=509, osl=251, concurrency=1)
    assert isinstance(pasted, ServingResult)
    assert pasted.tpot_s == pytest.approx(serve("qwen3-8b", engine="sglang").tpot_s)
    found = llmcalc.serve("qwen3-8b", "h100", isl=509, osl=251, sla="tpot=40ms", enforce_eager=True)
    assert isinstance(found, ServingSearch)
    best = found.layouts[0]
    assert "no measurements of requests without CUDA graphs" in best.tpot.reasons
    assert "--enforce-eager" in best.commands["serve"]
    with pytest.raises(llmcalc.InputError, match="enforce_eager: has no effect on TensorRT-LLM"):
        serve(engine="tensorrt-llm")


def test_a_draft_has_no_graphs_either() -> None:
    drafted = serve(draft_method="eagle3", concurrency=1)
    captured = serve(draft_method="eagle3", concurrency=1, enforce_eager=False)
    assert drafted.time.step.launches > 3 * captured.time.step.launches
    assert drafted.drafting is not None
    assert drafted.drafting.speculation.draft.engine.is_eager
