"""The memory timeline of a training step under ZeRO."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.sharding import Mesh

WIDTH, BYTES = 2, 2  # bytes of a weight and of a gradient; of bf16
SIZES = ("n_layers=3", "d_model=96", "n_heads=3", "d_ff=101", "vocab=211", "n_positions=127")


def blocks_and_rest(model):
    """Bytes of each block's weights in bf16, and of all that stands outside of the blocks."""
    counted = llmcalc.params(model)
    return [BYTES * size for size in counted.by_layer], BYTES * (counted.total - sum(counted.by_layer))


def timeline(model, **mesh):
    return llmcalc.memory(model, mode="training", batch=1, seq=31, mesh=Mesh(**mesh)).worst.timeline


def phases(moments):
    """(phase, gathered, gradients at its end), one for each run of moments of one phase and gathered weights."""
    found = []
    for moment in moments:
        if found and found[-1][:2] == (moment.phase, moment.gathered):
            found.pop()
        found.append((moment.phase, moment.gathered, moment.gradients))
    return found


def test_weights_are_gathered_block_by_block():
    """The block that is computed, the one before it, and throughout what stands outside of the blocks."""
    model = llmcalc.load("gpt3", overrides=SIZES)
    (block, *_), rest = blocks_and_rest(model)
    assert [(phase, gathered) for phase, gathered, _ in phases(timeline(model, dp=7, zero=3))] == [
        ("forward", rest + block),
        ("loss", rest),
        ("backward of outputs", rest + block),
        ("backward of block", rest + 2 * block),
        ("backward of block", rest + block),
        ("backward of inputs", rest),
        ("gradient of the token table", rest),
        ("optimizer step", 0),
    ]


def test_gradients_are_whole_until_they_are_reduced():
    model = llmcalc.load(
        "llama3-8b", overrides=("n_layers=3", "d_model=96", "n_heads=6", "n_kv_heads=3", "d_ff=101", "vocab=211")
    )
    (block, *_), rest = blocks_and_rest(model)
    head = rest // 2 + WIDTH * 96 // 2  # tables of equal size, and the final norm
    moments = timeline(model, dp=7, zero=2)
    first = next(moment for moment in moments if moment.phase == "backward of block")
    assert first.gradients == head  # waits until the end of the backward pass; no gradient of the block yet
    assert not any(moment.gathered for moment in moments)
    in_last = [moment for moment in moments if moment.phase == "backward of block"][-1]
    made = in_last.gradients - head - 2 * -(-block // 7) - block  # two divided, one of them being reduced
    assert 0 < made <= block
    last = [moment for moment in moments if moment.phase == "backward of inputs"][-1]
    assert last.gradients == head + 3 * -(-block // 7) + block
    assert moments[-1].gradients == -(-(3 * block + rest) // 7)


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_one_rank_gathers_nothing(zero):
    model = llmcalc.load("gpt3", overrides=SIZES)
    assert timeline(model, zero=zero) == timeline(model)


@pytest.mark.parametrize("zero", [2, 3])
def test_a_stage_of_a_pipeline_reduces_at_the_end(zero):
    """Weights are gathered once, gradients of all micro-batches are whole: 3 blocks and, in stage 0, the tables."""
    model = llmcalc.load("gpt3", overrides=("n_layers=6", *SIZES[1:]))
    (block, *_), rest = blocks_and_rest(model)
    stage = llmcalc.memory(model, mode="training", batch=1, seq=31, mesh=Mesh(dp=7, pp=2, zero=zero)).stages[0]
    whole = 3 * block + rest - 2 * BYTES * 96  # the final norm is in the last stage
    *moments, last = stage.timeline
    assert {moment.gathered for moment in moments} == {whole if zero == 3 else 0}
    assert {moment.gradients for moment in moments} == {whole}
    assert (last.gathered, last.gradients) == (0, -(-whole // 7))


def test_gradients_of_earlier_micro_batches_are_there():
    model = llmcalc.load("gpt3", overrides=SIZES)
    whole = BYTES * llmcalc.params(model).total
    assert timeline(model)[0].gradients == 0
    assert {moment.gradients for moment in timeline(model, micro_batches=2)} == {whole}
    assert timeline(model, micro_batches=2, dp=7, zero=2)[0].gradients == -(-whole // 7)


def test_experts_that_no_other_rank_holds_are_not_gathered():
    model = llmcalc.load(
        "mixtral-8x7b", overrides=("n_layers=3", "d_model=96", "n_heads=6", "n_kv_heads=3", "d_ff=101", "vocab=211")
    )
    counted = llmcalc.params(model)
    experts = BYTES * counted.by_component["routed experts"]
    (block, *_), rest = blocks_and_rest(model)
    few, many = (timeline(model, dp=8, ep=ranks, zero=3) for ranks in (4, 8))
    assert few[0].gathered == rest + block - experts // 3 * 3 // 4  # two ranks hold the same two experts
    assert many[0].gathered == rest + block - experts // 3  # each holds one


@pytest.mark.parametrize("zero", [0, 2, 3])
def test_a_shared_block_that_is_never_executed_has_only_weights(zero):
    """ALBERT stores the groups that its layers do not select."""
    config = {"model_type": "albert", "num_hidden_layers": 2, "hidden_size": 44, "num_attention_heads": 11}
    config |= {"intermediate_size": 13, "vocab_size": 101, "embedding_size": 7}
    used, spare = (llmcalc.load({**config, "num_hidden_groups": groups}) for groups in (2, 3))
    assert [run.count for run in spare.stacks[0].runs].count(0) == 1
    found = [llmcalc.memory(model, mode="training", mesh=Mesh(dp=2, zero=zero)) for model in (used, spare)]
    assert found[1].worst.weights > found[0].worst.weights
    assert found[1].worst.activations == found[0].worst.activations


def test_shared_blocks_are_gathered_once():
    model = llmcalc.load("albert-base-v2")
    gathered = {moment.gathered for moment in timeline(model, dp=7, zero=3) if moment.phase.startswith("backward of b")}
    (block, *_), rest = blocks_and_rest(model)
    assert gathered == {rest + block}


def test_a_fused_loss_keeps_logits_alone():
    """[211 of vocabulary]: log-probabilities and two gradients in fp32, or the logits in bf16."""
    model = llmcalc.load("gpt3", overrides=SIZES)
    eager, fused = (
        llmcalc.memory(model, mode="training", batch=1, seq=31, loss=loss).worst for loss in ("eager", "fused")
    )
    logits = 31 * 211
    assert eager.activations - fused.activations == (4 - BYTES) * logits
    losses = [next(moment for moment in found.timeline if moment.phase == "loss") for found in (eager, fused)]
    assert [moment.transient for moment in losses] == [2 * 4 * logits, 0]


def test_one_placeholder_gradient_of_each_matrix_shape():
    """Queries, keys and values are one matrix, and so are gate and up-projection. Each expert has its own."""
    changes = ("n_layers=3", "d_model=66", "n_heads=6", "n_kv_heads=2", "d_ff=26", "vocab=211")  # heads of 11
    for name, mesh in (("llama3-8b", Mesh()), ("mixtral-8x7b", Mesh(dp=4, ep=4, zero=1)), ("llama3-8b", Mesh(tp=2))):
        model = llmcalc.load(name, overrides=changes)
        settings = {"mode": "training", "seq": 31, "mesh": mesh, "gradient_buffer": True}
        without = llmcalc.memory(model, **settings).worst
        found = llmcalc.memory(model, **settings, gradient_placeholders=True).worst
        shapes = 66 * (6 + 2 + 2) * 11, 6 * 11 * 66, 66 * 2 * 26, 26 * 66
        placeholders = BYTES * sum(shapes) // mesh.tp
        assert found.gradients - without.gradients == found.peak - without.peak == placeholders
        pairs = zip(found.timeline, without.timeline, strict=True)
        assert {more.gradients - less.gradients for more, less in pairs} == {placeholders}


MODELS = ("gpt2-small", "t5-small", "mixtral-8x7b", "albert-base-v2", "jamba", "deepseek-v2-lite")


@given(
    name=st.sampled_from(MODELS), zero=st.integers(0, 3), data=st.sampled_from((1, 2, 8)), buffered=st.booleans(),
    rank=st.none() | st.just(3),
)  # fmt: skip
def test_no_part_is_negative_and_dividing_more_never_takes_more(name, zero, data, buffered, rank):
    model = llmcalc.load(name)
    settings = {"mode": "training", "seq": 64, "gradient_buffer": buffered}
    settings |= (
        {"lora_rank": rank, "lora_targets": ("wo",), "weights": "nf4"} if rank and name == "mixtral-8x7b" else {}
    )
    found = llmcalc.memory(model, mesh=Mesh(dp=data, zero=zero), **settings).worst
    assert all(size >= 0 for moment in found.timeline for size in moment[1:])
    assert found.timeline[-1].gathered == 0
    more = llmcalc.memory(model, mesh=Mesh(dp=8 * data, zero=zero), **settings).worst
    if data > 1:
        assert more.peak <= found.peak
