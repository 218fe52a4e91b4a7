"""Wiring of the sub-layers of a block: their inputs and residuals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from llmcalc.core.errors import DescriptionError, InputError, SizeError
from llmcalc.layers.attention import Attention
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.linear import Linear
from llmcalc.layers.mlp import Mlp
from llmcalc.layers.norm import Norm
from llmcalc.layers.parts.lora import Lora
from llmcalc.schema.architecture_diff import differences
from llmcalc.schema.describe import describe
from llmcalc.schema.preset import build_preset
from llmcalc.twins import twin

WIDTH, VOCAB = 6, 11
IDS = np.array([[3, 7, 1, 9]])


def _linear(name: str, d_in: int = WIDTH, **how: Any) -> Sublayer:
    return Sublayer(name, (Branch(name, Linear(d_in, WIDTH, bias=False)),), **how)


def _architecture(*sublayers: Sublayer, count: int = 1, shared: bool = False) -> Architecture:
    run = Run(Block("block", sublayers), count, shared)
    return Architecture("wired", (Stack("decoder", WIDTH, (Named("token", Embedding(VOCAB, WIDTH)),), (run,), ()),))


def _matrices(model: Any, *names: str, block: int = 0) -> list[Any]:
    return [model.tensors[f"decoder.blocks.{block}.{name}.w"] for name in names]


def test_input_from_and_residual_from() -> None:
    model = twin(
        _architecture(
            _linear("one", residual=False), _linear("two", input_from="one"), _linear("three", residual_from="two")
        )
    )
    one, two, three = _matrices(model, "one", "two", "three")
    x = model.tensors["decoder.token.w"][IDS]
    narrowed = x @ one
    wanted = narrowed + (narrowed + x @ two) @ three
    assert np.allclose(model.forward(IDS), wanted, atol=1e-12)


def test_concat_input() -> None:
    model = twin(_architecture(_linear("wide", 2 * WIDTH, concat_input=True), count=2))
    first = x = model.tensors["decoder.token.w"][IDS]
    for number in range(2):
        (wide,) = _matrices(model, "wide", block=number)
        x = x + np.concatenate([x, first], axis=-1) @ wide
    assert np.allclose(model.forward(IDS), x, atol=1e-12)


def test_branches_that_join_after_a_later_sublayer() -> None:
    now, late = (
        Branch(name, Linear(WIDTH, WIDTH, bias=False), joins=joins) for name, joins in (("now", ""), ("late", "end"))
    )
    model = twin(_architecture(Sublayer("start", (now, late)), _linear("middle"), _linear("end")))
    start, later, middle, end = _matrices(model, "start.now", "start.late", "middle", "end")
    x = model.tensors["decoder.token.w"][IDS]
    y = x + x @ start
    y = y + y @ middle
    assert np.allclose(model.forward(IDS), y + y @ end + x @ later, atol=1e-12)


def test_each_use_of_a_shared_layer_has_its_own_adapter() -> None:
    mlp = Mlp(WIDTH, 5, "identity", lora=Lora(2, 2))
    model = twin(_architecture(Sublayer("mlp", (Branch("mlp", mlp),)), count=2, shared=True))
    names = ("wu", "w_a", "wu_b", "wd")
    up, narrow, wide, down = (model.tensors[f"decoder.blocks.0.mlp.{name}"] for name in names)
    x = model.tensors["decoder.token.w"][IDS]
    for place in range(2):
        x = x + (x @ up + x @ narrow[place] @ wide[place]) @ down
    assert np.allclose(model.forward(IDS), x, atol=1e-12)


def test_attention_adapters_are_added_to_the_projections() -> None:
    attention = Attention(WIDTH, 2, 1, 3, lora=Lora(2))
    model = twin(_architecture(Sublayer("attention", (Branch("attention", attention),))))
    merged = twin(_architecture(Sublayer("attention", (Branch("attention", replace(attention, lora=None)),))))
    for name in merged.tensors:
        merged.tensors[name] = model.tensors[name]
    for name in ("wq", "wk", "wv"):
        full = f"decoder.blocks.0.attention.{name}"
        narrow, wide = model.tensors[f"{full}_a"][0], model.tensors[f"{full}_b"][0]
        merged.tensors[full] = merged.tensors[full] + np.einsum("da,ahe->dhe", narrow, wide)
    assert np.allclose(model.forward(IDS), merged.forward(IDS), atol=1e-12)


def test_shared_sublayers_share_weights() -> None:
    places = (_linear("one", share="both"), _linear("two"))
    blocks = tuple(Run(Block(f"block{number}", places), 1) for number in range(2))
    stack = Stack("decoder", WIDTH, (Named("token", Embedding(VOCAB, WIDTH)),), blocks, ())
    architecture = Architecture("shared", (stack,))
    model = twin(architecture)
    assert set(model.tensors) == {name for name, _ in llmcalc.params(architecture).tensors()}
    x = model.tensors["decoder.token.w"][IDS]
    (shared,) = _matrices(model, "one")
    for number in range(2):
        x = x + x @ shared
        x = x + x @ _matrices(model, "two", block=number)[0]
    assert np.allclose(model.forward(IDS), x, atol=1e-12)


WRONG = {
    "reads a later one": (_linear("one", input_from="two"), _linear("two")),
    "is added to what no one is called": (_linear("one", residual_from="zero"),),
    "has nothing to add to": (_linear("one"), _linear("two", residual=False, residual_from="one")),
    "reads one of two of a name": (_linear("one"), _linear("one"), _linear("two", input_from="one")),
    "joins an earlier one": (
        _linear("one"),
        Sublayer("two", (Branch("a", Linear(6, 6)), Branch("b", Linear(6, 6), joins="one"))),
    ),
    "has no branch left": (Sublayer("one", (Branch("a", Linear(6, 6), joins="two"),)), _linear("two")),
}


@pytest.mark.parametrize("what", WRONG)
def test_invalid_wiring_of_a_block(what: str) -> None:
    with pytest.raises(SizeError):
        Block("block", WRONG[what])


def _described() -> dict[str, Any]:
    late = Branch("late", Linear(WIDTH, WIDTH), joins="end")
    parts = (
        Sublayer("start", (Branch("now", Linear(WIDTH, WIDTH)), late)),
        _linear("wide", 2 * WIDTH, concat_input=True, residual_from="start"),
        _linear("end", input_from="start"),
    )
    architecture = _architecture(*parts)
    return {"architecture": architecture, "data": describe(architecture)}


def test_description_of_wiring_round_trips() -> None:
    found = _described()
    again = build_preset(found["data"], None, (), None)
    assert again.stacks == found["architecture"].stacks


@pytest.mark.parametrize(("key", "value"), [("input_from", 3), ("residual_from", True), ("concat_input", "yes")])
def test_wiring_keys_of_the_wrong_type(key: str, value: object) -> None:
    data = _described()["data"]
    data["architecture"]["stacks"]["decoder"]["blocks"]["block"]["end"][key] = value
    with pytest.raises(InputError, match=key):
        build_preset(data, None, (), None)


def test_diff_of_wiring() -> None:
    found = _described()["architecture"]
    (run,) = found.main.runs
    start, wide, end = run.block.sublayers
    changed = (
        replace(start, branches=(start.branches[0], replace(start.branches[1], joins="wide"))),
        replace(wide, concat_input=False, residual_from=""),
        replace(end, input_from=""),
    )
    other = replace(found.main, runs=(replace(run, block=Block("block", changed)),))
    what = {entry.what for entry in differences(found, replace(found, stacks=(other,)))}
    assert {"joins", "concat_input", "residual_from", "input_from"} <= what


def _normed(where: str) -> Architecture:
    again = Norm(WIDTH, "layernorm", bias=True, weights_of=where)
    return _architecture(_linear("one", pre=again), _linear("two", pre=Norm(WIDTH, "layernorm", bias=True)), count=2)


def test_norm_with_the_weights_of_another_norm() -> None:
    architecture = _normed("two.pre_norm")
    model = twin(architecture)
    assert set(model.tensors) == {name for name, _ in llmcalc.params(architecture).tensors()}
    assert not any("one.pre_norm" in name for name in model.tensors)
    x = model.tensors["decoder.token.w"][IDS]
    for block in range(2):
        scale, bias = (model.tensors[f"decoder.blocks.{block}.two.pre_norm.{name}"] for name in "wb")
        for matrix in _matrices(model, "one", "two", block=block):
            centred = x - x.mean(axis=-1, keepdims=True)
            spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
            x = x + (centred / spread * scale + bias) @ matrix
    assert np.allclose(model.forward(IDS), x, atol=1e-12)


def test_missing_norm_named_by_weights_of() -> None:
    with pytest.raises(DescriptionError, match="the block has no such norm"):
        twin(_normed("three.pre_norm"))
