"""Traits of kinds: what they say about themselves beside their equations."""

from __future__ import annotations

import pytest

from llmcalc.core.architecture import Block, Branch, Run, Stack, Sublayer, declare, layer_glossary
from llmcalc.core.axes import GLOSSARY
from llmcalc.core.equation import read
from llmcalc.core.layer_history import with_n_sums, without_n_sums
from llmcalc.core.traits import EMBEDDING, EXPERTS, HEAD, MATRIX, NORM, ROUTER, divisions, glossary, role_fields
from llmcalc.layers import (
    Attention,
    AttentionResidual,
    Cross,
    Embedding,
    Head,
    Mamba2,
    Mla,
    Mlp,
    Moe,
    Norm,
    ShortConv,
    TokenIndexer,
    find,
    kinds,
)
from llmcalc.layers.parts.rope import Rope
from llmcalc.layers.parts.shared_experts import SharedExperts
from llmcalc.testing import smallest

ATTENTION = {"d_model": 30, "n_heads": 6, "d_head": 5, "n_kv_heads": 2}
MOE = Moe(d_model=7, d_ff=5, n_experts=11, top_k=3, shared=SharedExperts(13, gate=True), n_zero_experts=2)


def components(layer):
    """The components of all tensors and equations of a layer."""
    parts = list(declare(layer).walk())
    tensors = {tensor.name: layer.tensor_component(tensor, part) for part, of in parts for tensor in of.tensors}
    lines = [(read(line), part, of) for part, of in parts for line in of.lines]
    return tensors, {
        line.text: of.components.get(line.text) or layer.equation_component(line, part) for line, part, of in lines
    }


def test_a_mixture_of_experts_has_three_components():
    tensors, lines = components(MOE)
    assert {name: tensors[name] for name in ("router", "shared_gate")} == {
        "router": "router",
        "shared_gate": "shared experts",
    }
    inner = {name: MOE.tensor_component(of) for name, of in ((of.name, of) for of in declare(MOE).tensors)}
    assert inner["wu"] == inner["wg"] == inner["wd"] == "routed experts"
    ((name, shared),) = declare(MOE).parts
    assert {MOE.tensor_component(tensor, (name,)) for tensor in shared.tensors} == {"shared experts"}
    assert lines["r[b q xz] = x[b q d] router[d xz]"] == "router"
    assert lines["z[b q j d] = m[b q j f] wd[x f d] | x:j"] == "routed experts"
    assert lines["sg[b q] = sigmoid(sg)"] == lines["y[b q d] = m[b q f] wd[f d]"] == "shared experts"


def test_cross_attention_is_a_component_of_its_own():
    for cross, name in ((False, "attention"), (True, "cross-attention")):
        tensors, lines = components(Attention(**ATTENTION, cross=Cross() if cross else None, causal=not cross))
        assert set(tensors.values()) == {name}
        assert set(lines.values()) == {name, f"{name} core"}


@pytest.mark.parametrize(
    ("layer", "classes"),
    [
        (MOE, {"router": ROUTER, "wg": EXPERTS, "wu": EXPERTS, "wd": EXPERTS, "shared_gate": MATRIX}),
        (Norm(7), {"w": NORM}),
        (Head(vocab=11, d_model=7), {"w": HEAD}),
        (Embedding(11, 7), {"w": EMBEDDING}),
        (Mlp(7, 5, gated=True), {"wg": MATRIX, "wu": MATRIX, "wd": MATRIX}),
    ],
)
def test_every_tensor_has_a_class_of_number_formats(layer, classes):
    declaration = declare(layer)
    found = {tensor.name: declaration.number_class(tensor) for tensor in declaration.tensors}
    assert {name: found[name] for name in classes} == classes


def test_shared_experts_are_matrices_and_count_no_routed_experts():
    (_, whole), (_, shared) = declare(MOE).walk()
    assert {shared.number_class(tensor) for tensor in shared.tensors} == {MATRIX}
    assert (whole.routed_experts, whole.idle_experts, shared.routed_experts) == ((11, 3), 2, None)
    assert whole.division("xz") == "null_experts"


@pytest.mark.parametrize(
    ("layer", "has_order", "direction"),
    [
        (Attention(**ATTENTION), False, "causal"),
        (Attention(**ATTENTION, rope=Rope(), causal=False), True, "both"),
        (Attention(**ATTENTION, cross=Cross(), causal=False), False, ""),
        (Mla(**smallest("mla")), True, "causal"),
        (ShortConv(**smallest("short_conv")), True, ""),
        (Mamba2(**smallest("mamba2")), True, ""),
        (Embedding(11, 7, "position"), True, ""),
        (Embedding(11, 7), False, ""),
        (Mlp(7, 5), False, ""),
    ],
)
def test_a_layer_knows_whether_it_sees_order(layer, has_order, direction):
    assert (layer.has_order(), layer.attention_direction()) == (has_order, direction)


@pytest.mark.parametrize(("positions", "idle"), [({}, 10), ({"score_bias": "alibi"}, 10), ({"rope": True}, 0)])
def test_a_key_bias_is_idle_unless_keys_are_rotated(positions, idle):
    layer = Attention(**ATTENTION, k_bias=True, **positions)
    assert sum(count for *_, count in layer.idle_parameters()) == idle


def test_roles_and_divisions_are_inherited():
    kind, _ = find("lilt_attention")
    assert role_fields(kind)["heads"] == ("n_heads",)
    assert role_fields(kind)["hidden"] == ("d_ff",)
    assert (divisions(kind)["h"], divisions(kind)["d"], divisions(kind)["fl"]) == ("tensor", "whole", "whole")


def test_sizes_leave_out_what_a_layer_lacks():
    layer = Attention(**ATTENTION, window=13)
    assert dict(layer.sizes("head_widths")) == {"d_head": 5, "d_head_v": 5}
    assert (dict(layer.sizes("windows")), dict(layer.sizes("chunks"))) == ({"window": 13}, {})


def test_an_axis_of_one_kind_has_its_name_there_alone():
    kind, _ = find("moe")
    assert glossary(kind)["xz"][0] == "n_experts_scored"
    assert "xz" not in GLOSSARY
    assert "xz" not in glossary(Mlp)
    assert declare(MOE).name_of("xz") == "n_experts_scored"
    assert declare(MOE).name_of("q") == "q"
    sparse = Attention(**ATTENTION, indexer=TokenIndexer(3, top_k=2))
    assert "ib" in layer_glossary(sparse)


def test_a_group_of_layers_ends_where_a_layer_says_so():
    layer = AttentionResidual(7, closes=True)
    assert layer.with_sums(5) == AttentionResidual(7, closes=True, n_sums=5)
    assert (layer.ends_group(), AttentionResidual(7).ends_group(), Mlp(7, 5).ends_group()) == (True, False, False)
    assert Mlp(7, 5).with_sums(5) == Mlp(7, 5)


def test_layers_that_count_sums_return_to_their_runs():
    """Expanding and merging runs again changes nothing but the number of sums."""
    blocks = [
        Block(name, (Sublayer("mlp", (Branch("mlp", Mlp(7, 5)),), pre=AttentionResidual(7, closes=closes)),))
        for name, closes in (("a", False), ("b", True), ("c", False), ("b", True))
    ]
    stack = Stack("decoder", 7, (), tuple(Run(block, count) for count, block in enumerate(blocks, 2)), ())
    expanded = with_n_sums(stack)
    assert len(expanded.runs) > len(stack.runs)
    assert without_n_sums(expanded) == without_n_sums(stack)
    assert [run.count for run in without_n_sums(expanded).runs] == [2, 3, 4, 5]


@pytest.mark.parametrize("kind", kinds())
def test_stored_states_and_their_axes_are_declared(kind: str) -> None:
    stored = find(kind)[0].STORED
    if not any(vars(stored).values()):
        return
    usual = {"rate": 3} if kind == "compressed_attention" else {}  # which has summaries only with this field
    declaration = find(kind)[0](**smallest(kind), **usual).declare()
    names = {state.name for state in declaration.states}  # none if the layer attends to later tokens
    assert {*stored.values.split(), *stored.latents.split()} <= names or not names
    assert {*stored.head_keys.split(), *stored.head_values.split()} <= set(declaration.axes)


def test_states_that_need_a_format_of_their_own_are_listed() -> None:
    """A state that is named like the values of attention stores them."""
    for kind in kinds():
        names = {state.name for state in find(kind)[0](**smallest(kind)).declare().states}
        assert ("v" in names) <= ("v" in find(kind)[0].STORED.values.split()), kind
