"""Costs against the context: the points are those of the calculators, and crossings lie where the order changes."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.report.cost_curves import flops_document, lengths_for, memory_document, state_document
from llmcalc.report.pictures import Bars, Chart
from llmcalc.report.served_model import ServedModel

LENGTHS = [1024, 4096, 16384, 65536, 262144]
ATTENTION, MAMBA, GPT2 = llmcalc.load("llama3-8b"), llmcalc.load("mamba2"), llmcalc.load("gpt2")


def chart(document: object) -> Chart:
    (picture,) = document.pictures()  # type: ignore[attr-defined]
    assert isinstance(picture, Chart)
    return picture


def test_the_points_are_those_of_the_calculators() -> None:
    drawn = chart(flops_document([ATTENTION, MAMBA], LENGTHS))
    assert [curve.name for curve in drawn.curves] == ["llama3-8b", "mamba2-2.7b"]
    for curve, model in zip(drawn.curves, (ATTENTION, MAMBA), strict=True):
        assert curve.points == tuple((s, llmcalc.flops(model, seq=s).total / s) for s in LENGTHS)


def test_one_model_is_shown_in_two_parts_that_add_up() -> None:
    core, rest, whole = chart(flops_document([ATTENTION], LENGTHS)).curves
    for (_, one), (_, other), (_, both) in zip(core.points, rest.points, whole.points, strict=True):
        assert one + other == pytest.approx(both, rel=1e-12)


def test_latent_attention_has_a_core_too() -> None:
    names = [curve.name for curve in chart(flops_document([llmcalc.load("deepseek-v3")], LENGTHS)).curves]
    assert names[0] == "attention scores and mix"


def test_what_has_no_attention_has_no_core_to_draw() -> None:
    document = flops_document([MAMBA], LENGTHS)
    assert "attention scores and mix" not in [curve.name for curve in chart(document).curves]
    assert "no values to plot for attention scores and mix" in document.notes


def test_states_cross_where_the_cache_outgrows_the_recurrent_state() -> None:
    document = state_document([ATTENTION, MAMBA], LENGTHS)
    (mark,) = chart(document).marks
    before, after = (llmcalc.state(ATTENTION, seq=s).bytes for s in (1024, 4096))
    assert before < llmcalc.state(MAMBA, seq=7).bytes < after
    assert 1024 < mark.x < 4096
    assert document.tables[1].rows[0][0] == "llama3-8b and mamba2-2.7b"


def test_a_learned_table_ends_the_curve() -> None:
    assert lengths_for(GPT2, LENGTHS) == [1024]
    assert [len(curve.points) for curve in chart(state_document([GPT2, MAMBA], LENGTHS)).curves] == [1, 5]


def test_memory_stands_beside_the_card() -> None:
    document = memory_document(ServedModel(ATTENTION, 3, 1024, "80GB"), LENGTHS)
    (picture,) = document.pictures()
    assert isinstance(picture, Bars)
    assert picture.limit == ("memory: 74.51 GiB", 80e9)
    (table,) = document.tables
    assert table.rows[0][-1] == "yes"
    assert table.rows[-1][-1] == "no"
    assert all(sum(row[1:-2]) == row[-2] for row in table.rows)


def test_memory_on_several_gpus_is_that_of_one() -> None:
    rows = [memory_document(ServedModel(ATTENTION, 3, 1024, gpu), LENGTHS).tables[0].rows for gpu in ("80GB", "80GB:2")]
    assert rows[1][-1][1] < rows[0][-1][1], "weights"
