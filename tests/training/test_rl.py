"""Phases of a step of reinforcement learning, as sums of the memory of training and serving."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
import llmcalc.training.rl
from llmcalc.core.errors import InputError
from llmcalc.core.evidence import ASSUMED
from llmcalc.report.rl import rl_document

MODEL = "qwen2.5-1.5b"
SIZES: dict[str, Any] = {"prompt": 131, "completion": 389, "completions": 7, "micro_batch": 3}


def parts(result: llmcalc.training.rl.RlMemory, phase: str) -> dict[str, int]:
    return dict(next(one for one in result.phases if one.name == phase).parts)


def trained(result: llmcalc.training.rl.RlMemory) -> int:
    return sum(parts(result, "training").values())


def test_training_is_the_step_of_memory() -> None:
    result = llmcalc.rl(MODEL, "h100", **SIZES, sleep=2, recompute="full")
    step = llmcalc.memory(MODEL, mode="training", batch=3, seq=131 + 389, recompute="full")
    own = parts(result, "training")
    assert sum(own.values()) == step.peak
    assert own["weights"] + own["optimizer"] == step.weights + step.optimizer
    assert result.peak == max(phase.total for phase in result.phases)
    assert result.largest.name == "rollout"
    assert llmcalc.rl(MODEL, "h100", **{**SIZES, "micro_batch": 31}, sleep=2).largest.name == "training"


def test_the_engine_takes_its_share_while_it_is_awake() -> None:
    awake, asleep = (llmcalc.rl(MODEL, "h100", **SIZES, sleep=level, share=0.23) for level in (0, 2))
    budget = awake.engine.memory.budget
    assert budget == int(awake.gpu_memory * 0.23)
    assert [parts(awake, phase.name)["rollout engine"] for phase in awake.phases] == [budget] * 4
    assert [parts(asleep, phase.name).get("rollout engine", 0) for phase in asleep.phases] == [
        budget, 0, 0, asleep.engine.memory.weights.best,
    ]  # fmt: skip
    assert trained(awake) - trained(asleep) == budget
    assert awake.at_once == int(awake.engine.concurrency.best)
    assert awake.engine.max_model_len == 131 + 389


def test_levels_of_sleep_and_offloading_use_host_memory() -> None:
    discarded, moved, both = (
        llmcalc.rl(MODEL, "h100", **SIZES, **more)
        for more in ({"sleep": 2}, {"sleep": 1}, {"sleep": 1, "offload": True})
    )
    states = discarded.training.weights + discarded.training.optimizer
    weights = discarded.engine.memory.weights.best
    assert [discarded.host, moved.host, both.host] == [0, weights, weights + states]
    assert parts(both, "rollout") == {"rollout engine": both.engine.memory.budget}
    assert parts(both, "training") == parts(moved, "training")


def test_a_reference_model_is_the_model_without_its_adapters() -> None:
    plain, own, shared = (
        llmcalc.rl(MODEL, "h100", **SIZES, sleep=2, **more)
        for more in ({}, {"reference": True}, {"reference": True, "lora_rank": 11})
    )
    assert trained(own) - trained(plain) == plain.training.weights
    assert own.peak - plain.peak == plain.training.weights
    assert "reference model" not in parts(shared, "training")
    assert trained(shared) == llmcalc.memory(MODEL, mode="training", batch=3, seq=520, lora_rank=11).peak


def test_ppo_adds_a_critic_and_a_reward_model() -> None:
    grpo, ppo = (llmcalc.rl(MODEL, "h200", **SIZES, sleep=2, algorithm=name) for name in ("grpo", "ppo"))
    training = grpo.training
    assert ppo.peak - grpo.peak == 3 * training.weights + training.optimizer  # reference, reward model and critic
    assert [phase.name for phase in ppo.phases] == [
        "rollout", "log-probabilities", "training", "critic training", "weight update",
    ]  # fmt: skip


def test_separate_gpus_have_no_engine() -> None:
    apart = llmcalc.rl(MODEL, "h100", **SIZES, rollout="separate")
    asleep = llmcalc.rl(MODEL, "h100", **SIZES, sleep=2)
    assert [phase.name for phase in apart.phases] == ["log-probabilities", "training"]
    assert apart.peak == trained(asleep)
    for more in ({"sleep": 1}, {"offload": True}):
        with pytest.raises(InputError, match="has no effect with separate GPUs"):
            llmcalc.rl(MODEL, "h100", rollout="separate", **more)


def test_an_engine_on_gpus_of_its_own_has_its_own_share_and_they_are_counted() -> None:
    apart = llmcalc.rl(MODEL, "h100:4", **SIZES, rollout="separate", engine_tp=2)
    alone = llmcalc.serve(MODEL, "h100", tp=2, max_model_len=sum(SIZES[name] for name in ("prompt", "completion")))
    assert apart.engine.settings["share"] == apart.settings["share"] == alone.settings["share"] > 0.8
    assert apart.engine.memory.budget == alone.memory.budget
    assert (apart.count, apart.engine_gpus, apart.to_dict()["engine_gpus"]) == (4, 2, 2)
    assert "on each of 4, and the engine on 2 more GPUs" in apart.summary
    assert "and 2 for the engine, with rollouts in vLLM" in rl_document(apart).subtitle[0]
    shared = llmcalc.rl(MODEL, "h100:4", **SIZES)
    assert (shared.settings["share"], shared.engine_gpus) == (0.3, 0)
    assert llmcalc.rl(MODEL, "h100", **SIZES, rollout="separate", share=0.4).settings["share"] == 0.4


def test_longer_completions_and_larger_micro_batches_need_more() -> None:
    peaks = [
        trained(llmcalc.rl(MODEL, "h100", prompt=101, completion=length, micro_batch=batch, sleep=2))
        for length, batch in ((211, 2), (211, 5), (1009, 5))
    ]
    assert peaks == sorted(set(peaks))
    logits = [dict(llmcalc.rl(MODEL, "h100", prompt=101, completion=length).phases[1].parts)["forward pass"]
              for length in (211, 423)]  # fmt: skip
    assert logits[1] > logits[0] * 1.6


def test_the_default_micro_batch_is_a_group_and_zero_divides_the_states() -> None:
    result = llmcalc.rl(MODEL, "h100", completions=5, dp=4, zero=3, sleep=2)
    step = llmcalc.memory(MODEL, mode="training", batch=5, seq=512 + 256, mesh=llmcalc.Mesh(dp=4, zero=3))
    assert result.settings["micro_batch"] == 5
    assert trained(result) == step.peak
    assert set(result.evidence.values()) == {ASSUMED}
    assert (
        "GiB short" in llmcalc.rl("llama3-70b", "h100").summary
        or "will not start" in llmcalc.rl("llama3-70b", "h100").summary
    )


@pytest.mark.parametrize("wrong", [{"sleep": 3}, {"share": 0}, {"algorithm": "dpo"}, {"completions": 0}, {"page": 16}])
def test_invalid_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        llmcalc.rl(MODEL, "h100", **wrong)


def test_the_summary_says_what_does_not_fit() -> None:
    assert "GiB short in the phase" in llmcalc.rl("qwen2.5-7b", "h100").summary
    large = llmcalc.rl("llama3-70b", "h100", lora_rank=7, weights="nf4")
    assert large.summary.startswith("the rollout engine will not start: weights and activations exceed")
    assert (large.fits, large.at_once) == (False, 0)


def test_several_gpus_divide_the_states_as_in_fit() -> None:
    several, ranks = llmcalc.rl(MODEL, "h100:4", **SIZES), llmcalc.rl(MODEL, "h100", **SIZES, dp=4, zero=3)
    assert several.to_dict() == ranks.to_dict()
    assert several.count == 4
    assert llmcalc.rl(MODEL, "80GiB:4", **SIZES).training.mesh == several.training.mesh
    assert "on each of 4" in several.summary
    with pytest.raises(InputError, match="the mesh has 2 ranks, but there are 4 GPUs"):
        llmcalc.rl(MODEL, "h100:4", dp=2)


def test_the_summary_states_the_headroom() -> None:
    result = llmcalc.rl(MODEL, "h100", **SIZES, sleep=2)
    assert result.summary == f"fits, {result.headroom / 2**30:.2f} GiB to spare; peak: {result.largest.name}"
    assert result.changes == ()


@pytest.mark.parametrize(
    ("model", "gpu", "more"),
    [
        (MODEL, "h100", {"completion": 1009}), ("qwen2.5-7b", "h100", {"rollout": "separate"}),
        ("qwen2.5-7b", "80GiB:2", {"dp": 2}), ("llama3-70b", "h100", {}),
        ("qwen2.5-7b", "h100", {"lora_rank": 7, "micro_batch": 31}),
    ],
)  # fmt: skip
def test_changes_fit_and_each_of_their_settings_is_needed(model: str, gpu: str, more: dict[str, Any]) -> None:
    result = llmcalc.rl(model, gpu, **more)
    assert not result.fits
    assert 1 <= len(result.changes) <= 3
    for change in result.changes:
        settings = {"gpu": gpu, **more, **change.settings}
        assert llmcalc.rl(model, **settings).fits
        assert change.result.headroom >= 0
        for name in {"sleep", "loss", "recompute", "offload", "micro_batch"} & change.settings.keys():
            fewer = {key: value for key, value in settings.items() if key != name or key in more}
            assert not llmcalc.rl(model, **{**fewer, **({name: more[name]} if name in more else {})}).fits


def test_the_report_states_the_gpus_and_the_training() -> None:
    result = llmcalc.rl(MODEL, "h100:4", lora_rank=7, weights="nf4", optimizer="muon", recompute="full")
    document = rl_document(result)
    assert document.subtitle[0].endswith("on 4 × NVIDIA H100 SXM5 80GB, with rollouts in vLLM")
    assert "training: muon · attention flash · recompute full · lora rank 7 · weights nf4" in document.subtitle
    assert "4 ranks: dp 4 · zero 3; values per rank" in document.subtitle
    inputs = document.data()["inputs"]
    assert (inputs["accelerator"]["name"], inputs["count"]) == ("h100-sxm", 4)
    assert inputs["recipe"]["adapters"]["rank"] == 7
    assert (inputs["mesh"]["zero"], inputs["policy"]["recompute"]) == (3, "full")


def test_the_report_of_a_step_that_does_not_fit_lists_changes() -> None:
    result = llmcalc.rl(MODEL, "h100", completion=1009)
    document = rl_document(result)
    assert document.tables[0].title == "fits with"
    assert [row[1] for row in document.tables[0].rows] == [change.result.headroom for change in result.changes]
    assert len(document.data()["result"]["fits_with"]) == len(result.changes)


@pytest.mark.parametrize("name", ["completions", "prompt", "completion", "sleep", "offload"])
def test_none_is_no_value(name: str) -> None:
    with pytest.raises(InputError, match="must not be None"):
        llmcalc.rl(MODEL, "h100", **{name: None})


def test_an_engine_that_does_not_run_on_the_gpu_refuses() -> None:
    result = llmcalc.rl(MODEL, "m4-max-40c-128gb")
    assert not result.fits
    assert result.changes == ()
    assert result.summary == "vLLM generates the completions, and it does not run on Apple GPUs"


def test_what_is_in_unified_memory_counts() -> None:
    """The DGX Spark has no other memory for the states, and an H100 has that of its host."""
    spark, other = (llmcalc.rl(MODEL, gpu, offload=True) for gpu in ("gb10", "h100"))
    shared = spark.accelerator.shared_bytes if spark.accelerator else None
    assert spark.host == other.host > 0
    assert shared is not None
    assert spark.headroom == shared - spark.peak - spark.host < spark.gpu_memory - spark.peak
    assert other.headroom == other.gpu_memory - other.peak


@pytest.mark.parametrize(("given", "used"), [({}, "bf16"), ({"dtype": "fp16"}, "fp16"), ({"dtype": "fp32"}, "fp32")])
def test_the_engine_computes_in_the_format_of_the_training(given: dict[str, str], used: str) -> None:
    result = llmcalc.rl(MODEL, "h200", **SIZES, **given)
    assert result.engine.settings["dtype"] == used
    usual = llmcalc.serve(MODEL, "h200", dtype=used, max_model_len=131 + 389).memory.weights.best
    assert result.engine.memory.weights.best == usual
