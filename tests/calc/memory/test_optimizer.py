"""Optimizer states and adapters, compared with counts by hand."""

import pytest

import llmcalc
from llmcalc.core.ledger import rows

MODEL = llmcalc.load("llama3.2-1b")
TARGETS = ("q_proj", "wk", "wv", "wo")
TOTAL = llmcalc.params(MODEL).total
MATRICES = sum(row.size * row.copies for row in rows(MODEL.stacks) if row.tensor.linear)


def optimizer_bytes(name, **settings):
    return llmcalc.memory(MODEL, mode="training", seq=64, optimizer=name, **settings).optimizer


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("adamw", 8 * TOTAL),
        ("sgd", 0),
        ("sgd-momentum", 4 * TOTAL),
        ("lion", 4 * TOTAL),
        ("muon", 4 * MATRICES + 8 * (TOTAL - MATRICES)),
    ],
)
def test_states_beside_a_master_copy(name, states):
    assert optimizer_bytes(name) == 4 * TOTAL + states
    assert optimizer_bytes(name, master=False) == states


def test_adafactor_keeps_sums_of_rows_and_columns():
    """[shazeer2018]: vectors whole, matrices as rows + columns."""
    expected = 0
    for row in rows(MODEL.stacks):
        sizes = [
            row.declaration.axes[group[0]] * (row.declaration.axes[group[1]] if len(group) > 1 else 1)
            for group in row.tensor.groups
        ]
        expected += row.copies * 4 * (sum(sizes) if len(sizes) > 1 else row.size)
    assert optimizer_bytes("adafactor", master=False) == expected


def test_eight_bit_states_add_a_maximum_to_each_block():
    expected = sum(row.copies * 2 * (row.size + 4 * -(-row.size // 2048)) for row in rows(MODEL.stacks))
    assert optimizer_bytes("adam-8bit", master=False) == expected


@pytest.mark.parametrize(("rank", "printed"), [(1, 4.72e6), (8, 37.75e6)])
def test_lora_counts_of_gpt3(rank, printed):
    """[hu2021, Table 4 and Section 7.1]: adapters on queries and values of GPT-3."""
    model = llmcalc.load("gpt3-175b")
    memory = llmcalc.memory(model, mode="training", seq=64, lora_rank=rank, lora_targets=("wq", "wv"))
    assert memory.gradients / 4 == pytest.approx(printed, rel=1e-3)


def test_frozen_matrices_keep_nothing_for_themselves():
    own = {"lora_rank": 7, "lora_targets": TARGETS, "loss": "eager"}
    whole, adapters = (llmcalc.memory(MODEL, mode="training", seq=512, **settings) for settings in ({}, own))
    assert adapters.activations < whole.activations
    assert adapters.gradients == 4 * 7 * 16 * ((2048 + 2048) * 2 + (2048 + 512) * 2)
    assert adapters.optimizer == 2 * adapters.gradients
    assert adapters.weights == whole.weights + adapters.gradients


def test_quantised_weights_stand_beside_adapters():
    plain, quantised = (
        llmcalc.memory(MODEL, mode="training", seq=64, lora_rank=7, weights=weights, master=False)
        for weights in (None, "nf4")
    )
    assert quantised.weights < plain.weights / 2
    assert quantised.activations == plain.activations


def test_peft_converts_what_is_not_quantised_to_fp32():
    """``prepare_model_for_kbit_training``: token table (which is the head) and norms in fp32, and a stream of fp32."""
    prepared, left = (qlora(seq=509, master=master) for master in (True, False))
    adapters = prepared.gradients // 4
    others = TOTAL - MATRICES
    assert prepared.weights - left.weights == 2 * others + 2 * adapters
    assert [saved_input(each) for each in (prepared, left)] == [4 * 509 * 2048, 2 * 509 * 2048]
    sharded = qlora(seq=509, mesh=llmcalc.Mesh(dp=2, zero=3))
    assert sharded.weights < left.weights
    assert saved_input(sharded) == saved_input(prepared)


def test_the_loss_of_transformers_by_version():
    """Bytes per logit: log-probabilities and two gradients in fp32; 2 + 4 + 4 + 4 before 4.49; 256 tokens at once."""
    logits = 509 * 128256
    largest = {loss: at_loss(qlora(seq=509, master=False, loss=loss)) for loss in ("eager", "shifted", "chunked")}
    assert largest["eager"] == 12 * logits
    assert largest["shifted"] == 14 * logits
    assert largest["chunked"] == 2 * 509 * 2048 + 14 * 256 * 128256
    head = 2 * 128256 * 2048  # the 16-bit copy of an fp32 head
    assert at_loss(qlora(seq=509, loss="shifted")) == 14 * logits + head


def test_offload_moves_bytes_to_the_host():
    mesh = llmcalc.Mesh(dp=2, zero=3)
    whole, optimizer, weights = (
        llmcalc.memory(MODEL, mode="training", seq=64, mesh=mesh, offload=each)
        for each in (None, "optimizer", "weights")
    )
    assert (whole.host, optimizer.host) == (0, whole.optimizer)
    assert weights.host == whole.optimizer + whole.weights + whole.gradients
    assert (optimizer.optimizer, weights.weights, weights.gradients) == (0, 0, 0)
    assert whole.peak > optimizer.peak > weights.peak
    with pytest.raises(llmcalc.InputError, match="ZeRO-3"):
        llmcalc.memory(MODEL, mode="training", seq=64, offload="weights")


def qlora(**settings):
    return llmcalc.memory(MODEL, mode="training", lora_rank=7, weights="nf4", recompute="full", **settings)


def saved_input(memory):
    block = next(each for each in memory.schedule.segments if not each.is_outside)
    return int(block.saved)


def at_loss(memory):
    return int(memory.schedule.loss.saved + memory.schedule.loss.transient)


@pytest.mark.parametrize(
    ("settings", "parameter"),
    [
        ({"optimizer": "adam"}, "optimizer"),
        ({"lora_rank": 0}, "lora_rank"),
        ({"lora_rank": 4, "lora_targets": ("c_attn",)}, "lora_targets"),
        ({"weights": "nf4"}, "weights"),
        ({"recompute": "some"}, "recompute"),
        ({"dtype": "int4"}, "dtype"),
    ],
)
def test_bad_settings_are_refused(settings, parameter):
    with pytest.raises(llmcalc.InputError) as caught:
        llmcalc.memory(MODEL, mode="training", seq=64, **settings)
    assert caught.value.parameter == parameter
