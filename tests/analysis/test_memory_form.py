"""Memory as closed forms equals ``memory`` for every model, mesh and workload."""

from __future__ import annotations

import json
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.architecture import Architecture
from llmcalc.core.description.compiled import CompiledFunction
from llmcalc.core.errors import InputError, LlmcalcError, SizeError
from llmcalc.core.record import changed
from llmcalc.fitting.memory import memory_of
from llmcalc.testing import architectures

PRESETS = [
    "llama3-8b", "gpt3", "gpt-oss-20b", "deepseek-v3", "gemma2-9b", "mixtral-8x7b", "t5-small", "falcon-mamba-7b",
    "qwen3-next", "rwkv4-169m", "bert-base", "jamba",
]  # fmt: skip
PRIMES = [1, 2, 3, 7, 13, 31, 127, 257, 1021, 4093, 16381, 131071]
PARTS = ["peak", "weights", "gradients", "optimizer", "activations", "state"]
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]

sizes = st.fixed_dictionaries({"batch": st.sampled_from(PRIMES[:8]), "seq": st.sampled_from(PRIMES)})
serving = st.fixed_dictionaries(
    {"mode": st.just("inference")},
    optional={
        "page": st.sampled_from([7, 16]),
        "beams": st.just(3),
        "prefill": st.just(257),
        "step_tokens": st.sampled_from(["all", 1021]),
        "cache": st.just("fp8"),
        "convention": st.just("torch"),
        "mesh": st.builds(Mesh, tp=st.sampled_from([1, 2]), pp=st.sampled_from([1, 2]), dp=st.sampled_from([1, 3])),
    },
)
training = st.fixed_dictionaries(
    {"mode": st.just("training")},
    optional={
        "attention": st.just("eager"),
        "recompute": st.sampled_from(["selective", "full"]),
        "dropout": st.just(True),
        "loss": st.just("fused"),
        "scan": st.just("fused"),
        "convention": st.just("torch"),
        "gradient_buffer": st.just(True),
        "lora_rank": st.just(5),
        "mesh": st.builds(
            Mesh,
            tp=st.sampled_from([1, 2]),
            pp=st.sampled_from([1, 2]),
            cp=st.sampled_from([1, 3]),
            dp=st.sampled_from([1, 3]),
            zero=st.sampled_from([0, 1, 2, 3]),
            sp=st.booleans(),
            micro_batches=st.sampled_from([None, 5]),
        ),
    },
)


def check(model: Architecture, own: dict[str, Any], part: str, points: list[dict[str, int]]) -> None:
    """Compare a compiled part of the memory with ``memory`` at points, as integers and as arrays."""

    def value(architecture: Architecture, **chosen: Any) -> Any:
        return getattr(memory_of(architecture, **own, **chosen, extend=True), part)

    compiled = CompiledFunction(lambda **chosen: value(changed(model), **chosen), {"batch": 1, "seq": 1})
    try:
        expected = [value(model, **point) for point in points]
    except LlmcalcError:  # a mesh that does not divide the model
        with pytest.raises(LlmcalcError):
            [compiled(**point) for point in points]
        return
    assert [compiled(**point) for point in points] == expected
    assert compiled.pieces  # traced
    columns = {name: numpy.array([point[name] for point in points]) for name in ("batch", "seq")}
    assert compiled(**columns).tolist() == expected


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(
    st.sampled_from(PRESETS),
    serving | training,
    st.sampled_from(["peak", *PARTS]),
    st.lists(sizes, min_size=3, max_size=5),
)
def test_forms_of_presets_equal_memory(
    preset: str, own: dict[str, Any], part: str, points: list[dict[str, int]]
) -> None:
    check(llmcalc.load(preset), own, part, points)


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(architectures(), serving | training, st.sampled_from(["peak", *PARTS]), st.lists(sizes, min_size=3, max_size=5))
def test_forms_of_random_models_equal_memory(
    model: Architecture, own: dict[str, Any], part: str, points: list[dict[str, int]]
) -> None:
    check(model, own, part, points)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["t5-small", "bart-base"]), sizes, st.sampled_from(PRIMES), serving | training)
def test_both_lengths_of_an_encoder_decoder_are_free(
    preset: str, point: dict[str, int], target: int, own: dict[str, Any]
) -> None:
    assume(own.get("mesh", Mesh()).pp == 1 and "lora_rank" not in own)
    model = llmcalc.load(preset)
    free = {**point, "target_seq": target}
    compiled = CompiledFunction(
        lambda **chosen: memory_of(changed(model), **own, **chosen, extend=True).peak, dict.fromkeys(free, 1)
    )
    for chosen in (free, {**free, "seq": target, "target_seq": point["seq"]}):
        assert compiled(**chosen) == memory_of(model, **own, **chosen, extend=True).peak


def test_the_form_is_a_maximum_of_forms() -> None:
    form = llmcalc.memory_form("llama3-8b", mode="training")
    assert form(batch=3, seq=1021) == llmcalc.memory("llama3-8b", mode="training", batch=3, seq=1021).peak
    (piece,) = form.pieces
    assert not piece.guards
    text = form.to_dict()["pieces"][0]
    assert text["value"] == "t1"
    assert text["let"]["t1"].startswith("max(112423657472 + 6933764*seq*batch, ")


@pytest.mark.parametrize("preset", ["gemma2-9b", "qwen3-next", "t5-small"])
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_texts_of_pieces_need_only_integer_arithmetic(preset: str, mode: str) -> None:
    form = llmcalc.memory_form(preset, mode=mode)
    (piece,) = json.loads(json.dumps(form.to_dict()))["pieces"]
    functions = {"ceil": lambda a, b: -(-a // b), "floor": lambda a, b: a // b, "min": min, "max": max}
    for point in ({"batch": 1, "seq": 1}, {"batch": 13, "seq": 257}, {"batch": 3, "seq": 509}):
        names: dict[str, Any] = {"__builtins__": {}, **functions, **point}
        assert all(eval(guard, names) >= 0 for guard in piece["where"])
        for name, text in piece["let"].items():
            names[name] = eval(text, names)
        assert eval(piece["value"], names) == llmcalc.memory(preset, mode=mode, **point).peak


def test_fixed_sizes_and_other_parts() -> None:
    form = llmcalc.memory_form("gpt-oss-20b", free=["seq"], part="state", batch=5, weights="q4_k_m")
    seq = numpy.array([1, 127, 131, 8191])
    expected = [llmcalc.memory("gpt-oss-20b", batch=5, seq=int(each), weights="q4_k_m").state for each in seq]
    assert form(seq=seq).tolist() == expected


def test_sizes_that_memory_refuses() -> None:
    form = llmcalc.memory_form("gpt2")
    with pytest.raises(InputError, match="1025 tokens exceed the 1024 learned positions"):
        form(batch=1, seq=1025)
    with pytest.raises(InputError, match="1031 tokens exceed"):
        form(batch=1, seq=numpy.array([3, 1031]))
    for wrong in ({"batch": 0, "seq": 3}, {"batch": 2.0, "seq": 3}, {"batch": 1, "seq": numpy.array([3, -1])}):
        with pytest.raises(SizeError, match="must be an integer of at least 1"):
            form(**wrong)
    with pytest.raises(SizeError, match="seq: must be an array of integers, not of float64"):
        form(batch=1, seq=numpy.array([3.5]))
    assert form(batch=1, seq=numpy.array([], dtype=int)).shape == (0,)
    with pytest.raises(TypeError, match="requires exactly these sizes"):
        form(batch=1)


@pytest.mark.parametrize(
    "wrong", [{"free": ["tp"]}, {"free": ["seq"], "seq": 7}, {"part": "most"}, {"beams": 0}, {"optimizer": "sgd"}]
)
def test_settings_that_memory_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        llmcalc.memory_form("gpt2", **wrong)


def test_sweeps_of_memory_are_compiled() -> None:
    result = llmcalc.sweep("gemma2-9b", ["memory.peak", "memory.state"], ["seq=1..9000:+11", "batch=1,3,97"])
    assert result.points > 2000
    for at, seq in ((0, 1), (400, 4401), (818, 8999)):
        expected = llmcalc.memory("gemma2-9b", seq=seq, batch=97)
        assert result.values["memory.peak"][at, 2] == expected.peak
        assert result.values["memory.state"][at, 2] == expected.state
