"""Layouts of serving engines: what each rank holds, and which layout is chosen."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcalc
from llmcalc import Mesh
from llmcalc.calc.pipeline_stages import pipeline_stages
from llmcalc.core.errors import InputError, SizeError
from llmcalc.core.record import changed
from llmcalc.fitting.layouts import divisors, layouts
from llmcalc.fitting.memory import serving_weights
from llmcalc.inputs.gpus import accelerator
from llmcalc.inputs.number_formats import number_format, weight_formats
from llmcalc.report import render
from llmcalc.report.fit import fit_document

DEEPSEEK, LLAMA, QWEN = (llmcalc.load(name) for name in ("deepseek-v3", "llama3-8b", "qwen3-235b-a22b"))


def part(model: llmcalc.Architecture, name: str, **mesh: int) -> int:
    return llmcalc.memory(model, seq=11, weights="bf16", mesh=Mesh(**mesh)).weights_by_component[name]


def test_experts_span_the_ranks_of_a_replica() -> None:
    """61 - 3 layers of 256 experts with three matrices of 7168 x 2048."""
    experts = 58 * 256 * 3 * 7168 * 2048 * 2
    for mesh in ({"tp": 8}, {"tp": 8, "ep": 8}, {"tp": 8, "ep": 2}, {"dp": 8, "ep": 8}, {"dp": 2, "tp": 4, "ep": 8}):
        assert part(DEEPSEEK, "routed experts", **mesh) == experts // 8, mesh
    assert part(DEEPSEEK, "routed experts", dp=2, tp=4) == experts // 4  # two replicas
    assert part(DEEPSEEK, "routed experts", dp=4, tp=2, ep=2) == experts // 4
    assert part(DEEPSEEK, "mla", dp=8, ep=8) == part(DEEPSEEK, "mla") > 5 * part(DEEPSEEK, "mla", tp=8, ep=8)
    assert [Mesh(tp=8, ep=ep).expert_tp for ep in (1, 2, 4, 8)] == [8, 4, 2, 1]
    assert [Mesh(dp=2, tp=4, ep=ep).expert_tp for ep in (1, 2, 4, 8)] == [4, 4, 2, 1]
    assert Mesh(dp=2, tp=4, ep=8, etp=1).expert_replicas == 1


def test_training_keeps_experts_on_data_parallel_ranks() -> None:
    with pytest.raises(SizeError, match=r"ep: ep \(8\) does not divide dp \(1\)"):
        llmcalc.memory(DEEPSEEK, mode="training", seq=11, mesh=Mesh(tp=8, ep=8))
    with pytest.raises(SizeError, match=r"ep: ep \(3\) does not divide dp · tp \(8\)"):
        Mesh(tp=8, ep=3)


@pytest.mark.parametrize(("batch", "own"), [(1, 1), (8, 1), (9, 2), (16, 2), (17, 3)])
def test_data_parallel_ranks_share_the_batch(batch: int, own: int) -> None:
    shared = llmcalc.memory(LLAMA, seq=101, batch=batch, mesh=Mesh(dp=8))
    alone = llmcalc.memory(LLAMA, seq=101, batch=own)
    assert (shared.state, shared.activations, shared.weights) == (alone.state, alone.activations, alone.weights)
    assert shared.workload.batch == batch


@given(st.integers(1, 32))
def test_pipeline_stages_have_all_layers_and_differ_by_at_most_one(stages: int) -> None:
    sizes = [stage.main.n_layers for stage in pipeline_stages(LLAMA, stages, uneven=True)]
    assert sum(sizes) == 32
    assert max(sizes) - min(sizes) <= 1
    assert sizes[-1] == min(sizes)  # the last stage also has the head


def test_a_stage_stores_its_layers_and_their_cache() -> None:
    whole, stage = (llmcalc.memory(LLAMA, seq=101, mesh=Mesh(pp=pp)) for pp in (1, 4))
    table = 128256 * 4096 * 2
    assert stage.state * 4 == whole.state
    assert stage.weights == (whole.weights - 2 * table - 4096 * 2) // 4 + table + 4096 * 2  # with the final norm
    mixed = llmcalc.memory(LLAMA, seq=101, weights="nf4", keep=["head"], mesh=Mesh(pp=4))  # not all stages have a head
    assert mixed.weights < stage.weights
    with pytest.raises(InputError, match="one stack"):
        llmcalc.memory("t5-small", seq=11, mesh=Mesh(pp=2))


def test_kernels_refuse_parts_of_quantisation_blocks() -> None:
    """The experts have a hidden width of 1536, and 1536 / 8 = 192 is not a multiple of 128."""
    text = "routed experts: d_ff 1536 on 8 ranks is 192 per rank, not a multiple of the quantisation block of 128"
    found = [llmcalc.memory(QWEN, seq=11, weights=form, mesh=Mesh(tp=8)) for form in ("fp8-block", "fp8", "bf16")]
    assert [one.refusals for one in found] == [(text,), (), ()]
    for mesh in (Mesh(tp=4), Mesh(tp=8, ep=8), Mesh(dp=8, ep=8), Mesh(tp=4, pp=2)):
        assert llmcalc.memory(QWEN, seq=11, weights="fp8-block", mesh=mesh).refusals == ()
    assert llmcalc.memory(DEEPSEEK, seq=11, mesh=Mesh(tp=16)).refusals == ()
    assert "d_ff 2048 on 32 ranks is 64" in llmcalc.memory(DEEPSEEK, seq=11, mesh=Mesh(tp=32)).refusals[-1]
    assert llmcalc.memory("gpt-oss-120b", seq=11, mesh=Mesh(tp=8)).refusals == ()  # engines pad MXFP4


@pytest.mark.parametrize("count", [1, 2, 3, 6, 8, 16, 24])
@pytest.mark.parametrize("model", [DEEPSEEK, LLAMA, QWEN], ids=lambda model: model.name)
def test_layouts_use_all_gpus(model: llmcalc.Architecture, count: int) -> None:
    found = layouts(model, count)
    assert len(set(found)) == len(found) > 0
    for replicas, mesh in found:
        assert replicas * mesh.ranks == count
        assert mesh.tp <= 8
        assert mesh.dp == 1 or mesh.ep % mesh.dp == 0
    stages = [mesh.pp for _, mesh in found]
    assert stages == sorted(stages)


CHOSEN = {
    ("llama3-8b", "h100:8"): "tp 8",
    ("llama3-70b", "h100:16"): "2 × tp 8",
    ("llama3.1-405b", "h100:16"): "tp 8 · pp 2",
    ("deepseek-v3", "h200:8"): "dp 8 · ep 8",
    ("gpt-oss-120b", "h100:2"): "tp 2",
    ("llama3-8b", "rtx-4090:3"): "3 × ",
}


def text_of(found: llmcalc.fitting.fit.FitResult) -> str:
    from llmcalc.report.heading import settings_text

    replicas = found.count // found.result.mesh.ranks
    return (f"{replicas} × " if replicas > 1 else "") + settings_text(found.result.mesh)


@pytest.mark.parametrize(("model", "gpus"), CHOSEN)
def test_the_layout_of_given_gpus(model: str, gpus: str) -> None:
    assert text_of(llmcalc.fit(model, gpus, seq=4096, engine="none")) == CHOSEN[model, gpus]


def test_refused_layouts_are_not_chosen() -> None:
    found = llmcalc.fit("qwen3-235b-a22b", "h100:8", weights="fp8-block", seq=32500, batch=160, engine="none")
    assert found.result.refusals == ()


@pytest.mark.parametrize(("model", "count"), [("deepseek-v3", 9), ("llama3.1-405b", 10), ("llama3-70b", 2)])
def test_the_fewest_gpus_are_those_that_fit_accepts(model: str, count: int) -> None:
    found = llmcalc.fit(model, "h100", solve="gpus", seq=2048, engine="none")
    assert found.solution is not None
    assert found.solution.value == found.count == count
    assert found.result.mesh.tp <= 8
    for number in range(1, 2 * count):
        assert llmcalc.fit(model, "h100", count=number, seq=2048, engine="none").fits == (number >= count)


def test_gpus_that_do_not_divide_a_model_stay_unused() -> None:
    fits = [llmcalc.fit("deberta-v3-small", "t4", count=count, seq=32768, batch=64).fits for count in range(1, 17)]
    assert fits == [False] * 5 + [True] * 11
    found = llmcalc.fit("mt5-xxl", "l4:7", seq=1024, batch=4)
    assert (found.fits, found.count, found.result.mesh.tp) == (True, 7, 2)
    assert "the layout leaves 1 of 7 GPUs unused" in render(fit_document(found), "plain")
    most = llmcalc.fit("mt5-xxl", "l4:7", seq=1024, solve="batch").solution
    assert most is not None
    assert isinstance(most.value, int)
    assert llmcalc.fit("mt5-xxl", "l4:7", seq=1024, batch=most.value).fits
    assert not llmcalc.fit("mt5-xxl", "l4:7", seq=1024, batch=most.value + 1).fits


def test_a_smaller_mesh_is_replicated() -> None:
    eight = llmcalc.fit("llama3-8b", "h100:8", tp=2, batch=12, seq=101, engine="none")
    two = llmcalc.fit("llama3-8b", "h100:2", tp=2, batch=3, seq=101, engine="none")
    assert (eight.needed, eight.count, eight.result.workload.batch) == (two.needed, 8, 12)
    with pytest.raises(SizeError, match="3 ranks, but there are 8 GPUs"):
        llmcalc.fit("gpt2", "h100:8", tp=3, engine="none")
    with pytest.raises(SizeError, match="2 ranks, but there are 8 GPUs"):
        llmcalc.fit("gpt2", "h100:8", tp=2, training=True, engine="none")


def test_solved_sizes_are_solved_for_one_layout() -> None:
    found = llmcalc.fit("llama3-70b", "h100:4", solve="seq", extend=True, engine="none")
    assert text_of(found) == "tp 4"
    assert found.solution is not None
    assert not llmcalc.fit("llama3-70b", "h100:4", tp=4, seq=found.solution.value + 1, extend=True, engine="none").fits


def test_the_best_format_of_a_quantised_checkpoint_is_its_own() -> None:
    found = llmcalc.fit("gpt-oss-20b", "h100", solve="quant", engine="none").solution
    assert found is not None
    assert found.value == "checkpoint"
    assert max(tried.bits for tried in found.candidates) == found.candidates[0].bits < 6
    two = llmcalc.fit("gpt-oss-20b", "h100:2", solve="quant", engine="none").solution
    assert two is not None
    assert [one.bits for one in two.candidates] == [one.bits for one in found.candidates]  # whatever the layout


def test_errors_of_the_workload_are_reported() -> None:
    with pytest.raises(SizeError, match="seq: must be an integer of at least 1"):
        llmcalc.fit("llama3-8b", "h100:7", seq=0, engine="none")


def test_divisors() -> None:
    assert divisors(60) == [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60]


@pytest.mark.parametrize("mixture", ["q4_k_m", "q4_k_s", "q3_k_m", "q2_k"])
@pytest.mark.parametrize("model", ["llama3-8b", "llama3-70b", "qwen3-235b-a22b"])
def test_rules_of_a_mixture_count_the_layers_of_the_model_not_of_a_stage(model: str, mixture: str) -> None:
    whole = llmcalc.load(model)
    formats = weight_formats(mixture, number_format("bf16"))
    bits = sum(stored.bits for stored in formats.stored(whole))
    for n_stages in (2, 3, 7):
        stages = pipeline_stages(whole, n_stages, uneven=True)
        assert sum(stored.bits for stage in stages for stored in formats.stored(stage)) == bits


@pytest.mark.parametrize(("gpu", "node"), [("h100", 8), ("gb200-186gb", 72), ("gh200-96gb", 4), ("trainium1", 16)])
def test_tensor_parallelism_stays_within_a_node_of_the_accelerator(gpu: str, node: int) -> None:
    card = accelerator(gpu)
    assert card.node == node
    tp = {layout.mesh.tp for layout in layouts(LLAMA, 32, card.node)}
    assert tp == {ranks for ranks in (1, 2, 4, 8, 16, 32) if node % ranks == 0 or node > 32}
    assert llmcalc.fit("llama3.1-405b", gpu, count=32, seq=1024, engine="none").result.mesh.tp <= node


def test_searches_suggest_formats_that_the_gpu_supports() -> None:
    for gpu, is_supported in (("h100", False), ("a100-80gb", False), ("rtx-5090", True), ("24GB", True)):
        found = llmcalc.fit("qwen3-8b", gpu, solve="quant", seq=7, engine="none").solution
        assert found is not None
        assert ("nvfp4" in {candidate.name for candidate in found.candidates}) == is_supported


@pytest.mark.parametrize(("model", "gpu", "count"), [("kimi-k3", "80GB", 16), ("gpt-oss-120b", "8GB", 6)])
def test_without_a_layout_that_fits_the_answer_is_the_one_that_needs_least(model: str, gpu: str, count: int) -> None:
    architecture = llmcalc.load(model)
    found = llmcalc.fit(architecture, f"{gpu}:{count}", engine="none")
    assert not found.fits
    needs = []
    for layout in layouts(architecture, count):
        with suppress(SizeError):
            memory = llmcalc.memory(architecture, mesh=layout.mesh)
            needs.append((len(memory.refusals), memory.peak))
    assert (len(found.result.refusals), found.needed) == min(needs)


def test_equal_blocks_in_different_pipeline_stages_are_one_object() -> None:
    architecture = llmcalc.load("kimi-k3")
    stages = pipeline_stages(architecture, 31)
    blocks = [run.block for stage in stages for run in stage.main.runs]
    assert len({id(block) for block in blocks}) == len(set(blocks)) == len(architecture.main.distinct_runs)


@pytest.mark.parametrize("weights", [None, "mxfp4", "q4_k_m"])
@pytest.mark.parametrize("model", ["deepseek-v3", "gpt-oss-20b", "kimi-k3"])
def test_stages_store_the_same_whatever_was_counted_before(model: str, weights: str | None) -> None:
    def stored(counted: tuple[int, ...]) -> list[object]:
        architecture = llmcalc.load(model)
        fresh = changed(architecture)  # without remembered results
        formats = serving_weights(fresh, weights, "bf16", (), ())
        return [
            formats.stored(stage, Mesh(tp=2, pp=stages))
            for stages in counted
            for stage in pipeline_stages(fresh, stages, uneven=True)
        ]

    assert stored((1, 3, 4))[-4:] == stored((4,))
