"""Sweeps over sizes of a model by closed forms: every point equals a model that is loaded with the same overrides."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.analysis import sweep as sweeps
from llmcalc.core.errors import InputError
from llmcalc.schema.preset import choose_size, inherit
from llmcalc.schema.preset_files import files, find, read_preset

VALUES = (
    "params.total", "params.active", "params.embedding", "params.non_embedding", "flops.total", "flops.matmul",
    "flops.forward", "state.elements", "state.bytes",
)  # fmt: skip
MOST_SECONDS = 20  # a guard, as 120,000 points take minutes one by one


def sizes_of(name: str) -> dict[str, int]:
    """The integer variables of a preset."""
    found = find(name)
    data = inherit(read_preset(found.file), str(found.file)).data
    size = choose_size(data, found.size)
    variables = {**(data.get("variables") or {}), **((data.get("sizes") or {}).get(size) or {})}
    return {key: value for key, value in variables.items() if type(value) is int and value > 0}


def one_by_one(name: str, quantity: str, point: Mapping[str, int], **workload: Any) -> float | None:
    """The value of a model with overrides, or None if it is invalid."""
    group, _, part = quantity.partition(".")
    try:
        model = llmcalc.load(name, overrides=[f"{key}={value}" for key, value in point.items()])
        measure = {"params": llmcalc.params, "flops": llmcalc.flops, "state": llmcalc.state}[group]
        return float(getattr(measure(model, **({} if group == "params" else workload)), part))
    except InputError:
        return None


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_point_equals_that_of_a_loaded_model(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(files())))
    known = sizes_of(name)
    chosen = data.draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=3, unique=True))
    over: dict[str, list[int]] = {}
    for variable in chosen:
        usual = known[variable]
        scales = st.sampled_from([usual, 2 * usual, 3 * usual, 4 * usual, usual + 1, max(usual // 2, 1), 1])
        over[variable] = data.draw(st.lists(scales, min_size=1, max_size=4, unique=True))
    quantity = data.draw(st.sampled_from(VALUES))
    workload = {"seq": data.draw(st.integers(1, 3000)), "batch": data.draw(st.integers(1, 9)), "extend": True}
    given = {} if quantity.startswith("params") else workload
    expected = {}
    for place, point in sweeps.points([sweeps.Axis(key, tuple(values)) for key, values in over.items()]):
        expected[place] = one_by_one(name, quantity, point, **given)
    with pytest.MonkeyPatch.context() as changes:
        changes.setattr(sweeps, "FEWEST_COMPILED", 1)
        if all(value is None for value in expected.values()):
            with pytest.raises(InputError):
                llmcalc.sweep(name, quantity, over, skip_invalid=True, **given)
            return
        found = llmcalc.sweep(name, quantity, over, skip_invalid=True, **given)
    for place, value in expected.items():
        point = tuple(values[at] for values, at in zip(over.values(), place, strict=True))
        assert (point in found.reasons) == (value is None), (point, found.reasons)
        assert value is None or found.values[quantity][place] == value, (point, value)


@pytest.mark.parametrize("name", sorted(files()))
def test_each_size_of_each_preset_has_the_values_of_loaded_models(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "FEWEST_COMPILED", 1)
    for number, (variable, usual) in enumerate(sizes_of(name).items()):
        sizes = list(dict.fromkeys([usual, 2 * usual, 3 * usual, usual + 1, max(usual // 2, 1), 1]))
        quantity = ("params.total", "flops.total", "state.bytes")[number % 3]
        workload: dict[str, Any] = {} if number % 3 == 0 else {"seq": 37, "batch": 2, "extend": True}
        expected = [one_by_one(name, quantity, {variable: size}, **workload) for size in sizes]
        if set(expected) == {None}:
            with pytest.raises(InputError):
                llmcalc.sweep(name, quantity, {variable: sizes}, skip_invalid=True, **workload)
            continue
        found = llmcalc.sweep(name, quantity, {variable: sizes}, skip_invalid=True, **workload)
        values = {size: value for (size,), (value,), _ in found.rows()}
        assert values == dict(zip(sizes, expected, strict=True)), (variable, quantity)


def test_lengths_vary_with_the_sizes_of_the_model() -> None:
    over = {"n_layers": [2, 3, 5], "seq": [1, 7, 64], "d_ff": [64, 96], "batch": [1, 2]}
    found = llmcalc.sweep("llama3-8b", "flops.total", over)
    for i, n_layers in enumerate(over["n_layers"]):
        for j, seq in enumerate(over["seq"]):
            for k, d_ff in enumerate(over["d_ff"]):
                for m, batch in enumerate(over["batch"]):
                    point = {"n_layers": n_layers, "d_ff": d_ff}
                    value = one_by_one("llama3-8b", "flops.total", point, seq=seq, batch=batch)
                    assert found.values["flops.total"][i, j, k, m] == value


def test_settings_vary_with_the_sizes_of_the_model() -> None:
    over: dict[str, list[Any]] = {"cache": ["bf16", "fp8"], "n_layers": [*range(1, 30)]}
    found = llmcalc.sweep("llama3-8b", "state.bytes", over, seq=100)
    for i, cache in enumerate(over["cache"]):
        model = llmcalc.load("llama3-8b", overrides=["n_layers=29"])
        assert found.values["state.bytes"][i, 28] == llmcalc.state(model, seq=100, cache=cache).bytes


@pytest.mark.parametrize("name", ["llama3-8b", "gpt3", "deepseek-v3"])
def test_many_points_take_little_time(name: str) -> None:
    known = sizes_of(name)
    over = {"d_model": range(known["n_heads"], 401 * known["n_heads"], known["n_heads"]), "n_layers": range(10, 310)}
    begin = time.process_time()
    found = llmcalc.sweep(name, ["params.total", "flops.total", "state.bytes"], over)
    assert time.process_time() - begin < MOST_SECONDS
    assert found.points == 120_000
    for place in ((0, 0), (399, 299), (123, 45)):
        point = {key: values[at] for (key, values), at in zip(over.items(), place, strict=True)}
        for quantity, values in found.values.items():
            assert values[place] == pytest.approx(one_by_one(name, quantity, point), rel=1e-15)


# ------------------------------------------------------------------ invalid points


def test_an_invalid_point_is_an_error_with_a_hint() -> None:
    with pytest.raises(InputError, match=r"does not divide d_model(.|\n)*skip_invalid=True"):
        llmcalc.sweep("gpt3", "params.total", {"d_model": [960, 100], "n_layers": [2, 4]})
    with pytest.raises(InputError, match=r"does not divide d_model(.|\n)*skip_invalid=True"):
        llmcalc.sweep("gpt3", "params.total", {"d_model": [960, 100], "n_layers": range(2, 30)})


@pytest.mark.parametrize("layers", [(2, 4), tuple(range(2, 30))])
def test_invalid_points_are_skipped_with_a_reason(layers: tuple[int, ...]) -> None:
    over = {"n_layers": layers, "d_model": (960, 100)}
    found = llmcalc.sweep("gpt3", ["params.total", "flops.total"], over, skip_invalid=True)
    assert found.reasons == {(count, 100): "n_heads (96) does not divide d_model (100)" for count in layers}
    data = found.to_dict()
    assert data["values"]["params.total"][0][1] is None
    assert data["reasons"][0] == [None, "n_heads (96) does not divide d_model (100)"]
    assert data["values"]["flops.total"][1][0] == one_by_one(
        "gpt3", "flops.total", {"n_layers": layers[1], "d_model": 960}
    )


def test_lengths_and_layouts_are_skipped_one_by_one() -> None:
    found = llmcalc.sweep("gpt3", "flops.total", "seq=1k,2k,4k", skip_invalid=True)
    assert [*found.reasons] == [(4096,)]
    assert found.values["flops.total"][1] == llmcalc.flops("gpt3", seq=2048).total
    found = llmcalc.sweep("gpt3", "memory.peak", ["tp=1,5,2", "batch=1,2"], skip_invalid=True)
    assert [*found.reasons] == [(5, 1), (5, 2)]
    assert found.values["memory.peak"][2, 1] == llmcalc.memory("gpt3", batch=2, mesh=llmcalc.Mesh(tp=2)).peak


def test_a_sweep_without_a_valid_point_and_a_misspelt_name_are_errors() -> None:
    with pytest.raises(InputError, match="does not divide"):
        llmcalc.sweep("gpt3", "params.total", "d_model=100,101", skip_invalid=True)
    with pytest.raises(InputError, match="did you mean n_layers"):
        llmcalc.sweep("gpt3", "params.total", "n_layer=1,2", skip_invalid=True)
