"""Time of a training step: hand counts, schedules and invariants."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.calc.memory.number_formats import Format
from llmcalc.calc.memory.optimizer import Adapters
from llmcalc.calc.memory.recomputation import FULL, SELECTIVE
from llmcalc.calc.sharding import Mesh
from llmcalc.core.errors import SizeError
from llmcalc.inputs.gpus import accelerator
from llmcalc.kernels.efficiencies import efficiencies
from llmcalc.schema.preset_files import names
from llmcalc.training.kernels import STORED, Execution, TrainingKernels
from llmcalc.training.schedule import (
    BACKWARD_PASS,
    BUBBLE,
    COMMUNICATION,
    FORWARD_PASS,
    OPTIMIZER,
    RECOMPUTATION,
    REPLICAS,
    Overlaps,
    TrainingCoefficients,
)
from llmcalc.training.step import TrainingLayout, TrainingStep, stage_works, training_step

MODELS = sorted({location.file: name for name, location in names().items()}.values())
SEQ, NONE = 2053, "none"
ALONE, PLAIN = TrainingCoefficients(), Overlaps(replicas=1)  # times of brief measurements of kernels


def step(
    name: str, mesh: Mesh | None = None, *, micro_batch: int = 3, recompute: str = NONE, seq: int = SEQ,
    gpu: str = "h100-sxm", number_format: str = "bf16", coefficients: TrainingCoefficients = ALONE,
    overlaps: Overlaps = PLAIN, execution: Execution | None = None,
) -> TrainingStep:  # fmt: skip
    mesh = mesh or Mesh()
    model = TrainingKernels(accelerator(gpu), mesh, Format(number_format, 16), efficiencies(), execution or Execution())
    layout = TrainingLayout(mesh, micro_batch, recompute)
    stages = stage_works(llmcalc.load(name), model, layout, seq, 12)
    return training_step(layout, stages, model.accelerator.node, coefficients, overlaps, 1.0)


@pytest.mark.parametrize("name", MODELS)
def test_every_text_preset_has_a_time(name: str) -> None:
    if len(llmcalc.load(name).stacks) > 1:
        pytest.skip("several stacks")
    found = step(name, micro_batch=1, seq=211)
    assert found.seconds == pytest.approx(sum(found.parts.values()))
    assert min(found.parts.values()) > 0
    flops = llmcalc.flops(name, seq=211, mode="train", extend=True).matmul
    assert flops / found.seconds < accelerator("h100-sxm").peak["bf16"]
    assert found.parts[FORWARD_PASS] < found.parts[BACKWARD_PASS] < 5 * found.parts[FORWARD_PASS]


def test_large_products_reach_the_measured_rate() -> None:
    found = step("gpt3-13b", micro_batch=16, seq=2048)
    flops = llmcalc.flops("gpt3-13b", batch=16, seq=2048, mode="train").matmul
    rate = efficiencies().coefficients("gemm", "h100-sxm", "bf16").values["compute"]
    assert 0.8 * rate < flops / found.seconds / accelerator("h100-sxm").peak["bf16"] < rate


def test_full_recomputation_repeats_the_blocks_and_selective_only_attention() -> None:
    plain, selective, full = (step("llama3-8b", recompute=how) for how in (NONE, SELECTIVE, FULL))
    assert plain.parts[FORWARD_PASS] == selective.parts[FORWARD_PASS] == full.parts[FORWARD_PASS]
    assert RECOMPUTATION not in plain.parts
    assert 0 < selective.parts[RECOMPUTATION] < 0.2 * full.parts[RECOMPUTATION]
    assert 0.9 < full.parts[RECOMPUTATION] / full.parts[FORWARD_PASS] < 1  # all but the head


def test_micro_batches_repeat_all_but_the_optimizer_step() -> None:
    one, seven = (step("qwen3-0.6b", Mesh(micro_batches=count)) for count in (1, 7))
    assert one.parts[OPTIMIZER] == seven.parts[OPTIMIZER]
    assert seven.seconds - seven.parts[OPTIMIZER] == pytest.approx(7 * (one.seconds - one.parts[OPTIMIZER]))


def test_virtual_stages_divide_the_bubble_of_a_pipeline() -> None:
    def found(virtual: int, micro_batches: int) -> TrainingStep:
        return step("llama3-8b", Mesh(pp=4, virtual_stages=virtual, micro_batches=micro_batches))

    plain, more, interleaved = found(1, 8), found(1, 16), found(2, 8)
    assert plain.parts[BUBBLE] == pytest.approx(more.parts[BUBBLE])
    computed = {name: seconds for name, seconds in plain.parts.items() if name in (FORWARD_PASS, BACKWARD_PASS)}
    assert plain.parts[BUBBLE] == pytest.approx(3 / 8 * sum(computed.values()), rel=0.3)  # the last stage has the head
    assert interleaved.parts[BUBBLE] == pytest.approx(plain.parts[BUBBLE] / 2, rel=0.02)


def test_stages_of_unequal_numbers_of_layers() -> None:
    """61 layers on 4 stages: the pace is that of 16 layers, less the head."""
    found = step("deepseek-v3", Mesh(dp=8, pp=4, ep=8, etp=1, micro_batches=5), micro_batch=1)
    whole = step("deepseek-v3", Mesh(dp=8, ep=8, etp=1), micro_batch=1)
    assert 0.24 < found.parts[FORWARD_PASS] / 5 / whole.parts[FORWARD_PASS] < 0.30


def test_tensor_parallelism_divides_the_work_and_communicates() -> None:
    one, four = step("llama3-70b"), step("llama3-70b", Mesh(tp=4, sp=True))
    assert 0.24 < four.parts[FORWARD_PASS] / one.parts[FORWARD_PASS] < 0.3
    assert COMMUNICATION not in one.parts
    assert four.parts[COMMUNICATION] > 0
    replicated = step("llama3-70b", Mesh(tp=4))
    assert replicated.parts[FORWARD_PASS] > four.parts[FORWARD_PASS]  # every rank computes the norms of all tokens


def test_replicas_exchange_during_the_computation() -> None:
    alone = step("llama3-8b")
    hidden = step("llama3-8b", Mesh(dp=512, zero=3))
    assert hidden.hidden > 0
    assert hidden.parts.get(REPLICAS, 0.0) < 0.01 * alone.seconds
    assert hidden.parts[OPTIMIZER] < alone.parts[OPTIMIZER] / 500
    shown = step("llama3-8b", Mesh(dp=512, zero=3), micro_batch=1, seq=127)
    assert shown.parts[REPLICAS] > 0


def test_replicas_share_the_network_of_a_node_with_tensor_parallel_ranks() -> None:
    """Eight ranks of a group in a node have eight adapters, one rank has one."""
    few, many = (step("llama3-70b", Mesh(dp=64, tp=tp, zero=3, sp=tp > 1), micro_batch=1, seq=13) for tp in (1, 8))
    exchanged = [each.hidden + each.parts[REPLICAS] for each in (few, many)]
    assert exchanged[1] > 0.8 * exchanged[0]  # an eighth of the bytes over an eighth of the network


def test_each_coefficient_changes_its_own_part() -> None:
    mesh = Mesh(dp=2, tp=2, zero=1)
    plain = step("qwen3-0.6b", mesh)
    for name, value in {"products": 1.5, "attention": 1.5, "memory": 1.5, "links": 2.0}.items():
        found = step("qwen3-0.6b", mesh, coefficients=TrainingCoefficients(**{name: value}))
        part = COMMUNICATION if name == "links" else FORWARD_PASS
        assert found.parts[part] > plain.parts[part], name
        assert found.parts[OPTIMIZER] == plain.parts[OPTIMIZER]
    slow = step("qwen3-0.6b", mesh, coefficients=TrainingCoefficients(kernel_us=997.0))
    n_operations = 28 * 5  # products of a layer with fused projections
    assert slow.parts[FORWARD_PASS] > n_operations * 997e-6
    assert slow.parts[BACKWARD_PASS] / slow.parts[FORWARD_PASS] == pytest.approx(1.7, abs=0.3)


def test_adapters_compute_no_gradients_of_weights_and_exchange_only_their_own() -> None:
    adapters = Adapters(7, ("wq", "wk", "wv", "wo"))
    mesh = Mesh(dp=16, zero=1)
    whole, own = step("llama3-8b", mesh), step("llama3-8b", mesh, execution=Execution(adapters=adapters))
    assert own.parts[BACKWARD_PASS] < 0.72 * whole.parts[BACKWARD_PASS]
    assert own.parts[FORWARD_PASS] > whole.parts[FORWARD_PASS]  # and products with the adapters
    exchanged = [each.hidden + each.parts.get(REPLICAS, 0) for each in (whole, own)]
    n_adapters = 7 * 32 * (2 * (4096 + 4096) + 2 * (4096 + 1024))
    assert exchanged[1] / exchanged[0] == pytest.approx(n_adapters / 8_030_261_248, rel=0.01)


def test_stored_scores_take_longer_with_the_square_of_the_length() -> None:
    stored = Execution(attention=STORED)
    for seq, least in ((1024, 1.0), (8192, 1.3)):
        plain, slow = (step("llama3-8b", seq=seq, execution=each) for each in (Execution(), stored))
        assert slow.seconds > least * plain.seconds


def test_a_plain_exchange_sends_a_token_to_each_of_its_experts() -> None:
    mesh = Mesh(dp=16, ep=16, etp=1)
    plain, once = (step("qwen3-30b-a3b", mesh, execution=Execution(dispatcher=name)) for name in ("", "deepep"))
    assert plain.parts[COMMUNICATION] > 1.1 * once.parts[COMMUNICATION]
    assert plain.parts[FORWARD_PASS] == once.parts[FORWARD_PASS]


@pytest.mark.parametrize("settings", [{"number_format": "fp8"}, {"gpu": "b200-180gb"}, {"micro_batch": 2}])
def test_what_makes_a_step_faster(settings: dict[str, Any]) -> None:
    assert step("llama3-8b", **settings).seconds < step("llama3-8b").seconds


def test_experts_receive_equal_numbers_of_tokens() -> None:
    """Twice as many expert-parallel ranks have half the experts, and twice the tokens for each."""
    few, many = (step("qwen3-30b-a3b", Mesh(dp=16, ep=ep, etp=1)) for ep in (8, 16))
    assert many.parts[FORWARD_PASS] == pytest.approx(few.parts[FORWARD_PASS], rel=0.05)
    assert many.parts[COMMUNICATION] > few.parts[COMMUNICATION]  # in place of a node, two


def test_a_plain_exchange_between_nodes_is_limited_by_the_network_of_each_gpu() -> None:
    """Each of eight experts of a token is on another node with a probability of 3/4."""
    mesh, tokens, layers = Mesh(dp=32, ep=32, etp=1), 3 * SEQ, 48
    moved = 4 * layers * tokens * 8 * 2048 * 2 * 3 / 4  # to experts and back, forward and backward
    least = moved / accelerator("h100-sxm").network
    assert least < step("qwen3-30b-a3b", mesh).parts[COMMUNICATION] < 1.3 * least


def test_experts_with_tensor_parallelism_are_on_more_nodes() -> None:
    inside, apart = (step("mixtral-8x7b", Mesh(dp=16, tp=tp, ep=8, etp=tp, sp=tp > 1)) for tp in (1, 2))
    gathers = step("mixtral-8x7b", Mesh(dp=16, tp=2, ep=4, etp=2, sp=True))
    assert apart.parts[COMMUNICATION] > 1.5 * max(inside.parts[COMMUNICATION], gathers.parts[COMMUNICATION])


def test_experts_are_also_divided_over_context_parallel_ranks() -> None:
    folded = Mesh(dp=2, tp=2, cp=4, ep=16, etp=1, sp=True)
    assert (folded.expert_replicas, folded.replicas) == (1, 8)
    plain = Mesh(dp=8, tp=2, ep=16, etp=1, sp=True)
    one, other = (step("qwen3-30b-a3b", mesh, micro_batch=size, seq=2048) for mesh, size in ((folded, 4), (plain, 1)))
    assert one.layout.mesh.ranks == other.layout.mesh.ranks
    assert one.parts[FORWARD_PASS] == pytest.approx(other.parts[FORWARD_PASS], rel=0.02)  # the same tokens on each rank
    with pytest.raises(SizeError, match=r"ep · etp \(32\) does not divide dp · tp · cp \(16\)"):
        Mesh(dp=2, tp=2, cp=4, ep=32, etp=1)
    with pytest.raises(SizeError, match=r"ep \(16\) does not divide dp · tp \(4\)"):
        Mesh(dp=2, tp=2, cp=4, ep=16)


def test_gradients_take_as_long_as_their_bits() -> None:
    mesh, plain = Mesh(dp=13 * 8, zero=1), Overlaps()
    short, long = (
        step("llama3-8b", mesh, overlaps=plain, execution=Execution(gradient_bits=each)) for each in (16, 32)
    )
    weights = short.parts[REPLICAS] / 2  # reduced and gathered
    assert long.parts[REPLICAS] == pytest.approx(3 * weights, rel=0.05)


def test_programs_that_overlap_experts_hide_them_beside_all_kernels() -> None:
    mesh = Mesh(dp=32, ep=32, etp=1)
    shown, hidden = (
        step("qwen3-30b-a3b", mesh, overlaps=Overlaps(ep=ep), execution=Execution(dispatcher="deepep")) for ep in (0, 1)
    )
    exchange = shown.parts[COMMUNICATION]
    computed = shown.parts[FORWARD_PASS] + shown.parts[BACKWARD_PASS]
    assert (computed**3 + exchange**3) ** (1 / 3) - computed == pytest.approx(hidden.parts[COMMUNICATION], rel=0.2)
