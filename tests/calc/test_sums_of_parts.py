"""Parts of a result add up to the result, and a closed form has its value."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.calc.kv_cache import state
from llmcalc.calc.memory.weight_formats import TABLES
from llmcalc.calc.sharding import Mesh
from llmcalc.calc.touched_experts import expected_active_experts
from llmcalc.core.errors import UnsupportedError
from llmcalc.data import tables
from llmcalc.inputs.number_formats import number_format
from llmcalc.layers import Embedding

BITS = 8
MODELS = ("gpt2", "mixtral-8x7b", "deepseek-v3", "mamba-130m")
MESHES: tuple[dict[str, Any], ...] = ({"tp": 2, "sp": True}, {"dp": 4, "ep": 4, "pp": 2}, {"tp": 4, "ep": 4, "etp": 1})


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("weights", ["bf16", "nf4"])
def test_the_weights_of_each_component_are_rounded_up(model: str, weights: str) -> None:
    found = llmcalc.memory(model, seq=7, weights=weights)
    parts = found.weights_by_component
    assert min(parts.values()) > 0
    assert found.weights <= sum(parts.values()) < found.weights + len(parts)


@pytest.mark.parametrize("name", [None, *tables("formats")])
def test_the_closed_form_of_a_state_gives_its_bytes(name: str | None) -> None:
    for model in map(llmcalc.load, MODELS):
        found = state(model, batch=2, seq=37, cache=number_format(name) if name else None)
        try:
            bits = found.bits_form
        except UnsupportedError:
            continue
        assert int(bits(**found.workload.values(model))) == BITS * found.bytes


@pytest.mark.parametrize("mesh", MESHES, ids=str)
def test_the_ranks_of_a_collective_are_a_dimension_of_the_mesh(mesh: dict[str, Any]) -> None:
    found = llmcalc.communication("mixtral-8x7b", batch=8, seq=64, mode="train", **mesh)
    assert found.collectives
    assert {each.group for each in found.collectives} <= set(Mesh.__match_args__)
    assert {each.kind for each in found.collectives} <= {
        "all-reduce",
        "all-gather",
        "reduce-scatter",
        "all-to-all",
        "send",
    }


@pytest.mark.parametrize("zero", [0, 3])
def test_frozen_weights_take_as_much_as_trained_weights(zero: int) -> None:
    trained, frozen = (
        llmcalc.memory(
            "llama3.2-1b", mode="training", seq=31, lora_rank=7, weights=weights, mesh=Mesh(dp=2, zero=zero)
        ).worst
        for weights in (None, "bf16")
    )
    assert [moment.gathered for moment in frozen.timeline] == [moment.gathered for moment in trained.timeline]
    assert frozen.weights == trained.weights


@pytest.mark.parametrize("model", [*MODELS, "t5-small", {"model_type": "llama"}], ids=str)
def test_saved_tensors_in_fp32_take_at_most_twice_as_much(model: Any) -> None:
    half, full = (
        llmcalc.memory(model, mode="training", seq=31, dtype=dtype, convention="torch").activations
        for dtype in ("bf16", "fp32")
    )
    assert half < full <= 2 * half


def test_only_updates_depend_on_the_format_of_gradients() -> None:
    half, full = (
        llmcalc.communication("qwen3-8b", batch=2, seq=64, mode="train", tp=2, sp=True, gradients=gradients).sizes
        for gradients in ("bf16", "fp32")
    )
    assert {each.phase for each, *_ in half} == {"forward", "backward", "update"}
    for (each, volume, _), (_, in_fp32, _) in zip(half, full, strict=True):
        assert in_fp32 == volume * (2 if each.phase == "update" else 1), each


@pytest.mark.parametrize("cache", [None, "q8_0", "q4_0"])
def test_a_decode_step_reads_the_cache_and_writes_one_token(cache: str | None) -> None:
    context, settings = 64, {"cache": cache} if cache else {}
    found = llmcalc.traffic("llama3.2-1b", mode="decode", batch=2, context=context, **settings)
    assert found.by_kind["cache"] == llmcalc.state("llama3.2-1b", batch=2, seq=context + 2, **settings).bytes


def test_every_kind_of_table_keeps_its_format() -> None:
    assert set(TABLES) == {f"{table} embedding" for table in Embedding.CHOICES["table"]}


def test_one_token_touches_its_own_experts_and_many_tokens_touch_all() -> None:
    assert expected_active_experts(128, 4, 1) == 4
    assert expected_active_experts(8, 2, 1000) == pytest.approx(8)


def test_the_tree_of_parameters_names_layers_and_their_parts_as_the_rows_do() -> None:
    found = llmcalc.params("deepseek-v3")
    rows = [row for row in found.rows if not row.tensor.buffer]
    assert {node.label for _, node in found.tree.walk()} >= {".".join((row.entry.name, *row.part)) for row in rows}
