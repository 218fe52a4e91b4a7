"""Sweeps: a corner equals the scalar, and the cost is that of points, not of layers."""

from __future__ import annotations

import itertools
import time
from typing import Any, ClassVar

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.analysis.axes import Axis, read_axis
from llmcalc.analysis.quantity import value_names
from llmcalc.core.errors import InputError

EXACT = 1e-15
MOST_SECONDS = 5  # a guard, as a search without end takes minutes
MOST_OPERATIONS = 10  # a point: products and sums of two monomials, an atom among them
AXES = {
    "seq=1k..8k:x2": Axis("seq", (1024, 2048, 4096, 8192)),
    "seq=1k..3000:+1k": Axis("seq", (1024, 2048)),
    "batch=1,8,64": Axis("batch", (1, 8, 64)),
    "batch=5": Axis("batch", (5,)),
    "target-seq=1M": Axis("target_seq", (2**20,)),
}


@pytest.mark.parametrize("text", AXES)
def test_axes_as_they_are_written(text: str) -> None:
    assert read_axis(text) == AXES[text]


@pytest.mark.parametrize(
    "text",
    ["seq", "seq=", "seq=1..2", "seq=1k..8k:x1", "seq=1k..8k:+0", "seq=0..8:x2", "seq=8..1:x2", "seq=1,,2", "seq=-1",
     "=1", "seq=1.5", "seq=1k..2k:y3"],
)  # fmt: skip
def test_what_is_no_axis(text: str) -> None:
    with pytest.raises(InputError, match="over: "):
        read_axis(text)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        ["gpt3", "gpt-oss-20b", "deepseek-v3", "jamba", "mamba2-130m", "t5-small", "rwkv4-169m", "hyena-125m"]
    ),
    st.sampled_from(["flops.total", "flops.matmul", "flops.other", "state.elements", "state.bytes", "params.total"]),
    st.lists(st.integers(1, 2000), min_size=1, max_size=3, unique=True),
    st.lists(st.integers(1, 512), min_size=1, max_size=3, unique=True),
    st.sampled_from(["forward", "train"]),
)
def test_every_point_equals_the_scalar(
    name: str, quantity: str, seqs: list[int], batches: list[int], mode: str
) -> None:
    model = llmcalc.load(name)
    axes = [Axis("seq", tuple(seqs)), Axis("batch", tuple(batches))]
    own = {"mode": mode} if quantity.startswith("flops") else {}
    found = llmcalc.sweep(model, quantity, axes, **own).values[quantity]
    group, part = quantity.split(".")
    for row, seq in enumerate(seqs):
        for column, batch in enumerate(batches):
            answer = {
                "flops": lambda: llmcalc.flops(model, batch=batch, seq=seq, mode=mode),  # noqa: B023
                "state": lambda: llmcalc.state(model, batch=batch, seq=seq),  # noqa: B023
                "params": lambda: llmcalc.params(model),
            }[group]()
            assert found[row, column] == pytest.approx(getattr(answer, part), rel=EXACT)


@pytest.mark.parametrize("quantity", [name for name in value_names() if name.startswith("memory")])
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_memory_equals_the_scalar(quantity: str, mode: str) -> None:
    model = llmcalc.load("llama3.2-1b")
    found = llmcalc.sweep(model, quantity, {"seq": (100, 1000), "batch": [2]}, training=mode == "training").values[
        quantity
    ]
    for row, seq in enumerate((100, 1000)):
        answer = llmcalc.memory(model, seq=seq, batch=2, mode=mode)
        assert found[row, 0] == getattr(answer, quantity.partition(".")[2])


@pytest.mark.parametrize("cache", ["fp8", "q8_0", "int8-head"])
def test_a_quantised_cache_equals_the_scalar(cache: str) -> None:
    model = llmcalc.load("llama3-8b")
    found = llmcalc.sweep(model, "memory.state", {"seq": (1, 77, 4096)}, cache=cache, page=16)
    for value, seq in zip(found.values["memory.state"], (1, 77, 4096), strict=True):
        assert value == llmcalc.memory(model, seq=seq, cache=cache, page=16).state
    assert not found.exact


def test_decode_steps_are_swept_over_their_context() -> None:
    model = llmcalc.load("gpt-oss-20b")
    contexts = (1, 127, 128, 129, 5000)
    found = llmcalc.sweep(model, "flops.total", {"context": contexts}, mode="decode", seq=1)
    for value, context in zip(found.values["flops.total"], contexts, strict=True):
        assert value == llmcalc.flops(model, mode="decode", seq=1, context=context).total


def test_a_point_that_is_no_workload_is_an_error() -> None:
    model = llmcalc.load("gpt3")
    with pytest.raises(InputError, match="4096 tokens exceed"):
        llmcalc.sweep(model, "flops.total", {"seq": (1024, 4096)})
    with pytest.raises(InputError, match="appears twice"):
        llmcalc.sweep(model, "flops.total", [Axis("seq", (1,)), Axis("seq", (2,))])
    with pytest.raises(InputError, match=r"flops\.total"):
        llmcalc.sweep(model, "flops.totl", {"seq": (1,)})
    with pytest.raises(InputError, match="too many"):
        llmcalc.sweep(model, "traffic.total", {"seq": range(1, 2000), "batch": range(1, 100)})


class Counted(numpy.ndarray):
    """An array that counts the elements that arithmetic with it makes."""

    made: ClassVar[int] = 0

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [value.view(numpy.ndarray) if isinstance(value, Counted) else value for value in inputs]
        result = getattr(function, method)(*plain, **options)
        Counted.made += result.size
        return result.view(Counted)


def operations(name: str, seqs: int, batches: int) -> float:
    """Array elements that are computed for one point of a sweep of a forward pass."""
    form = llmcalc.flops(llmcalc.load(name)).matmul_form
    seq, batch = numpy.ix_(numpy.arange(1.0, seqs), numpy.arange(1.0, batches))
    Counted.made = 0
    found = form(b=batch.view(Counted), q=seq.view(Counted), k=seq.view(Counted), c=0)
    return Counted.made / found.size


def test_the_cost_is_that_of_points_and_not_of_layers() -> None:
    """A handful of array operations a point: 12 layers or 96, a thousand points or a million."""
    few, many = operations("gpt3-small", 300, 300), operations("gpt3", 300, 300)
    assert few == many < MOST_OPERATIONS
    assert operations("gpt3", 1000, 1000) < many


@pytest.mark.parametrize(
    ("quantity", "over", "message"),
    [
        ("flops.total", "seq=1..100M:+1", "more than 1,000,000 values"),
        ("flops.total", {"seq": range(1, 10**30)}, "more than 1,000,000 values"),
        ("flops.total", {"batch": itertools.count(1)}, "more than 1,000,000 values"),
        ("flops.total", ["seq=1..900k:+1", "batch=1..900k:+1"], r"too many points \(849,346,560,000\)"),
        ("memory.peak", ["n_layers=1..999:+1", "d_ff=1..999:+1"], r"too many points \(998,001\)"),
        ("traffic.total", ["n_layers=1..11:+1", "batch=1..2000:+1"], r"too many points \(22,000\)"),
        ("flops.total", itertools.repeat("seq=1"), "more than 16 ranges"),
        ("flops.total", [Axis("seq", ())], "must be a list of values"),
        ("flops.total", [Axis("seq", (0,))], "at least 1"),
    ],
)
def test_points_are_counted_before_they_are_computed(quantity: str, over: Any, message: str) -> None:
    begin = time.process_time()
    with pytest.raises(InputError, match=message):
        llmcalc.sweep("gpt2", quantity, over, extend=quantity == "flops.total")
    assert time.process_time() - begin < MOST_SECONDS


def test_designs_are_counted_before_they_are_searched() -> None:
    begin = time.process_time()
    with pytest.raises(InputError, match="too many points"):
        llmcalc.design("llama3", params="8B", over="vocab=1000..200000:+1000")
    assert time.process_time() - begin < MOST_SECONDS


# ------------------------------------------------------------------ settings and variables


def test_model_variables_are_swept() -> None:
    found = llmcalc.sweep("llama3-8b", ("params.total", "flops.total"), ["n_layers=3,5", "seq=7,11"])
    for row, n_layers in enumerate((3, 5)):
        model = llmcalc.load("llama3-8b", overrides=[f"n_layers={n_layers}"])
        for column, seq in enumerate((7, 11)):
            assert found.values["params.total"][row, column] == llmcalc.params(model).total
            assert found.values["flops.total"][row, column] == llmcalc.flops(model, seq=seq).total
    assert found.architecture == llmcalc.load("llama3-8b")
    other = llmcalc.sweep("llama3-8b", "flops.total", ["seq=7,11", "n_layers=3,5"])
    assert (other.values["flops.total"] == found.values["flops.total"].T).all()


def test_formats_and_meshes_are_swept() -> None:
    over: dict[str, list[Any]] = {"weights": ["bf16", "nf4"], "tp": [1, 2], "batch": [3]}
    found = llmcalc.sweep("gpt2", ("memory.peak", "memory.state"), over)
    for row, weights in enumerate(("bf16", "nf4")):
        for column, tp in enumerate((1, 2)):
            one = llmcalc.memory("gpt2", weights=weights, mesh=llmcalc.Mesh(tp=tp), batch=3)
            assert found.values["memory.peak"][row, column, 0] == one.peak
            assert found.values["memory.state"][row, column, 0] == one.state


def test_communication_is_swept_over_meshes() -> None:
    found = llmcalc.sweep("llama3-8b", "communication.sent", "tp=1,2,4", seq=7)
    expected = [llmcalc.communication("llama3-8b", tp=tp, seq=7).sent for tp in (1, 2, 4)]
    assert list(found.values["communication.sent"]) == expected
    assert expected[0] == 0 < expected[1] < expected[2]


def test_traffic_is_swept_like_any_quantity() -> None:
    found = llmcalc.sweep("gpt-oss-20b", "traffic.total", "batch=1,7", mode="decode", context=100)
    for value, batch in zip(found.values["traffic.total"], (1, 7), strict=True):
        assert value == llmcalc.traffic("gpt-oss-20b", batch=batch, mode="decode", context=100).total


def test_a_name_that_is_no_setting_and_no_variable_is_an_error() -> None:
    with pytest.raises(InputError, match=r"n_layers(.|\n)*settings: batch, seq"):
        llmcalc.sweep("llama3-8b", "flops.total", "n_layer=1,2")
    with pytest.raises(InputError, match="loaded architecture"):
        llmcalc.sweep(llmcalc.load("llama3-8b"), "flops.total", "n_layers=1,2")
