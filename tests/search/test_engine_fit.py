"""Fit checks of a serving engine: the deployment that would be used, and what it holds."""

from __future__ import annotations

from contextlib import suppress
from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.cli.main import main
from llmcalc.inputs.gpus import read_gpus
from llmcalc.report.fit import fit_document
from llmcalc.serving.deployment import deployment
from llmcalc.serving.start.start import Start
from llmcalc.serving.start.usual_layout import usual_layouts

MODELS = (
    "llama3-8b", "llama3.3-70b", "qwen2-0.5b", "gpt2", "gemma2-9b", "mixtral-8x7b", "deepseek-v3", "minimax-m2",
    "gpt-oss-120b", "nemotron-h-56b", "mamba2-2.7b", "deepseek-v4-flash", "phi-4",
)  # fmt: skip
GPUS = ("h100", "h100:2", "h200:8", "rtx4090:3", "l40s:5", "a100-80gb:7", "mi300x:8", "h100:11", "b200:16")


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(MODELS), st.sampled_from(GPUS), st.integers(1, 16), st.sampled_from((127, 1021, 8191)))
def test_the_command_of_a_fit_starts_as_it_says(model: str, gpu: str, batch: int, seq: int) -> None:
    found = llmcalc.fit(model, gpu, seq=min(seq, 1021) if model == "gpt2" else seq, batch=batch)
    assert found.start is not None
    again = llmcalc.serve(command=found.start.line(found.change), gpu=gpu)
    assert isinstance(again, Start)
    assert (again.verdict, again.memory.weights) == (found.start.verdict, found.start.memory.weights)
    ranks = again.settings.get("dp", 1)
    own = int(again.pool.requests(found.result.workload.seq)) * ranks if again.memory.available.best > 0 else 0
    assert found.requests == own
    assert found.fits == (again.starts and own >= batch)
    assert found.start.ranks <= found.count
    if again.starts:
        assert (found.headroom >= 0) == (own >= batch)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(MODELS), st.sampled_from(GPUS), st.sampled_from(("seq", "batch")), st.integers(1, 5))
def test_a_solved_size_is_the_largest(model: str, gpu: str, solve: str, size: int) -> None:
    own: dict[str, Any] = {"batch": size} if solve == "seq" else {"seq": size * 101}
    solution = llmcalc.fit(model, gpu, solve=solve, **own).solution
    assert solution is not None
    if solution.is_unlimited:
        return
    value = solution.value or 0
    assert isinstance(value, int)
    assert not value or llmcalc.fit(model, gpu, **{**own, solve: value}).fits
    with suppress(llmcalc.InputError):  # beyond the learned positions
        assert not llmcalc.fit(model, gpu, **{**own, solve: value + 1}).fits


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(MODELS), st.sampled_from(("h100", "rtx4090", "l40s", "mi300x")), st.sampled_from((512, 8000)))
def test_the_fewest_gpus_are_the_fewest_and_more_are_enough(model: str, gpu: str, seq: int) -> None:
    seq = min(seq, 1000) if model == "gpt2" else seq
    solution = llmcalc.fit(model, gpu, solve="gpus", seq=seq).solution
    assert solution is not None
    if solution.value is None:
        return
    fewest = int(solution.value)
    fits = [llmcalc.fit(model, gpu, count=count, seq=seq).fits for count in range(1, fewest + 14)]
    assert fits == [count >= fewest for count in range(1, fewest + 14)]


@pytest.mark.parametrize(("model", "gpu", "expected"), [
    ("llama3-8b", "h100:8", {"tp": 8}), ("qwen2-0.5b", "h100:8", {"tp": 2, "dp": 4}),
    ("llama3.1-405b", "h100:16", {"tp": 8, "pp": 2}), ("llama3.3-70b", "h100:16", {"tp": 8, "dp": 2}),
    ("minimax-m2", "h200:8", {"tp": 8, "expert_parallel": True}), ("llama3.3-70b", "h100:11", {"tp": 8}),
    ("llama3-8b", "h100", {}),
])  # fmt: skip
def test_the_usual_layout(model: str, gpu: str, expected: dict[str, Any]) -> None:
    found = llmcalc.fit(model, gpu, seq=1024).start
    assert found is not None
    names = ("tp", "pp", "dp", "expert_parallel")
    assert {
        name: found.settings[name] for name in names if (size := found.settings.get(name)) is True or (size or 1) > 1
    } == expected
    assert llmcalc.serve(model, gpu).settings.get("tp", 1) == expected.get("tp", 1)


@pytest.mark.parametrize("count", [1, 6, 7, 11, 24, 999])
def test_layouts_use_at_most_the_gpus_and_begin_with_the_most(count: int) -> None:
    own = deployment(llmcalc.load("mixtral-8x7b"), read_gpus("h100", count), "vllm")
    used = [prod(int(sizes.get(name, 1)) for name in ("tp", "pp", "dp")) for sizes in usual_layouts(own)]
    assert used == sorted(used, reverse=True)
    assert used[0] == (count if count < 8 else min(count, 8 * 32) // 8 * 8)
    assert used[-1] == 1


def test_an_engine_holds_fewer_sequences_of_states_than_its_default() -> None:
    found = llmcalc.fit("nemotron-h-56b", "h100:2", seq=8192)
    assert found.start is not None
    assert found.fits
    assert found.start.settings["max_num_seqs"] <= (found.start.most_states or found.start.blocks).low
    assert "--max-num-seqs" in found.start.line(found.change)


def test_its_own_default_is_the_second_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # as in a terminal that is wide enough
    assert main(["fit", "kimi-k2", "--gpu", "h200:8", "--seq", "8192"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert "fits in vLLM: 1 request of 8,192 tokens at once, at most " in first
    assert second.startswith("vLLM's default of 131,072 tokens will not start: ")
    assert main(["fit", "llama3-8b", "--gpu", "h100", "--seq", "1024"]) == 0
    assert "default" not in capsys.readouterr().out.splitlines()[1]


@pytest.mark.parametrize(("model", "gpu", "own", "reason"), [
    ("bert", "h100", {}, "no KV cache"), ("t5-small", "h100", {}, "encoder-decoder"), ("gpt2", "24GiB", {}, "24GiB"),
    ("gpt2", "h100", {"reserve": 0}, "reserve is a setting of plain memory"),
    ("gpt2", "h100", {"beams": 3}, "beams is"), ("gpt2", "h100", {"extend": True}, "extend is"),
])  # fmt: skip
def test_plain_memory_answers_what_no_engine_has(model: str, gpu: str, own: dict[str, Any], reason: str) -> None:
    found, plain = llmcalc.fit(model, gpu, **own), llmcalc.fit(model, gpu, engine="none", **own)
    assert found.start is None
    assert reason in found.plain
    assert found.to_dict() == {**plain.to_dict(), "plain": found.plain}
    with pytest.raises(llmcalc.InputError, match="engine: cannot answer"):
        llmcalc.fit(model, gpu, engine="vllm", **own)


def test_a_training_step_and_layers_on_the_host_need_no_engine() -> None:
    assert llmcalc.fit("gpt2", "h100", training=True).start is None
    assert llmcalc.fit("llama3-8b", "rtx4090", solve="gpu-layers", weights="q4_k_m").start is None


def test_llama_cpp_counts_the_whole_model_on_the_gpu() -> None:
    found = llmcalc.fit("llama3.1-8b", "rtx4090", weights="q4_k_m", seq=8192, batch=40)
    assert found.start is not None
    assert found.start.engine == "llama.cpp"
    assert found.start.automatic
    assert not found.fits
    assert found.headroom < 0
    assert all(change.result.fits for change in found.changes)
    assert llmcalc.fit("llama3.1-8b", "rtx4090", weights="q4_k_m", seq=8192, batch=2).fits


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_the_command_of_divided_experts_divides_them(engine: str) -> None:
    found = llmcalc.fit("qwen3-30b-a3b", "h100:2", tp=2, ep=2, engine=engine)
    assert found.start is not None
    again = llmcalc.serve(command=found.start.line(found.change), gpu="h100:2")
    assert isinstance(again, Start)
    own = {name: found.start.settings.get(name) for name in ("tp", "ep", "expert_parallel")}
    assert own == {name: again.settings.get(name) for name in own}
    assert (own["ep"], own["expert_parallel"]) == ((None, True) if engine == "vllm" else (2, None))
    assert again.memory.weights == found.start.memory.weights


def test_an_engine_that_divides_experts_over_all_ranks_has_no_other_number_of_parts() -> None:
    found = llmcalc.fit("qwen3-30b-a3b", "h100:4", tp=4, ep=2)
    assert found.start is None
    assert "divides experts over all 4 ranks" in found.plain
    with pytest.raises(llmcalc.InputError, match="divides experts"):
        llmcalc.fit("qwen3-30b-a3b", "h100:4", tp=4, ep=2, engine="vllm")


def test_a_length_beyond_the_model_is_a_verdict_and_no_error() -> None:
    found = llmcalc.fit("gpt2", "h100", seq=2000)
    started = llmcalc.serve("gpt2", "h100", max_model_len=2000)
    assert isinstance(started, Start)
    assert found.start is not None
    assert not found.fits
    assert (
        found.start.reason
        == started.reason
        == "requests of 2,000 tokens exceed the 1,024 learned positions of the model"
    )
    assert [change.settings for change in found.changes] == [{"seq": 1024}]


@pytest.mark.parametrize(("model", "gpu", "seq", "weights"), [
    ("llama3.1-8b", "m4-max-128gb", 8192, None), ("llama3-8b", "rtx4090", 65, "q4_k_m"),
    ("mamba2-2.7b", "l4", 8192, None), ("llama3.1-8b", "h100", 509, None),
])  # fmt: skip
def test_as_many_requests_as_the_answer_states_fit_and_no_more(
    model: str, gpu: str, seq: int, weights: str | None
) -> None:
    most = llmcalc.fit(model, gpu, seq=seq, weights=weights).requests
    assert most
    assert llmcalc.fit(model, gpu, seq=seq, weights=weights, batch=most).fits
    more = llmcalc.fit(model, gpu, seq=seq, weights=weights, batch=most + 1)
    assert not more.fits
    assert more.requests == most


@pytest.mark.parametrize(("model", "gpu", "seq", "batch"), [
    ("llama3.1-8b", "h100", 512, 2000), ("mamba2-2.7b", "l4", 8192, 200), ("gpt2", "l4", 128, 5000),
])  # fmt: skip
def test_the_batch_that_is_offered_is_the_one_that_runs(model: str, gpu: str, seq: int, batch: int) -> None:
    found = llmcalc.fit(model, gpu, seq=seq, batch=batch)
    (offered,) = (change for change in found.changes if change.settings.keys() == {"batch"})
    assert offered.settings["batch"] == offered.result.requests == found.requests


def test_a_start_that_is_only_probable_offers_commands_that_start_for_sure() -> None:
    fit = llmcalc.fit("llama3.3-70b", "a100-sxm-40gb:4")
    assert fit.fits
    assert fit.start is not None
    assert fit.start.verdict == "probably starts"
    document = fit_document(fit)
    assert document.next is not None
    (_, first, *_), *rows = document.next.rows
    assert (first, {row[1] for row in rows}, len(rows)) == ("probably", {"surely"}, 2)
    for command, _, requests in rows:
        started: Any = llmcalc.serve(gpu="a100-sxm-40gb:4", command=command)
        assert started.verdict == "starts"
        assert int(started.to_dict()["requests"]) == int(requests)
    assert llmcalc.fit("llama3.3-70b", "h100:4").surer_starts == ()
