"""Latency of a batch: modes, layouts, the parts of the time, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.architecture import shared_declaration
from llmcalc.core.errors import InputError
from llmcalc.core.record import changed
from llmcalc.report.latency import roofline
from llmcalc.search.latency_changes import latency_changes
from llmcalc.search.space import DISTINCT_GAIN
from llmcalc.serving.latency_times import Latency
from llmcalc.serving.latency_tree import latency_tree


def latency(model: str = "llama3-8b", gpu: str = "h100", **settings: Any) -> Latency:
    return llmcalc.latency(model, gpu, **settings)


@pytest.mark.parametrize("settings", [{}, {"seq": 300}, {"seq": 300, "new_tokens": 50}, {"batch": 9, "context": 77}])
def test_the_parts_are_the_whole(settings: dict[str, Any]) -> None:
    found = latency("mixtral", "h200:4", **settings)
    assert sum(part.seconds for part in found.parts) == pytest.approx(found.seconds)
    assert sum(found.by_bound.values()) == pytest.approx(found.seconds)
    assert sum(part.moved for part in found.parts) == pytest.approx(found.total.moved)
    assert found.low < found.seconds < found.high


@pytest.mark.parametrize("model", ["llama3-8b", "mixtral", "nemotron-h-8b"])
def test_the_parts_are_the_whole_after_many_other_models(model: str) -> None:
    """A model that stays loaded is asked again when the shared declarations of its layers have been given up."""
    architecture = llmcalc.load(model)
    for context in (307, 811):
        found = llmcalc.latency(architecture, "h200:2", context=context)
        shared_declaration.cache_clear()
        assert sum(child.value for child in latency_tree(found).children) == pytest.approx(found.seconds * 1e9)
        shared_declaration.cache_clear()


def test_the_mode_follows_from_the_lengths() -> None:
    assert latency().mode == "decode"
    assert latency(context=5).mode == "decode"
    assert latency(seq=5).mode == "prefill"
    assert latency(new_tokens=5).mode == "generate"
    assert latency("bert").mode == "prefill"
    assert latency().workload.context == 2048
    assert latency("gpt1").workload.context == 511  # of 512 positions
    assert latency("gpt1", new_tokens=100).workload.seq == 412


def test_a_generation_is_a_prefill_and_decode_steps() -> None:
    one, many = latency(seq=100, new_tokens=1), latency(seq=100, new_tokens=101)
    assert one.seconds == latency(seq=100).seconds == one.first_token_s
    steps = [latency(context=length).seconds for length in range(100, 200)]
    assert many.seconds - one.seconds == pytest.approx(sum(steps), rel=1e-4)
    assert many.tokens == 101


def test_the_answer_counts_the_tokens_of_the_batch() -> None:
    found = latency(batch=16)
    assert found.tokens_per_s == pytest.approx(16 / found.seconds)
    assert latency(batch=3, seq=100).tokens == 300
    both = latency("llama3-8b", "h100:2", dp=2, batch=16)
    assert both.seconds == latency(batch=8).seconds  # each rank has half of the sequences


def test_a_generic_gpu_and_an_unknown_engine_widen_the_interval() -> None:
    measured = latency()
    width = measured.high / measured.seconds
    unknown, sibling, generic = latency(engine="my-engine"), latency(gpu="h200"), latency(gpu="mi300x")
    assert unknown.high / unknown.seconds > width
    assert unknown.interval.reasons == ("no measurements of my-engine",)
    assert sibling.high / sibling.seconds == pytest.approx(width)  # whose kernels are the same
    assert generic.high / generic.seconds > width
    assert generic.interval.reasons
    assert any("h100" in name for name in sibling.measured_on)


def test_a_result_does_not_depend_on_earlier_ones() -> None:
    before = latency(context=100).to_dict()
    latency(seq=999)
    assert latency(context=100).to_dict() == before


def test_a_model_that_does_not_fit_is_answered_with_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latency", "llama3-70b", "--gpu", "h100"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("✗ Will not start: weights and activations exceed the memory budget by 62.1")
    assert "\nnext  " in printed
    assert "--weights fp8" in printed
    assert not any(text in printed for text in ("Roofline", "by part", "prefill"))
    assert main(["latency", "llama3-8b", "--gpu", "h100", "--format", "json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["fits"]
    assert result["parts"][0]["bound"] == "memory"


def test_the_memory_is_that_of_fit() -> None:
    generated = latency("mixtral", "h200:4", seq=307, new_tokens=53, batch=6, tp=2, dp=2, weights="fp8")
    mesh = generated.model.mesh
    fit = llmcalc.fit("mixtral", "h200:4", seq=307 + 52, batch=6, weights="fp8", mesh=mesh, engine="none")
    assert generated.memory.needed == fit.needed
    assert generated.memory.usable == fit.usable
    assert latency(context=1009).memory.needed == llmcalc.fit("llama3-8b", "h100", seq=1010, engine="none").needed
    assert latency(context=1009, cache="fp8").memory.needed < latency(context=1009).memory.needed
    most = int(llmcalc.serve("llama3-8b", "h100", max_model_len=1010).pool.requests(1010))
    assert latency(context=1009, batch=most).fits
    assert not latency(context=1009, batch=most + 1).fits
    whole, part = latency("mixtral", "h100:2", weights="fp8"), latency("mixtral", "h100:2", experts="fp8")
    assert part.memory.needed == pytest.approx(whole.memory.needed, rel=0.05)
    assert part.memory.needed > whole.memory.needed


def test_the_engine_is_named_as_its_authors_write_it(capsys: pytest.CaptureFixture[str]) -> None:
    main(["latency", "llama3-8b", "--gpu", "h100", "--engine", "tensorrt-llm", "--all"])
    assert capsys.readouterr().out.splitlines()[2].endswith("in TensorRT-LLM")


def test_the_engine_follows_from_the_hardware_and_the_weights() -> None:
    assert latency().model.engine.name == "vllm"
    assert latency(gpu="m4-max-128gb").model.engine.name == "llama.cpp"
    assert latency(weights="q4_k_m").model.engine.name == latency(weights="q8_0").model.engine.name == "llama.cpp"
    assert latency(weights="awq-int4-g128").model.engine.name == "vllm"
    assert latency(weights="q4_k_m", engine="vllm").model.engine.name == "vllm"


def test_the_quantity_is_the_function() -> None:
    decode = llmcalc.explain("llama3-8b", "latency", gpu="h100:2", mode="decode", context=1009, batch=3, weights="fp8")
    same = latency(gpu="h100:2", context=1009, batch=3, weights="fp8")
    assert decode.tree.value == pytest.approx(same.seconds * 1e9, rel=1e-6)
    assert decode.evidence == {"latency.seconds": "fitted"}
    usual = latency(gpu="h100")
    assert llmcalc.explain("llama3-8b", "latency", gpu="h100").tree.value == pytest.approx(
        usual.seconds * 1e9, rel=1e-6
    )
    (limit,) = llmcalc.check("llama3-8b", max_latency="13ms", gpu="h100").limits
    assert (limit.ours, limit.step) == (round(usual.seconds * 1e9), "decode step")
    (limit,) = llmcalc.check("llama3-8b", max_latency="13ms", gpu="h100", seq=307).limits
    assert (limit.ours, limit.step) == (round(latency(seq=307, gpu="h100").seconds * 1e9), "forward pass")
    over_batch = llmcalc.sweep("llama3-8b", "latency.seconds", "batch=1,3", gpu="h100")
    each = [latency(gpu="h100", batch=batch).seconds for batch in (1, 3)]
    assert over_batch.values["latency.seconds"].tolist() == pytest.approx(each, rel=1e-14)  # powers of NumPy
    assert over_batch.fixed["mode"] == "decode"
    prefill = llmcalc.explain("llama3-8b", "latency", gpu="h100", seq=307)
    assert prefill.tree.value == pytest.approx(latency(seq=307).seconds * 1e9, rel=1e-6)
    swept = llmcalc.sweep("llama3-8b", "latency.seconds", {"tp": [1, 2], "context": [53, 1009]}, gpu="h100:2",
                          mode="decode")  # fmt: skip
    expected = [latency(gpu="h100:2", tp=tp, context=length).seconds for tp in (1, 2) for length in (53, 1009)]
    assert swept.values["latency.seconds"].ravel().tolist() == pytest.approx(expected, rel=1e-14)
    assert swept.fixed["gpu"] == "h100:2"
    gpus = llmcalc.sweep("llama3-8b", ["latency.low", "latency.tokens_per_s"], "gpu=h100,a100-sxm-80gb", seq=307)
    assert gpus.values["latency.low"].tolist() == [latency(gpu=gpu, seq=307).low for gpu in ("h100", "a100-sxm-80gb")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "gpu: missing GPU"),
        ({"gpu": "24GB"}, "gpu: the time depends on the GPU"),
        ({"gpu": "h100", "mode": "train"}, "gpu: has no effect in training"),
        ({"gpu": "h100", "mode": "decode", "seq": 5}, "seq: has no effect in a decode step"),
        ({"gpu": "h100", "mode": "forward", "context": 5}, "context: has no effect in a forward pass"),
        ({"gpu": "h100", "seq": 7, "context": 5}, "context: has no effect in prefill mode"),
    ],
)
def test_the_quantity_refuses(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(llmcalc.InputError, match=message):
        llmcalc.explain("llama3-8b", "latency", **settings)


def test_only_settings_that_help_are_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    def suggested(*words: str) -> list[str]:
        main(["latency", *words, "--format", "plain"])
        lines = capsys.readouterr().out.splitlines()
        return [line.split("  ")[0].strip() for line in lines if line.strip().startswith("--")]

    assert suggested("deepseek-v3", "--gpu", "h200:8") == ["--weights awq-int4-g128", "--batch 8"]  # in FP8 already
    assert suggested("qwen3-8b", "--gpu", "m4-max-128gb") == ["--weights q8_0", "--batch 8"]


def test_a_batch_that_does_not_fit_has_the_changes_of_fit() -> None:
    for batch in (2000, 255):
        asked: dict[str, Any] = {"gpu": "h100", "batch": batch}
        result = latency(**asked)
        found = [*latency_changes(result, asked, lambda change, asked=asked: latency(**{**asked, **change}))]
        changes = llmcalc.fit("llama3-8b", "h100", batch=batch, seq=result.length).changes
        assert len(found) == len(changes) == 3
        for (own, one), (other, _) in zip(found, changes, strict=True):
            assert (own.get("batch"), own.get("weights")) == (other.get("batch"), other.get("weights"))
            assert own.get("gpu") == (f"h100-sxm:{other['count']}" if "count" in other else None)
            assert one.fits


def test_numbers_of_gpus_that_divide_the_model_are_suggested() -> None:
    with pytest.raises(llmcalc.InputError) as error:
        latency(gpu="h100:3", dp=1)
    assert "h100-sxm:2" in error.value.hint
    assert "h100-sxm:4" in error.value.hint


def test_more_tokens_than_the_model_accepts_are_refused_as_by_the_engine(capsys: pytest.CaptureFixture[str]) -> None:
    asked, text = ["latency", "llama3.3-70b", "--gpu", "h100:8"], "equests of 512,001 tokens exceed the 131,072 that"
    assert main([*asked, "--context", "500k"]) == 1
    first = capsys.readouterr().out.replace("\n", " ")
    assert first.startswith(f"✗ R{text}")
    assert "The longest: --context 131071" in first
    assert main([*asked, "--context", "500k", "--engine", "tensorrt-llm"]) == 0
    assert f"! r{text}" in capsys.readouterr().out
    assert main([*asked, "--context", "131071"]) == 0
    assert "exceed" not in capsys.readouterr().out


def test_small_parts_are_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    main(["latency", "llama3-8b", "--gpu", "h100", "--format", "csv"])
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    names = [row[0] for row in rows]
    assert "others" in names
    assert "norm" not in names


def test_the_answer_is_the_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["latency", "llama3-8b", "--gpu", "h100", "--batch", "4"])
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("A decode step takes ")
    assert "tokens/s per user" in first
    main(["latency", "llama3-8b", "--gpu", "h100", "--seq", "1k"])
    assert capsys.readouterr().out.startswith("A prefill of 1,024 tokens takes ")
    main(["latency", "llama3-8b", "--gpu", "h100", "--seq", "1k", "--new-tokens", "99", "--batch", "2"])
    assert capsys.readouterr().out.startswith("Generating 2 × 99 tokens takes ")


@pytest.mark.parametrize("settings", [{}, {"seq": 300}, {"seq": 300, "new_tokens": 50}])
def test_the_tree_derives_the_time_from_bytes_and_flops(settings: dict[str, Any]) -> None:
    found = latency("mixtral", "h100:2", **settings)
    root = latency_tree(found)
    assert root.value == pytest.approx(found.seconds * 1e9, rel=1e-6)
    for _, node in root.walk():
        assert not node.children or sum(child.value for child in node.children) == node.value
        if node.substituted and node.value > 10_000:
            value = eval(node.substituted.replace("·", "*")) * 1e9
            times = node.value / value
            assert times == pytest.approx(1, rel=0.01) or settings  # several steps


@pytest.mark.parametrize(
    "settings", [{}, {"weights": "fp8"}, {"seq": 307, "new_tokens": 5}, {"seq": 307, "new_tokens": 1}]
)
def test_the_roofline_bounds_every_point(settings: dict[str, Any]) -> None:
    found = latency(**settings)
    chart, device = roofline(found, with_parts=True), found.model.device
    peak = max(y for _, y in chart.curves[0].points)
    assert {"prefill", "mlp"} <= {mark.label for mark in chart.marks}
    assert all(mark.y <= min(mark.x * device.bandwidth, peak) * 1.001 for mark in chart.marks)
    steps = {"prefill"} if settings.get("new_tokens") == 1 else {"prefill", "decode"}
    assert {mark.label for mark in roofline(found).marks} == steps


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_shows_the_roofline_in_ascii(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    main(["latency", "llama3-8b", "--gpu", "h100", "--all"])
    printed = capsys.readouterr().out
    lines = printed[printed.index("\nFLOP/s\n") : printed.index("FLOPs per byte")].splitlines()
    rows = [line.partition("|")[2] for line in lines if "|" in line]
    assert all(line.isascii() and len(line) <= min(width, 80) for line in lines)
    drawn = "".join(rows)
    assert [drawn.count(text) for text in ("decode", "prefill", "o")] == [1, 1, len(("decode", "prefill")) + 1]
    heights = {column: at for at, row in enumerate(rows) for column, sign in enumerate(row) if sign in ".-'"}
    roof = [heights[column] for column in sorted(heights)]
    assert roof == sorted(roof, reverse=True)  # rises to the right
    assert roof[0] >= len(rows) - 2
    assert roof[-1] <= 1
    decode = next(at for at, row in enumerate(rows) if "decode" in row)
    assert decode > next(at for at, row in enumerate(rows) if "prefill" in row)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "memory size": ({"gpu": "24GB"}, "gpu: the time depends on the GPU"),
    "heads": ({"gpu": "h100:3", "dp": 1}, "gpu: tensor parallelism over 3 GPUs is not possible"),
    "heads of given ranks": ({"gpu": "h100:3", "tp": 3}, "tp: tp \\(3\\) does not divide n_heads"),
    "too many ranks": ({"gpu": "h100:2", "tp": 4}, "tp: the layout needs 4 GPUs, and there are 2"),
    "experts of a dense model": ({"gpu": "h100:2", "ep": 2}, "ep: has no effect on llama3-8b"),
    "expert format of a dense model": ({"experts": "fp8"}, "experts: has no effect on llama3-8b"),
    "length of another mode": ({"mode": "decode", "seq": 5}, "seq: has no effect in decode mode"),
    "context of a prefill": ({"seq": 5, "context": 5}, "context: has no effect in prefill mode"),
    "unknown format": ({"weights": "fp7"}, "unknown number format"),
    "unknown mode": ({"mode": "train"}, "mode"),
    "batch of nothing": ({"batch": 0}, "batch"),
    "encoder": ({"model": "bert", "mode": "decode"}, "is an encoder"),
    "expert ranks": ({"model": "mixtral", "gpu": "h100:8", "ep": 3}, "ep"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_possible_is_refused(name: str) -> None:
    settings, message = REFUSED[name]
    with pytest.raises(llmcalc.InputError, match=message):
        latency(**settings)


@pytest.mark.parametrize(
    "settings", [{"model": "gpt1", "context": 512}, {"model": "gpt1", "seq": 500, "new_tokens": 20}]
)
def test_a_sequence_beyond_the_learned_positions_is_an_answer_without_times(settings: dict[str, Any]) -> None:
    result = latency(**settings)
    assert "tokens exceed the 512 learned positions" in result.refusal
    assert (result.fits, result.to_dict()["seconds"]) == (False, None)
    assert not latency("gpt1", context=511).workload.extend


def test_experts_on_ranks_with_different_tokens_gather_all_tokens() -> None:
    alone, shared = latency("mixtral", "h200:4", batch=64, tp=4), latency("mixtral", "h200:4", batch=64, dp=4)
    both = {part.name: part for part in alone.parts}, {part.name: part for part in shared.parts}
    assert both[0]["routed experts"].seconds == pytest.approx(both[1]["routed experts"].seconds)
    assert "all-reduce (etp)" in both[1]


def test_a_calibration_changes_the_times_and_narrows_the_interval() -> None:
    row = {"model": "gpt2", "gpu": "h100", "isl": 101, "osl": 53, "concurrency": 7}
    usual = llmcalc.serve("gpt2", "h100", isl=101, osl=53, concurrency=7).tpot_s
    assert usual is not None
    own = llmcalc.calibrate([{**row, "tpot_s": 1.5 * usual}])
    settings: dict[str, Any] = {"batch": 3, "seq": 101, "new_tokens": 53}
    before, after = (llmcalc.latency("gpt2", "h100", **settings, **more) for more in ({}, {"calibration": own}))
    factors = own.deployments[0].factors
    (prefill, _), *decoded = before.steps
    usual_s = before.model.engine.step_s
    kernels = sum(times * (step.seconds - step.engine) for step, times in decoded)
    expected = factors.decode * kernels + factors.prefill * (prefill.seconds - prefill.engine)
    expected += 53 * (factors.step_s - usual_s) + sum(times * step.engine for step, times in before.steps)
    assert after.seconds == pytest.approx(expected)
    assert after.high / after.seconds < before.high / before.seconds
    assert sum(part.seconds for part in after.parts) == pytest.approx(after.seconds)


def test_a_calibration_finds_its_model_by_what_it_computes() -> None:
    row = {"model": "gpt2", "gpu": "h100", "isl": 101, "osl": 53, "concurrency": 7, "tpot_ms": 3}
    own, copy = llmcalc.calibrate([row]), changed(llmcalc.load("gpt2"), name="my-model")
    assert llmcalc.latency(copy, "h100", calibration=own).measured is not None
    with pytest.raises(InputError, match="differs from the measured"):
        llmcalc.latency(llmcalc.load("gpt2", overrides=["n_layers=7"]), "h100", calibration=own)


def test_assumed_figures_of_a_gpu_are_named() -> None:
    assert llmcalc.latency("gpt2", "h100").model.assumed == ()
    (sms,) = llmcalc.latency("gpt2", "rx-7900-xtx").model.assumed
    assert "128 multiprocessors" in sms


@pytest.mark.parametrize("sizes", [{"context": 101}, {"seq": 211}])
def test_arrays_of_batches_have_the_times_of_pipeline_stages(sizes: dict[str, int]) -> None:
    batches = [1, 2, 3, 7]
    one, *others = (llmcalc.latency("deepseek-v3", "h200:16", tp=8, pp=2, batch=batch, **sizes) for batch in batches)
    found = one.part_on("seconds", {"batch": np.array(batches)})
    assert found == pytest.approx([one.seconds, *(each.seconds for each in others)])
    assert found[1] > 1.2 * found[0]  # the second batch waits for the first one


SIZES = st.lists(st.integers(1, 5003), min_size=1, max_size=3, unique=True).map(sorted)


@settings(max_examples=30, deadline=None)
@given(
    case=st.sampled_from([("llama3-8b", "h100:2", {"tp": 2}), ("mixtral", "h200:4", {"tp": 2, "dp": 2, "ep": 4}),
                          ("deepseek-v3", "b200-180gb:8", {"tp": 8}), ("jamba", "h100:8", {"tp": 8}),
                          ("gemma3-4b", "rtx-4090", {}), ("qwen3-235b-a22b", "h100-sxm:8", {})]),
    batches=SIZES, lengths=SIZES, part=st.sampled_from(["seconds", "low", "high", "tokens_per_s"]),
    mode=st.sampled_from(["decode", "forward"]),
)  # fmt: skip
def test_a_sweep_over_arrays_has_the_values_of_each_point(
    case: tuple[str, str, dict[str, int]], batches: list[int], lengths: list[int], part: str, mode: str
) -> None:
    name, gpu, layout = case
    length = "context" if mode == "decode" else "seq"
    over = {"batch": batches, length: lengths}
    found = llmcalc.sweep(name, f"latency.{part}", over=over, gpu=gpu, mode=mode, **layout).values[f"latency.{part}"]
    for row, batch in enumerate(batches):
        for column, size in enumerate(lengths):
            sizes: dict[str, Any] = {"batch": batch, length: size, **layout}
            one = llmcalc.latency(name, gpu, mode="decode" if mode == "decode" else "prefill", **sizes)
            assert found[row, column] == pytest.approx(getattr(one, part), rel=1e-12)


def test_a_sweep_has_the_fastest_layout_at_each_point() -> None:
    model, gpu, batches = llmcalc.load("qwen3-235b-a22b"), "h100-sxm:8", [1, 256]
    each = [llmcalc.latency(model, gpu, batch=batch) for batch in batches]
    assert each[0].model.mesh != each[1].model.mesh
    found = llmcalc.sweep(model, "latency.seconds", over={"batch": batches}, gpu=gpu)
    assert [*found.values["latency.seconds"]] == pytest.approx([one.seconds for one in each])


def test_the_points_of_a_sweep_with_a_layout_each_are_limited() -> None:
    sizes = {"batch": range(1, 1002)}
    with pytest.raises(llmcalc.InputError, match="too many points") as caught:
        llmcalc.sweep("mixtral", "latency.seconds", over=sizes, gpu="h100:8")
    assert "{tp}" in caught.value.hint
    assert (
        len(llmcalc.sweep("mixtral", "latency.seconds", over=sizes, gpu="h100:8", tp=8).values["latency.seconds"])
        == 1001
    )


def test_a_suggestion_for_very_many_gpus_is_found_at_once() -> None:
    with pytest.raises(llmcalc.InputError, match="not possible") as caught:
        llmcalc.latency("mixtral", "h100:999999", dp=1)
    assert "{gpu=h100-sxm:32}" in caught.value.hint


def test_earlier_versions_of_vllm_take_longer_with_sequences_and_ranks() -> None:
    def engine_s(version: str | None, **more: Any) -> float:
        step = latency(context=97, engine_version=version, **more).steps[0][0]
        return float(step.engine)

    assert engine_s("0.8") == engine_s("0.11.0") == engine_s(None)
    assert engine_s("0.6.3.post1") == engine_s("v0.7.3")
    for name, more in {"batch": {"batch": 131}, "tp": {"gpu": "h100:4", "tp": 4}}.items():
        new, old = (engine_s(version, **more) - engine_s(version) for version in (None, "0.6"))
        assert old > 5 * new, name
    alone, four = engine_s("0.6"), engine_s("0.6", gpu="h100:4", tp=2, dp=2)
    assert four - alone == pytest.approx((engine_s("0.6", gpu="h100:4", tp=4) - alone) / 3)  # of one rank more
    with pytest.raises(InputError, match=r"times of vllm 0\.5 are not described"):
        latency(engine_version="0.5")
    with pytest.raises(InputError, match="has no effect on the times of sglang"):
        latency(engine="sglang", engine_version="0.5")
    with pytest.raises(InputError, match="invalid version"):
        latency(engine_version="newest")


def test_stages_compute_parts_of_a_batch_at_once() -> None:
    def staged(batch: int, pp: int, **more: Any) -> Latency:
        return latency("llama3-70b", f"h200:{pp}", batch=batch, tp=1, pp=pp, **more)

    alone, two = staged(1, 1), staged(1, 2)
    send = {part.name: part.seconds for part in two.parts}["send (pp)"]
    assert two.seconds == pytest.approx(alone.seconds + send)  # nothing to divide
    half, whole = staged(32, 1, seq=509), staged(64, 2, seq=509)
    assert whole.seconds - 1.5 * whole.steps[0][0].collectives["send (pp)"] == pytest.approx(1.5 * half.seconds)
    decode, part = staged(64, 2, context=97), staged(32, 1, context=97)
    share = decode.model.engine.stage_wait
    sent = decode.steps[0][0].collectives["send (pp)"]
    assert decode.seconds == pytest.approx((part.seconds + sent) * (1 + share))
    assert decode.interval.reasons == ("no measurements of pipeline stages",)
    assert decode.memory.needed < part.memory.needed


def test_stages_on_other_nodes_send_more_slowly() -> None:
    def sent(gpu: str, tp: int) -> float:
        return float(latency("llama3.1-405b", gpu, tp=tp, pp=2, batch=97).steps[0][0].collectives["send (pp)"])

    assert sent("h200:16", 8) > 2 * sent("h200:8", 4)


@pytest.mark.parametrize(("model", "batch"), [("llama3.1-405b", 211), ("deepseek-v3", 1), ("deepseek-v3", 211)])
def test_the_default_over_several_nodes_is_the_fastest_layout(model: str, batch: int) -> None:
    default, tensor = latency(model, "h100:16", batch=batch), latency(model, "h100:16", batch=batch, tp=16)
    assert default.fits
    assert default.seconds < tensor.seconds
    mesh = default.model.mesh
    sizes = {name: getattr(mesh, name) for name in ("tp", "pp", "dp", "ep")}
    assert mesh.ranks == 16
    assert latency(model, "h100:16", batch=batch, **sizes).seconds == default.seconds


@pytest.mark.parametrize(("model", "gpu", "batch", "engine"), [
    ("llama3.1-405b", "h200:8", 211, "vllm"), ("deepseek-v3", "h200:8", 1, "vllm"),
    ("deepseek-v3", "h200:8", 64, "vllm"), ("deepseek-v3", "h200:8", 211, "sglang"),
    ("deepseek-v3", "h200:8", 211, "torch-compile"),
    ("llama3.1-8b", "h100:8", 64, "vllm"), ("llama3.1-8b", "h100:3", 5, "vllm"), ("llama3.1-70b", "h100:16", 7, "vllm"),
])  # fmt: skip
@pytest.mark.parametrize("new_tokens", [None, 300])
def test_the_default_layout_is_as_fast_for_the_batch_as_that_of_serve(
    model: str, gpu: str, batch: int, engine: str, new_tokens: int | None
) -> None:
    lengths = {"seq": 1009, "new_tokens": new_tokens} if new_tokens else {"context": 1009}
    found = latency(model, gpu, batch=batch, engine=engine, **lengths)
    served: Any = llmcalc.serve(model, gpu, isl=1009, osl=new_tokens or 128, concurrency=batch, engine=engine)
    assert served.point.replicas == 1
    sizes = {name: getattr(served.mesh, name) for name in ("tp", "dp", "pp", "ep")}
    same = latency(model, gpu, batch=batch, engine=engine, **lengths, **sizes)
    assert found.fits >= same.fits
    assert found.seconds <= (DISTINCT_GAIN if found.is_usual else 1) * same.seconds


@pytest.mark.parametrize(("gpu", "batch"), [("h200:8", 4), ("h200:16", 8)])
def test_the_default_layout_runs_all_sequences_and_is_the_fastest(gpu: str, batch: int) -> None:
    lengths: dict[str, Any] = {"seq": 7692, "new_tokens": 500, "batch": batch}
    found = latency("kimi-k2", gpu, **lengths)
    served: Any = llmcalc.serve("kimi-k2", gpu, isl=7692, osl=500, concurrency=batch)
    assert found.fits
    for sizes in ({"tp": 8}, {"tp": 8, "pp": 2}, {"tp": 8, "dp": 2}, {"tp": 4, "dp": 4, "ep": 16}):
        with suppress(llmcalc.LlmcalcError):
            given = latency("kimi-k2", gpu, **lengths, **sizes)
            assert not given.fits or found.seconds <= DISTINCT_GAIN * given.seconds
            other: Any = llmcalc.serve("kimi-k2", gpu, isl=7692, osl=500, concurrency=batch, **sizes)
            assert not other.fits or other.time.requests_per_s <= DISTINCT_GAIN * served.time.requests_per_s


def test_experts_are_divided_if_many_sequences_pay_for_it() -> None:
    few, many = (latency("deepseek-v3", "h200:8", batch=batch).model.mesh for batch in (1, 211))
    assert (few.tp, few.dp, few.ep) == (8, 1, 1)
    assert many.ep == 8
    given = latency("deepseek-v3", "h200:8", batch=64, tp=8).model.mesh
    assert (given.tp, given.ep) == (8, 1)


def test_replicas_that_share_no_experts_are_no_layout_of_one_batch() -> None:
    served: Any = llmcalc.serve("qwen3-moe-30b-a3b", "h100:2", isl=2048, osl=128, concurrency=512)
    found = latency("qwen3-moe-30b-a3b", "h100:2", batch=512)
    assert found.model.mesh.ranks == found.count == served.point.used == 2


def test_stages_divide_the_layers() -> None:
    with pytest.raises(InputError, match="at most 32 pipeline stages"):
        latency(gpu="h100:40", tp=1, pp=40)
    with pytest.raises(InputError, match="at most 1 pipeline stage"):
        latency("t5-11b", "h100:2", tp=1, pp=2)
    with pytest.raises(InputError, match="the layout needs 6 GPUs"):
        latency(gpu="h100:4", tp=2, pp=3)


def test_llama_cpp_reads_weights_as_measured_on_a_generation_of_gpus() -> None:
    """83 % of 256 GB/s on RDNA 3.5, and 60 % of 960 GB/s on other GPUs of AMD."""
    for gpu, share in (("strix-halo-128gb", 0.83), ("rx-7900-xtx", 0.6)):
        found = latency("llama2-7b", gpu, weights="q4_0", context=97, engine="llama.cpp")
        assert found.model.engine.reading_share("", found.accelerator) == share
        parts = {part.name: part for part in found.parts}
        head = parts["head"]
        assert head.moved / head.seconds == pytest.approx(share * found.accelerator.bandwidth)


def test_llama_cpp_has_the_formats_of_published_files_by_default() -> None:
    default, named, checkpoint = (
        latency("gpt-oss-20b", "rtx-4090", engine=engine, **formats)
        for engine, formats in (
            ("llama.cpp", {}), ("llama.cpp", {"weights": "mxfp4_moe"}), ("vllm", {}),
        )
    )  # fmt: skip
    assert default.seconds == named.seconds
    assert default.memory.needed == named.memory.needed < checkpoint.memory.needed
    wide = latency("gpt-oss-20b", "rtx-4090", engine="llama.cpp", weights="bf16")
    assert wide.total.moved > 2 * default.total.moved


def test_the_roofline_has_room_for_a_long_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["latency", "mixtral", "--gpu", "h200:4", "--tp", "2", "--engine", "tensorrt-llm"]
    assert main([*asked, "--new-tokens", "5", "--seq", "1000003", "--all"]) == 0
    assert "prefill" in capsys.readouterr().out


@pytest.mark.parametrize("gpu", ["rtx-a6000", "h100-pcie", "strix-halo-128gb"])
def test_products_of_llama_cpp_reach_a_share_of_the_peak(gpu: str) -> None:
    """The products of a prompt take at least their FLOPs at the rate of the engine. Another engine has no such rate."""
    prompt: dict[str, Any] = {"gpu": gpu, "weights": "q8_0", "mode": "prefill", "seq": 1021}
    own, other = (latency("llama3-8b", engine=engine, **prompt) for engine in ("llama.cpp", "sglang"))
    rate = own.model.engine.computing_rate(own.accelerator, "q8_0")
    assert rate is not None
    assert rate < own.accelerator.peak["int8"]
    assert own.seconds > 2 * 1021 * 32 * 218_103_808 / rate  # 32 layers
    assert other.model.engine.computing_rate(other.accelerator, "q8_0") is None


def test_products_of_llama_cpp_in_fp16_have_sums_in_fp16() -> None:
    own = latency("llama3-8b", "rtx-3090", engine="llama.cpp", weights="fp16", mode="prefill", seq=1021)
    engine, card = own.model.engine, own.accelerator
    share = engine.computing[card.generation]["fp16"]
    assert engine.computing_rate(card, "fp16") == share * card.fp16_accumulate["fp16"] > 0.8 * card.peak["fp16"]
    assert engine.computing_rate(card, "bf16") == engine.computing_rate(card, "q4_k_m") == 0.18 * card.peak["int8"]
    others = [latency("llama3-8b", "rtx-3090", engine="llama.cpp", weights=name, mode="prefill", seq=1021)
              for name in ("q4_k_m", "bf16")]  # fmt: skip
    assert own.seconds < min(each.seconds for each in others)


def test_one_sequence_reads_weights_at_the_bandwidth() -> None:
    found = latency("llama3-8b", "rtx4090", weights="q4_k_m", engine="llama.cpp")
    parts = {part.name: part for part in found.parts}
    assert parts["mlp"].moved / parts["mlp"].seconds == pytest.approx(0.93 * found.accelerator.bandwidth, rel=0.01)


@pytest.mark.parametrize("name", ["tp", "pp", "dp"])
def test_a_layout_with_too_many_ranks_names_its_setting(name: str) -> None:
    with pytest.raises(InputError, match="the layout needs 4 GPUs, and there are 2") as error:
        llmcalc.latency("llama3.1-8b", "h100:2", **{"tp": 1, name: 4})
    assert error.value.parameter == name


def test_replicas_with_one_sequence_each_fill_one_stage_at_a_time() -> None:
    run: dict[str, Any] = {"mode": "prefill", "seq": 1009, "pp": 2}
    one, two = (llmcalc.latency("llama3.1-8b", f"h100:{2 * n}", **run, dp=n, batch=n) for n in (1, 2))
    assert one.seconds == pytest.approx(two.seconds)


def test_a_prefill_computes_the_logits_of_the_last_token() -> None:
    found = llmcalc.latency("llama3.1-8b", "h100", mode="prefill", seq=1009, batch=3)
    assert found.workload.logits == "last"
    (head,) = (part for part in found.parts if part.name == "head")
    assert head.flops == 2 * 3 * 4096 * 128_256


@pytest.mark.parametrize(("batch", "context"), [(1, 2000), (8, 2000), (1, 30_000)])
def test_layers_that_llama_cpp_moves_to_the_host_have_no_times(batch: int, context: int) -> None:
    own = {"engine": "llama.cpp", "weights": "q4_k_m", "batch": batch}
    found = llmcalc.latency("llama3.3-70b", "rtx4090:2", context=context, **own)
    assert found.fits == llmcalc.fit("llama3.3-70b", "rtx4090:2", seq=context, **own).fits
    if not found.fits:
        assert "of 81 layers on the GPUs" in found.refusal
        assert found.to_dict()["seconds"] is None


def test_a_mac_names_the_memory_that_programs_have() -> None:
    found = llmcalc.latency("llama3.3-70b", "MacBook Pro M4 Max 64GB")
    assert found.refusal.endswith("exceed the 57.60 GiB that programs have of the unified memory")
