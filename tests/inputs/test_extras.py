"""Extras that are counted with a model: modules for multi-token prediction, heads of pre-training and encoders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.memory.saved_tensors import ActivationPolicy
from llmcalc.calc.memory.training import saved_tensors
from llmcalc.calc.sharding import Mesh
from llmcalc.cli.main import main
from llmcalc.core.architecture import PREDICTION, Architecture, Extra
from llmcalc.core.errors import InputError
from llmcalc.core.ledger import rows
from llmcalc.core.workload import Workload
from llmcalc.inputs.extras import ASSUMED, extras_of, like_last_layer, prediction_of, with_extras
from llmcalc.report.search import index
from llmcalc.twins import twin

V3, SIX_TIMES = "deepseek-v3", 6
DEEPSEEK_HUB = 684_531_386_000  # elements of the safetensors of deepseek-ai/DeepSeek-V3, according to the Hub
BLOCK = 128 * 128  # weights with one scale in a checkpoint of DeepSeek-V3
REUSES_INDEXER = "glm-5.2"  # whose last layer, and so the assumed module, selects the tokens of an earlier layer


def presets() -> Iterator[tuple[str, str]]:
    """Yield the largest size of each family that has extras, with each of them."""
    for sizes in index().values():
        name = [name for name, _, _ in sizes.values()][-1]
        for extra in extras_of(llmcalc.load(name)):
            yield name, extra.stack.name


PRESETS = [*presets()]


def alone(model: Architecture, extra: Extra) -> Architecture:
    """The modules of an extra as a model of their own."""
    stacks = with_extras(model, [extra.stack.name]).stacks[len(model.stacks) :]
    assert len(stacks) == extra.count
    return Architecture(extra.name, stacks)


def extra_named(model: Architecture, name: str) -> Extra:
    return next(extra for extra in extras_of(model) if extra.stack.name == name)


@pytest.mark.parametrize(("name", "extra"), PRESETS)
def test_a_model_with_an_extra_is_the_sum_of_both(name: str, extra: str) -> None:
    model = llmcalc.load(name)
    whole, own = llmcalc.load(name, extras=[extra]), alone(model, extra_named(model, extra))
    reads_images = any(stack.role == "tower" for stack in own.stacks)
    sizes: dict[str, Any] = {"seq": 96, "batch": 3}

    def sums(count: Any, patches: bool = reads_images) -> None:
        more = {"patches": 36} if patches else {}
        assert count(whole, more) == count(model, {}) + count(own, more)

    sums(lambda each, more: llmcalc.flops(each, **sizes, **more).matmul)
    sums(lambda each, more: llmcalc.flops(each, **sizes, **more).other)
    sums(lambda each, more: llmcalc.flops(each, **sizes, mode="train", **more).total)

    def saved(each: Architecture, more: dict[str, int]) -> int:
        step = Workload(mode="train", **sizes, **more)
        return sum(size for _, size in saved_tensors(each, step, ActivationPolicy(), Mesh()))

    sums(saved)
    stored = rows((*whole.stacks,))
    added = [row for row in stored if row.entry.stack.name not in {stack.name for stack in model.stacks}]
    n_added = sum(row.size * row.copies for row in added if not row.tensor.buffer)
    assert llmcalc.params(whole).total == llmcalc.params(model).total + n_added
    assert [count for found, count in llmcalc.params(model).extras if found.stack.name == extra] == [n_added]
    training = [llmcalc.memory(each, mode="training", seq=96, extend=True) for each in (model, whole)]
    assert training[1].weights - training[0].weights == 2 * n_added
    assert training[1].peak > training[0].peak


@pytest.mark.parametrize("name", [*dict.fromkeys(name for name, extra in PRESETS if extra == "multi_token_prediction")])
def test_the_numpy_model_runs_multi_token_prediction(name: str) -> None:
    model = llmcalc.load(name, extras=["mtp"])
    if name.startswith(REUSES_INDEXER):
        with pytest.raises(InputError, match="no earlier layer has an indexer selection"):
            llmcalc.verify(model)
        return
    result = llmcalc.verify(model)
    assert result.ok, [check for check in result.checks if not check.ok]
    assert any(stack.role == PREDICTION for stack in result.small.stacks)


def test_the_published_sizes_of_deepseek_v3_include_the_module() -> None:
    """README_WEIGHTS.md: 11.5B of its own, and 2.4B active with both vocabulary tables. The Hub counts 685B with both
    tables again and with a scale for each block of weights.
    """
    model, whole = llmcalc.load(V3), llmcalc.load(V3, extras=["mtp"])
    added = llmcalc.params(whole).total - llmcalc.params(model).total
    assert added == pytest.approx(11.5e9, rel=0.01)
    tables = 2 * 129_280 * 7168
    assert llmcalc.params(whole).active - llmcalc.params(model).active + tables == pytest.approx(2.4e9, rel=0.06)
    scales = DEEPSEEK_HUB - llmcalc.params(whole).total - tables
    quantised = sum(size for name, size in llmcalc.params(whole).by_component.items() if name not in ("norm", "router"))
    assert scales == pytest.approx((quantised - tables // 2) / BLOCK, rel=0.01)


def test_multi_token_prediction_is_four_percent_of_the_training_of_deepseek_v3() -> None:
    step = llmcalc.flops(V3, seq=4096, mode="train")
    whole = llmcalc.flops(llmcalc.load(V3, extras=["mtp"]), seq=4096, mode="train")
    assert whole.matmul / step.matmul == pytest.approx(1.041, abs=0.001)
    assert step.of_model(whole.architecture).matmul == whole.matmul
    tokens, width, vocabulary = 4096, 7168, 129_280
    by_hand = SIX_TIMES * tokens * (2 * width * width + width * vocabulary)  # the projection, and the head once more
    heads = {name: count.matmul for name, count in whole.by_component.items()}
    assert heads["head"] + heads["linear"] == by_hand + step.by_component["head"].matmul


@pytest.mark.parametrize(
    ("name", "each"), [("mimo-v2-flash", 0.329e9), ("mimo-v2.5", 0.329e9), ("glm-5.3-flash", 7.4e9)]
)
def test_published_sizes_of_other_modules(name: str, each: float) -> None:
    """MiMo-V2-Flash: README.md, 0.33B per block. MiMo-V2.5 and GLM-5.3-Flash: notes of the presets."""
    model = llmcalc.load(name)
    extra = prediction_of(model)
    assert extra is not None
    (count,) = [count for found, count in llmcalc.params(model).extras if found == extra]
    assert count / extra.count == pytest.approx(each, rel=0.01)


def test_the_last_pipeline_stage_has_the_module() -> None:
    model, whole = llmcalc.load(V3), llmcalc.load(V3, extras=["mtp"])
    run: dict[str, Any] = {"mode": "training", "seq": 4096, "mesh": Mesh(pp=4, dp=8, ep=8)}
    one, both = llmcalc.memory(model, **run), llmcalc.memory(whole, **run)
    assert [each.weights for each in both.stages[:3]] == [each.weights for each in one.stages[:3]]
    table = 2 * 129_280 * 7168
    alone_on_rank = both.stages[3].weights - one.stages[3].weights
    experts = 3 * 7168 * 2048 * 256
    added = llmcalc.params(whole).total - llmcalc.params(model).total
    assert alone_on_rank == 2 * (added - experts + experts // 8) + table  # the stage stores the table once more
    sent = [llmcalc.communication(each, seq=64, mode="train", mesh=run["mesh"]).sent for each in (model, whole)]
    assert sent[1] > sent[0]


def test_both_losses_are_in_memory_before_the_backward_pass() -> None:
    sizes: dict[str, Any] = {"mode": "training", "seq": 4096}
    with_fused, eager = (
        {each: llmcalc.memory(llmcalc.load(V3, extras=each), loss=loss, **sizes).activations for each in ((), ("mtp",))}
        for loss in ("fused", "eager")
    )
    log_probabilities = 4096 * 129_280 * 4
    without = eager[()] - with_fused[()]
    assert eager["mtp",] - with_fused["mtp",] == 2 * without
    assert without % log_probabilities in (0, log_probabilities // 2)


def test_a_module_reads_the_next_token_and_the_stream() -> None:
    """The logits of a module change with the next token, and those of the model do not."""
    import numpy as np

    model = twin(llmcalc.load(V3, extras=["mtp"]).shrink())
    ids = np.arange(3, 13)[None]
    logits, predicted = model.forward(ids), model.predictions[0]
    assert predicted.shape == logits.shape
    other = ids.copy()
    other[0, -1] += 1
    again, later = model.forward(other), model.predictions[0]
    same = np.isclose(logits, again).all(axis=-1)[0]
    assert same[:-1].all()
    assert not same[-1]
    assert np.isclose(predicted, later).all(axis=-1)[0, :-2].all()
    assert not np.isclose(predicted, later).all(axis=-1)[0, -2]


def test_names_of_extras() -> None:
    for name in ("mtp", "multi_token_prediction", "multi-token-prediction", "multi token prediction"):
        assert [stack.role for stack in llmcalc.load(V3, extras=[name]).stacks] == ["decoder", PREDICTION]
    with pytest.raises(InputError, match="llama3-8b has no extras"):
        llmcalc.load("llama3-8b", extras=["mtp"])
    with pytest.raises(InputError, match="unknown extra 'mtq'"):
        llmcalc.load(V3, extras=["mtq"])
    twice = with_extras(llmcalc.load("bert-base-uncased"), ["next sentence head", "masked_language_model_head"])
    assert [len(twice.stacks), len(twice.extras)] == [3, 0]
    with pytest.raises(InputError, match="has no extras"):
        with_extras(twice, ["next sentence head"])


def test_a_config_states_the_number_of_modules() -> None:
    config = {
        "model_type": "glm4_moe", "hidden_size": 44, "intermediate_size": 66, "moe_intermediate_size": 26,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "n_routed_experts": 8,
        "num_experts_per_tok": 2, "vocab_size": 101, "num_nextn_predict_layers": 2, "head_dim": 10,
        "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "n_shared_experts": 1,
    }  # fmt: skip
    model = llmcalc.load(config)
    assert any(note.startswith("not counted: modules for multi-token prediction") for note in model.notes)
    whole = llmcalc.load(config, extras=["mtp"])
    assert [stack.name for stack in whole.stacks[1:]] == ["multi_token_prediction", "multi_token_prediction_2"]
    assert whole.notes[0] == f"multi_token_prediction: {ASSUMED}"
    assert not any("not counted" in note for note in whole.notes)
    assert prediction_of(whole) is None
    last = llmcalc.params(model).by_layer[-1]
    each = last + 2 * 44 * 44 + 3 * 44
    assert llmcalc.params(whole).total - llmcalc.params(model).total == 2 * each
    assert like_last_layer(model).stack.name == whole.stacks[1].name


def run(capsys: pytest.CaptureFixture[str], line: str) -> dict[str, Any]:
    assert main([*line.split(), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_commands_count_extras(capsys: pytest.CaptureFixture[str]) -> None:
    whole = llmcalc.load(V3, extras=["mtp"])
    found = run(capsys, f"params {V3} --with mtp")
    assert found["result"]["total"] == llmcalc.params(whole).total
    assert found["inputs"]["extras"] == ["multi_token_prediction"]
    assert run(capsys, f"flops {V3} --with mtp --seq 64")["result"]["matmul"] == llmcalc.flops(whole, seq=64).matmul
    memory = run(capsys, f"memory {V3} --training --with mtp --seq 64")["result"]
    assert memory["peak"] == llmcalc.memory(whole, mode="training", seq=64).peak
    train = run(capsys, f"train {V3} --with mtp --tokens 1B --gpu h800:2048")["result"]
    assert train["compute"] == llmcalc.train(whole, "1B").compute
    assert train["step_time"]["seconds"] > 0
    assert run(capsys, f"verify {V3} --with mtp")["result"]["ok"]


def test_training_says_what_it_does_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    text = "multi-token prediction is not counted; --with mtp adds 4.1 % to the FLOPs"
    assert text in run(capsys, f"train {V3} --tokens 1B --seq 4096")["result"]["notes"]
    assert text in run(capsys, f"flops {V3} --mode train --seq 4096")["result"]["notes"]
    for line in (
        f"train {V3} --tokens 1B --seq 4096 --with mtp", f"flops {V3} --seq 4096", "train llama3-8b --tokens 1B",
        f"train {V3} --tokens 1B --gpu h800:2048 --lora-rank 8 --lora-target wo",
    ):  # fmt: skip
        notes = run(capsys, line)["result"]["notes"]
        assert not any("multi-token prediction is not counted" in note for note in notes)
    (note,) = (each for each in run(capsys, "train mimo-v2-flash --tokens 1B")["result"]["notes"] if "modules)" in each)
    assert note.startswith("multi-token prediction (3 modules) is not counted; --with mtp adds 1")
