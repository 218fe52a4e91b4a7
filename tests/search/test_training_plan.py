"""The best layout of a training step: equal to ``step_time`` and ``memory``, and complete."""

from __future__ import annotations

from functools import cache
from itertools import pairwise, product
from math import exp
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.core.errors import InputError, LlmcalcError
from llmcalc.data import table
from llmcalc.inputs.training_settings import LAYOUT_NAMES
from llmcalc.kernels.interval import QUANTILE
from llmcalc.report.plan import plan_document
from llmcalc.search.training_plan import PlannedLayout, TrainingPlan, launch
from llmcalc.search.training_space import RECOMPUTATIONS

CASES = {  # a dense model with a number of layers that no number of stages divides, and one with experts
    "dense": ("llama3-8b", ["n_layers=13"], "h100:24", 48, 2048),
    "experts": ("mixtral-8x7b", ["n_layers=6"], "h100:16", 32, 4096),
}


@cache
def plan_of(case: str) -> TrainingPlan:
    name, overrides, gpu, sequences, seq = CASES[case]
    model = llmcalc.load(name, overrides=overrides)
    return llmcalc.plan(model, gpu, batch_tokens=sequences * seq, seq=seq, include={"pp": 2})


def settings_of(plan: TrainingPlan, at: int) -> tuple[dict[str, Any], float, int]:
    """Return a layout that fits or not, with its time and memory."""
    count = len(plan.layouts)
    layouts, place = (plan.layouts, at) if at < count else (plan.others, at - count)
    return layouts.row(place), float(layouts.seconds[place]), int(layouts.memory_bytes[place])


def memory_of(case: str, row: dict[str, Any]) -> int:
    name, overrides, _, sequences, seq = CASES[case]
    own = {key: value for key, value in row.items() if key not in ("micro_batch", "recompute", "zero_group")}
    batches = sequences // row["dp"] // row["micro_batch"]
    if row.get("zero_group"):
        own["dp"] = row["zero_group"] // row["cp"]
    mesh = llmcalc.Mesh(**own, micro_batches=batches)
    found = llmcalc.memory(
        llmcalc.load(name, overrides=overrides), mode="training", seq=seq, batch=row["micro_batch"],
        recompute=row["recompute"], mesh=mesh,
    )  # fmt: skip
    return int(found.peak)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(sorted(CASES)), st.integers(0, 10**9))
def test_layouts_have_the_time_and_the_memory_of_single_ones(case: str, number: int) -> None:
    plan = plan_of(case)
    row, seconds, memory = settings_of(plan, number % plan.valued)
    name, overrides, gpu, sequences, seq = CASES[case]
    model = llmcalc.load(name, overrides=overrides)
    assert llmcalc.step_time(model, gpu, batch=sequences, seq=seq, **row).seconds == pytest.approx(seconds, rel=1e-9)
    assert memory_of(case, row) == pytest.approx(memory, rel=1e-4)


def test_no_layout_that_fits_is_left_out() -> None:
    plan = plan_of("dense")
    found = {tuple(plan.layouts.row(at).get(name) for name in LAYOUT_NAMES) for at in range(len(plan.layouts))}
    asked = 0
    for tp, pp, sp, micro_batch, recompute, zero in product(
        (1, 3, 8), (1, 2, 6), (False, True), (1, 2), RECOMPUTATIONS, (0, 1, 2, 3)
    ):
        dp = 24 // (tp * pp)
        if 24 % (tp * pp) or 48 % (dp * micro_batch) or (sp and tp == 1) or (dp == 1 and zero):
            continue
        row = {
            "tp": tp, "pp": pp, "dp": dp, "cp": 1, "ep": 1, "sp": sp, "virtual_stages": 1, "micro_batch": micro_batch,
            "recompute": recompute, "zero": zero,
        }  # fmt: skip
        try:
            fits = memory_of("dense", row) <= plan.room
        except LlmcalcError:  # 3 ranks do not divide the heads
            fits = False
        asked += fits
        assert (tuple(row.get(name) for name in LAYOUT_NAMES) in found) is fits, row
    assert asked > 50


def test_layouts_are_ranked_and_the_front_has_no_worse_layout() -> None:
    plan = plan_of("dense")
    assert (np.diff(plan.layouts.seconds) >= 0).all()
    assert plan.best == plan.first(1)[0]
    assert plan.best.seconds == pytest.approx(plan.step.seconds, rel=1e-9)  # sums in another order
    front = plan.front
    assert len(front) > 3
    assert front[0].seconds == plan.best.seconds
    assert front[-1].memory_bytes == int(plan.layouts.memory_bytes.min())
    for one, other in pairwise(front):
        assert one.seconds < other.seconds
        assert one.memory_bytes > other.memory_bytes
    least = llmcalc.plan("llama3-8b", "h100:8", batch_tokens=8 * 2048, rank="memory").layouts
    assert (np.diff(least.memory_bytes) >= 0).all()
    assert (np.diff(least.seconds) < 0).any()


def test_layouts_as_fast_as_the_best_are_few_and_start_with_the_simplest() -> None:
    plan = plan_of("dense")
    alike, bound = plan.indistinguishable, plan.best.seconds * exp(QUANTILE * table("training_plan")["ratio_error"])
    assert 1 < len(alike) <= min(50, len(plan.layouts) // 20)
    assert all(each.seconds <= bound for each in alike)
    assert plan.best in alike
    assert [each.simplicity for each in alike] == sorted(each.simplicity for each in alike)


def test_the_rank_of_a_layout_is_the_number_of_faster_ones() -> None:
    plan = plan_of("dense")
    ranked = plan.rank(tp=2, pp=2, recompute="full")
    faster = plan.layouts.seconds < ranked.layout.seconds
    assert ranked.place is not None
    assert int(faster.sum()) <= ranked.place - 1 < int((plan.layouts.seconds <= ranked.layout.seconds).sum())
    assert ranked.loss == pytest.approx(ranked.layout.seconds / plan.best.seconds - 1)
    assert {"tp": 2, "pp": 2, "recompute": "full"}.items() <= ranked.layout.settings.items()
    whole = llmcalc.plan("llama3-70b", "h100:8", batch_tokens=8 * 2048, fix={"tp": 8})
    assert not whole.fits
    assert whole.best is None
    assert whole.rank(sp=True).place is None


def test_constraints_hold_and_the_one_that_leaves_nothing_is_named() -> None:
    own: dict[str, Any] = {"model": "llama3-8b", "gpu": "h100:16", "batch_tokens": 64 * 2048}
    fixed = llmcalc.plan(**own, fix={"tp": 2, "zero": 1}, max_pp=2)
    columns = fixed.layouts.columns
    assert set(columns["tp"]) == {2}
    assert set(columns["zero"]) == {1}
    assert set(columns["pp"]) == {1, 2}
    for wrong, text in (
        ({"fix": {"pp": 3}}, "pp=3"), ({"fix": ["tp=2,pp=5"]}, "pp=5"), ({"fix": ["tp=5"]}, "tp=5"),
        ({"fix": {"tp": 16, "pp": 2}}, "tp=16, pp=2"), ({"fix": {"sp": True, "tp": 1}}, "sp=True, tp=1"),
        ({"fix": {"dp": 16}, "batch_tokens": 3 * 2048}, "16"), ({"fix": {"colour": 1}}, "colour"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=text):
            llmcalc.plan(**{**own, **wrong})


def test_tokens_are_rounded_to_sequences_that_layouts_divide() -> None:
    found = llmcalc.plan("llama3-8b", "h100:16", batch_tokens="1M", seq=8192, fix={"tp": 1, "pp": 1})
    assert (found.wanted, found.tokens) == (10**6, 128 * 8192)


def test_more_than_one_node_and_a_faster_network_change_the_time() -> None:
    own: dict[str, Any] = {
        "model": "llama3-8b",
        "gpu": "h100:16",
        "batch_tokens": 64 * 2048,
        "fix": {"tp": 1, "zero": 3},
    }
    seconds = [llmcalc.plan(**own, **more).best.seconds for more in ({}, {"network_gbytes_per_gpu": 5.0}, {"node": 16})]
    assert seconds[1] > seconds[0] > seconds[2]


def test_options_of_programs_set_the_layout() -> None:
    plan = plan_of("dense")
    row = {**plan.best.settings, "tp": 2, "pp": 4, "dp": 3, "sp": True, "virtual_stages": 2, "micro_batch": 2}

    def options(**changed: Any) -> tuple[str, str]:
        layout = PlannedLayout({**row, **changed}, 1.0, 1, 1.0, 0.5, None)
        return " ".join(launch("megatron-lm", plan, layout)), " ".join(launch("torchtitan", plan, layout))

    megatron, titan = options(recompute="full", zero=1)
    assert titan == ""  # which has no ZeRO-1
    for text in (
        "--tensor-model-parallel-size 2", "--sequence-parallel", "--pipeline-model-parallel-size 4",
        "--num-virtual-stages-per-pipeline-rank 2", "--recompute-granularity full", "--use-distributed-optimizer",
        "--global-batch-size 48", "--micro-batch-size 2",
    ):  # fmt: skip
        assert text in megatron
    _, titan = options(recompute="full", zero=3, zero_group=None)
    for text in (
        "tensor_parallel_degree 2", "pipeline_parallel_degree 4", "num_pp_microbatches 8",
        "data_parallel_shard_degree 3", "num_tokens_per_microbatch_per_dp_rank 4096",
        "fsdp_reshard_after_forward always",
    ):  # fmt: skip
        assert f".{text}" in titan
    _, titan = options(dp=6, tp=1, sp=False, zero=3, zero_group=2)
    assert "shard_degree 2 " in titan
    assert "data_parallel_replicate_degree 3" in titan


@pytest.mark.parametrize("fix", [{"zero": 3, "zero_group": 4}, {"tp": 2, "pp": 4, "virtual_stages": 2}])
def test_train_gives_the_same_step_and_memory(fix: dict[str, Any]) -> None:
    found = llmcalc.plan("llama3-8b", "h100:16", batch_tokens=64 * 2048, fix=fix)
    own = dict(found.command)
    mesh = {name: own.pop(name) for name in [*own] if name in llmcalc.Mesh.__match_args__}
    run = llmcalc.train("llama3-8b", gpu="h100:16", **own, mesh=llmcalc.Mesh(**{"dp": 1, **mesh}))
    assert run.step_time is not None
    assert run.step_time.seconds == pytest.approx(found.best.seconds)
    assert run.fit is not None
    assert run.fit.needed == pytest.approx(found.best.memory_bytes, rel=1e-4)


def test_an_unknown_program_is_noted() -> None:
    for stack, is_noted in (("torchtitan", False), ("homegrown", True), (None, False)):
        notes = plan_document(llmcalc.plan("llama3-8b", "h100:8", stack=stack)).notes
        assert any("'homegrown' is unknown" in note for note in notes) is is_noted
