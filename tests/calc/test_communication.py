"""Collectives of a step: hand counts of published models, and properties of every model."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.communication import Communication
from llmcalc.calc.explain import communication_tree
from llmcalc.core.errors import InputError, UnsupportedError
from llmcalc.schema.preset_files import names

BF16, FP32 = 2, 4
BATCH, SEQ = 3, 14
GPT3 = {"layers": 96, "d": 12288}


def train(model: str, **mesh: Any) -> Communication:
    return llmcalc.communication(model, batch=BATCH, seq=SEQ, mode="train", **mesh)


def volumes(found: Communication, **wanted: Any) -> dict[tuple[str, str, str], int]:
    """Volumes by collective, tensor and phase of the layers that contain all texts of ``wanted``."""
    sizes = Counter[tuple[str, str, str]]()
    for each, volume, _ in found.sizes:
        if all(getattr(each, name) == value for name, value in wanted.items()):
            sizes[each.kind, each.tensor, each.phase] += volume
    return dict(sizes)


# ------------------------------------------------------------------ tensor parallelism


def test_a_layer_of_megatron_reduces_twice_in_each_pass() -> None:
    """[narayanan2021, Section 3.2] two all-reduces forward and two backward per layer, of b·s·h elements each."""
    found = train("gpt3", tp=8)
    each = GPT3["layers"] * BATCH * SEQ * GPT3["d"] * BF16
    expected = {("all-reduce", "y", "forward"): each, ("all-reduce", "dx", "backward"): each}
    assert volumes(found, component="attention") == volumes(found, component="mlp") == expected
    blocks = [entry for entry in found.collectives if entry.component in ("attention", "mlp")]
    assert Counter(entry.phase for entry in blocks for _ in range(entry.times // GPT3["layers"])) == {
        "forward": 2, "backward": 2,
    }  # fmt: skip


def test_the_bytes_of_a_ring() -> None:
    """An all-reduce over n ranks sends 2 (n - 1) / n of the tensor, and half of it is a reduce-scatter."""
    found = train("gpt3", tp=8)
    each = BATCH * SEQ * GPT3["d"] * BF16
    reductions = 4 * GPT3["layers"] + 2  # and the token table and the head
    loss = 3 * BATCH * SEQ * FP32
    assert found.volume == reductions * each + loss
    assert found.sent == (reductions * each + loss) * 2 * 7 // 8
    assert found.by_kind == {"all-reduce": found.sent}


def test_sequence_parallelism_sends_as_much_as_tensor_parallelism() -> None:
    """[korthikanti2022, Section 4.2.2] apart from the inputs that the backward pass gathers again."""
    whole, divided = train("gpt3", tp=8), train("gpt3", tp=8, sp=True)
    again = sum(sent for each, _, sent in divided.sizes if "again" in each.tensor)
    replicated_weights = divided.by_phase["update"]
    assert again == (2 * GPT3["layers"] + 1) * BATCH * SEQ * GPT3["d"] * BF16 * 7 // 8
    assert divided.sent - again - replicated_weights == whole.sent
    norms, positions = (2 * GPT3["layers"] + 1) * 2 * GPT3["d"], 2048 * GPT3["d"]
    output_biases = 2 * GPT3["layers"] * GPT3["d"]
    assert sum(volumes(divided, phase="update").values()) == (norms + positions + output_biases) * BF16


def test_parallel_branches_share_their_reductions() -> None:
    """PaLM computes attention and the MLP from the same input and adds both outputs."""
    found = train("palm", tp=2)
    each = 118 * BATCH * SEQ * 18432 * BF16
    layers = volumes(found, component="attention") | volumes(found, component="mlp")
    assert layers["all-reduce", "y", "forward"] == layers["all-reduce", "dx", "backward"] == each
    assert not volumes(found, component="mlp")
    key = 118 * BATCH * SEQ * 256 * BF16  # one head, which all ranks compute
    assert layers["all-reduce", "dk", "backward"] == layers["all-reduce", "dv", "backward"] == key


def test_latents_have_the_gradients_of_all_heads() -> None:
    """Ranks project the whole latents to their own heads, and all heads share the rotary key."""
    found = volumes(train("deepseek-v3", tp=4), component="mla")
    assert found == {
        ("all-reduce", "y", "forward"): 61 * BATCH * SEQ * 7168 * BF16,
        ("all-reduce", "dcq", "backward"): 61 * BATCH * SEQ * 1536 * BF16,
        ("all-reduce", "dckv", "backward"): 61 * BATCH * SEQ * 512 * BF16,
        ("all-reduce", "dkr", "backward"): 61 * BATCH * SEQ * 64 * BF16,
    }


def test_a_norm_over_all_heads_sums_its_statistics() -> None:
    found = train("olmo2-7b", tp=4)
    rows = 32 * BATCH * SEQ * FP32
    assert volumes(found)["all-reduce", "statistics of q", "forward"] == rows
    assert volumes(found)["all-reduce", "statistics of k", "backward"] == rows


def test_ranks_that_share_a_key_head_reduce_its_gradient() -> None:
    found = train("llama3-8b", tp=16)
    own = 32 * 4096 * 128 * BF16  # one head of 8 on each rank
    assert volumes(found, phase="update", ranks=2) == {
        ("all-reduce", "dwk", "update"): own, ("all-reduce", "dwv", "update"): own,
    }  # fmt: skip
    assert volumes(found, component="attention", tensor="dx") == {
        ("all-reduce", "dx", "backward"): 32 * BATCH * SEQ * 4096 * BF16
    }


def test_a_divided_mamba_sums_what_all_channels_share() -> None:
    found = volumes(train("mamba-130m", tp=2), component="mamba", phase="forward")
    assert {name for _, name, _ in found} == {"dt", "B", "C", "out"}


def test_serving_gathers_logits() -> None:
    found = llmcalc.communication("llama3-8b", tp=2, mode="decode", context=5, batch=BATCH)
    assert volumes(found) == {
        ("all-reduce", "y", "forward"): (2 * 32 + 1) * BATCH * 4096 * BF16,
        ("all-gather", "logits", "forward"): BATCH * 128256 * BF16,
    }
    assert llmcalc.communication("gpt3", tp=8, logits="last", seq=SEQ).by_kind["all-gather"] == 51200 * BF16 * 7 // 8


# ------------------------------------------------------------------ experts


def test_deepseek_v3_sends_each_token_to_eight_experts() -> None:
    """[deepseek2024v3, Section 4.2] 61 layers, of which the first 3 are dense; width 7168 and 8 of 256 experts."""
    found = volumes(train("deepseek-v3", dp=8, ep=8), group="ep")
    each = 58 * BATCH * SEQ * 8 * 7168 * BF16
    assert found == {
        ("all-to-all", "xe", "forward"): each, ("all-to-all", "dxe", "backward"): each,
        ("all-to-all", "z", "forward"): each, ("all-to-all", "dz", "backward"): each,
    }  # fmt: skip


def test_deepseek_v3_exchanges_the_published_bytes_in_a_decode_step() -> None:
    """[Zhao et al. 2025, arXiv:2505.09343, Section 2.3.2] (1 + 2) bytes · 32 tokens · 9 experts · 7K in each layer.

    The dispatch is in FP8 and the combination in BF16. The ninth expert is the shared one, which each rank stores here.
    """
    found = volumes(llmcalc.communication("deepseek-v3", mode="decode", batch=32, context=71, dp=8, ep=8), group="ep")
    dispatched, combined = (found["all-to-all", tensor, "forward"] // BF16 for tensor in ("xe", "z"))
    published = 3 * 32 * 9 * 7000
    assert (dispatched * 1 + combined * 2) * 9 * 7000 == 58 * published * 8 * 7168


def test_experts_without_expert_parallelism_reduce_their_sum_once() -> None:
    """The sum of routed and shared experts is reduced once, not the output of every expert."""
    found = volumes(train("deepseek-v3", tp=4), component="moe")
    each = 58 * BATCH * SEQ * 7168 * BF16
    assert found["all-reduce", "y", "forward"] == found["all-reduce", "dx", "backward"] == each
    assert set(found) == {
        ("all-reduce", "y", "forward"), ("all-reduce", "dx", "backward"), ("all-reduce", "dshare", "backward"),
    }  # fmt: skip


def test_ranks_with_the_same_tokens_reduce_instead() -> None:
    found = train("mixtral-8x7b", tp=4, ep=4, etp=1)
    each = 32 * BATCH * SEQ * 4096 * BF16
    assert volumes(found, component="moe") == {
        ("all-reduce", "y", "forward"): each, ("all-reduce", "dx", "backward"): each,
        ("all-reduce", "dshare", "backward"): 32 * BATCH * SEQ * 2 * BF16,
    }  # fmt: skip


def test_ranks_with_the_same_tokens_send_a_share_of_them() -> None:
    found = volumes(train("mixtral-8x7b", dp=2, tp=4, ep=8, etp=1), component="moe")
    token = 32 * BATCH * SEQ * 4096 * BF16
    assert found["all-to-all", "xe", "forward"] == found["all-to-all", "dz", "backward"] == 2 * token // 4
    assert found["all-gather", "y", "forward"] == found["all-gather", "dx", "backward"] == token
    assert found["all-gather", "dshare", "backward"] == 32 * BATCH * SEQ * 2 * BF16


def test_experts_reduce_only_their_share_of_the_tokens() -> None:
    found = volumes(train("mixtral-8x7b", dp=2, tp=4, ep=4, etp=2), component="moe", group="etp")
    share = 32 * BATCH * SEQ * 4096 * BF16 // 2
    assert found["all-reduce", "y", "forward"] == found["all-reduce", "dx", "backward"] == share


def test_sequence_parallel_experts_gather_what_they_receive() -> None:
    found = volumes(train("mixtral-8x7b", dp=2, tp=2, ep=2, sp=True), component="moe")
    routed = 32 * BATCH * SEQ * 2 * 4096 * BF16
    assert found["all-to-all", "xe", "forward"] == found["all-to-all", "z", "forward"] == routed // 2
    assert found["all-gather", "xe", "forward"] == found["reduce-scatter", "z", "forward"] == routed
    assert found["reduce-scatter", "dxe", "backward"] == found["all-gather", "dz", "backward"] == routed


def test_sequence_parallel_experts_over_fewer_tensor_parallel_ranks() -> None:
    found = volumes(train("mixtral-8x7b", dp=2, tp=4, ep=2, etp=2, sp=True), component="moe")
    routed = 32 * BATCH * SEQ * 2 * 4096 * BF16
    assert found["all-to-all", "xe", "forward"] == routed // 4
    assert found["all-gather", "xe", "forward"] == found["reduce-scatter", "z", "forward"] == routed // 2


def test_experts_over_more_ranks_than_the_rest_are_refused() -> None:
    with pytest.raises(UnsupportedError) as caught:
        train("mixtral-8x7b", dp=4, tp=2, ep=2, etp=4)
    assert caught.value.parameter == "etp"


# ------------------------------------------------------------------ other parallelism


def test_zero_sends_two_or_three_times_the_weights() -> None:
    """[rajbhandari2019, Section 7] the tables and the head stay gathered, so they are sent twice."""
    n, total = 4, llmcalc.params("llama3-8b").total
    outside = 2 * 128256 * 4096 + 4096
    for zero in (0, 1, 2):
        assert train("llama3-8b", dp=n, zero=zero).sent == 2 * total * BF16 * (n - 1) // n
    assert train("llama3-8b", dp=n, zero=3).sent == (3 * total - outside) * BF16 * (n - 1) // n
    assert train("llama3-8b", dp=n, gradients="fp32").sent == 2 * total * FP32 * (n - 1) // n


def test_zero_with_several_micro_batches() -> None:
    """Stages below 2 reduce the gradients once, and higher ones after every micro-batch."""
    total = llmcalc.params("llama3-8b").total * BF16
    for zero, times in ((0, 1), (1, 1), (2, 5), (3, 5)):
        found = volumes(train("llama3-8b", dp=4, zero=zero, micro_batches=5), tensor="gradients")
        assert sum(found.values()) == times * total


def test_a_stage_gathers_its_weights_once() -> None:
    """A pipeline stage keeps gathered weights until the last micro-batch, as in the memory model."""
    found = train("llama3-8b", pp=2, dp=4, zero=3, micro_batches=5)
    layers, head = 16 * 218112000, 128256 * 4096 + 4096
    assert {(each.kind, each.phase) for each in found.collectives if each.group == "dp"} == {
        ("all-gather", "forward"),
        ("reduce-scatter", "update"),
    }
    for name in ("weights", "gradients"):
        assert sum(volumes(found, tensor=name).values()) == (layers + head) * BF16


def test_a_shared_block_reduces_its_gradients_once() -> None:
    found = train("albert-base", tp=2, sp=True)
    norms = volumes(found, component="norm", phase="update", kind="all-reduce", group="tp")
    assert sum(norms.values()) == (4 * 768 + 2 * 128) * BF16
    zamba = train("zamba2-1.2b", tp=2, sp=True).sizes
    assert [each.times for each, _, _ in zamba if each.tensor == "dwq_a"] == [1]
    assert volumes(found, component="attention", tensor="y")["reduce-scatter", "y", "forward"] == (
        12 * BATCH * SEQ * 768 * BF16
    )


def test_experts_have_fewer_replicas() -> None:
    found = train("mixtral-8x7b", dp=4, ep=2)
    assert {each.ranks: volume for each, volume, _ in found.sizes if each.component == "routed experts"} == {
        2: 32 * 4 * 3 * 4096 * 14336 * BF16
    }


def test_context_parallelism_exchanges_keys_and_values() -> None:
    found = train("llama3-8b", cp=2, tp=2)
    each = 32 * BATCH * SEQ * 4 * 128 * BF16
    assert volumes(found, group="cp") == {
        (kind, name.format(tensor), phase): each
        for tensor in ("k", "v")
        for kind, name, phase in (
            ("all-gather", "{}", "forward"), ("all-gather", "{}, gathered again", "backward"),
            ("reduce-scatter", "d{}", "backward"),
        )
    }  # fmt: skip
    halved = volumes(found, component="mlp", group="tp")
    assert set(halved.values()) == {32 * BATCH * SEQ * 4096 * BF16 // 2}
    with pytest.raises(UnsupportedError) as caught:
        train("mamba-130m", cp=2)
    assert caught.value.parameter == "cp"


def test_a_token_shift_receives_one_token() -> None:
    """RWKV-4 has 12 layers with a time mix and a channel mix, both of which read the previous token."""
    token = 2 * 12 * BATCH * 768 * BF16
    found = volumes(train("rwkv4-169m", tp=2, sp=True), kind="send")
    assert found == {
        ("send", "halo of shifted", "forward"): token, ("send", "halo of dshifted", "backward"): token,
    }  # fmt: skip
    assert not volumes(train("rwkv4-169m", tp=2), kind="send")


def test_a_product_of_equal_tensors_is_reduced_before() -> None:
    """The channel mix of RWKV multiplies its value, a partial sum, by a receptance that all ranks compute."""
    each = 12 * BATCH * SEQ * 768 * BF16
    assert volumes(train("rwkv4-169m", tp=2), component="rwkv channel mix") == {
        ("all-reduce", "v", "forward"): each, ("all-reduce", "dxk", "backward"): each,
    }  # fmt: skip


def test_overlapping_summaries_receive_the_tokens_of_one_summary() -> None:
    """DeepSeek-V4-Flash has 21 layers with summaries of 4 tokens that overlap, of width 512, and 128 in the indexer."""
    found = volumes(train("deepseek-v4", cp=2), kind="send")
    keys, indexer = (21 * BATCH * 4 * width * BF16 for width in (512, 128))
    assert found["send", "halo of tkv", "forward"] == found["send", "halo of tgate", "forward"] == keys + indexer
    assert found["send", "halo of dtkv", "backward"] == found["send", "halo of dtgate", "backward"] == keys


def test_context_parallel_ranks_exchange_all_summaries() -> None:
    """A query selects 512 summaries of 4 tokens, and the queries of a rank select different ones."""
    seq = 4 * 1031
    found = llmcalc.communication("deepseek-v4", batch=BATCH, seq=seq, mode="train", cp=2)
    selected, every = (
        BATCH * (21 * (seq // 4) + 20 * (seq // 128)) * 512 * BF16, volumes(found)["reduce-scatter", "dckv", "backward"]
    )  # fmt: skip
    assert selected == every


@pytest.mark.parametrize(("chunks", "sends"), [(1, [1, 2, 2, 1]), (2, [3, 4, 4, 3])])
def test_stages_send_the_stream_and_its_gradient(chunks: int, sends: list[int]) -> None:
    found = train("llama3-8b", pp=4, virtual_stages=chunks, micro_batches=5)
    each = 5 * BATCH * SEQ * 4096 * BF16
    assert list(found.sent_by_stage) == [count * each for count in sends]
    assert found.sent == max(found.sent_by_stage)
    divided = train("llama3-8b", pp=4, tp=2, sp=True)  # the last stage, with the head, sends only gradients
    assert divided.worst_stage == 3
    assert divided.by_group["pp"] == 4 * BATCH * SEQ * 4096 * BF16 // 2


@pytest.mark.parametrize(("mode", "tokens"), [("forward", SEQ), ("decode", 1)])
def test_stages_send_the_stream_once_per_step_of_serving(mode: str, tokens: int) -> None:
    """A tensor-parallel rank sends the whole stream, and all-reduces the sub-layers of its stage twice per layer."""
    for name, layers in (("llama3-8b", [8] * 4), ("qwen3-14b", [10] * 4), ("gpt2", [3] * 4)):
        context = SEQ if mode == "decode" else None
        found = llmcalc.communication(name, batch=BATCH, seq=tokens, mode=mode, context=context, tp=2, pp=4)
        stream = BATCH * tokens * found.architecture.main.d_model * BF16
        sums = [[each.sizes(found.values)[1] for each in stage if each.group == "tp"] for stage in found.stages]
        assert [sum(stage) - (number == 0) * stream for number, stage in enumerate(sums)][:3] == [
            2 * n * stream for n in layers[:3]
        ]
        sends = [[each.sizes(found.values) for each in stage if each.group == "pp"] for stage in found.stages]
        assert sends == [[(stream, stream)]] * 3 + [[]]
        assert set(found.by_phase) == {"forward"}


def test_the_stages_of_serving_have_the_layers_of_the_memory_model() -> None:
    found = llmcalc.communication("llama3-8b", seq=3, tp=2, pp=5)
    assert len(found.sent_by_stage) == 5
    assert [sum(each.times for each in stage if each.kind == "all-reduce") for stage in found.stages] == [
        1 + 12, 12, 14, 14, 12,
    ]  # fmt: skip


def test_context_parallel_ranks_store_the_same_experts() -> None:
    found = train("mixtral-8x7b", dp=2, cp=3, ep=2)
    experts = 32 * 4 * 3 * 4096 * 14336 * BF16
    assert {each.ranks: volume for each, volume, _ in found.sizes if each.component == "routed experts"} == {3: experts}


def test_stages_reduce_the_gradient_of_a_tied_table() -> None:
    found = volumes(train("gpt2", pp=2))
    assert found["all-reduce", "tied gradients", "update"] == 50257 * 768 * BF16


# ------------------------------------------------------------------ properties

MESHES = (
    {"tp": 2}, {"tp": 2, "sp": True}, {"cp": 2}, {"dp": 2, "ep": 2}, {"tp": 2, "ep": 2, "etp": 1},
    {"dp": 2, "tp": 2, "ep": 4, "etp": 1, "zero": 3},
)  # fmt: skip
RECURRENT = ("qwen3-next", "mamba2-130m")
WITHOUT_EXPERTS = ("gpt3", "t5-small", "mamba2-130m")


@pytest.mark.parametrize("name", ["gpt3", "mixtral-8x7b", "deepseek-v3", "t5-small", *RECURRENT])
def test_the_tree_and_the_closed_form_are_the_sum(name: str) -> None:
    for mesh in MESHES:
        if ("cp" in mesh and name in RECURRENT) or ("ep" in mesh and name in WITHOUT_EXPERTS):
            continue
        found = train(name, **mesh)
        tree = communication_tree(found)
        assert tree.value == found.sent == found.form(**found.values) == sum(found.by_component.values())
        assert found.sent == sum(found.by_group.values()) == sum(found.by_phase.values())


def test_sizes_are_rounded_up_once() -> None:
    """A ring over 3 ranks sends 4/3 of the tensor; only the coefficients of the closed form are rounded."""
    found = train("bert", tp=3)
    assert found.sent == sum(-(-volume * 4 // 3) for _, volume, _ in found.sizes)
    assert found.sent <= found.form(**found.values) <= found.sent + BATCH * SEQ * len(found.sizes)
    assert communication_tree(found).value == found.sent


def test_one_rank_sends_nothing() -> None:
    for name in sorted(names())[::17]:
        for mode, context in (("train", None), ("decode", 5)):
            found = llmcalc.communication(name, mode=mode, context=context, seq=1)
            assert found.sent == 0, name
            assert not found.collectives


@pytest.mark.parametrize("setting", ["cp", "zero", "micro_batches", "virtual_stages"])
def test_settings_of_training_are_refused_in_serving(setting: str) -> None:
    with pytest.raises(InputError) as caught:
        llmcalc.communication("gpt2", **{setting: 2})
    assert caught.value.parameter == setting
