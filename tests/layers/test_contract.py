"""One contract for every layer kind; kinds are discovered, not listed."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace
from importlib import import_module
from itertools import product
from math import prod
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcalc import layers
from llmcalc.calc.walk import Conventions, runs
from llmcalc.core.architecture import declare
from llmcalc.core.axes import GLOSSARY, WORKLOAD, read_axes
from llmcalc.core.declaration import Declaration
from llmcalc.core.equation import Equation, read
from llmcalc.core.errors import DescriptionError, InputError, SizeError, UnknownNameError
from llmcalc.core.expression import evaluate
from llmcalc.core.form import FUNCTIONS as FORMS
from llmcalc.core.layer import Layer
from llmcalc.core.ledger import elements
from llmcalc.core.part import nested_fields
from llmcalc.core.shrink import Sizes
from llmcalc.core.traits import divisions, glossary, role_fields
from llmcalc.core.zoo_search import find_module
from llmcalc.layers.mlp import ACTIVATIONS, LEARNED
from llmcalc.testing import _fields, _repaired, _values, is_required, smallest
from llmcalc.testing import layers as layers_of

KINDS = layers.kinds()
every_kind = pytest.mark.parametrize("kind", KINDS)
thorough = settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])

SOFTMAX_OF_MODEL = {"block_attention", "local_attention"}  # the softmax of transformers' blocks is not declared
TAPS = {"K", "taps", "tf", "fr", "py", "px", "one"}  # of a convolution; only the weight has these axes
SUMMED = {"zs", "j"}  # states of earlier chunks, and vectors that an index selects
TAKEN = {"na", "nl", "L"}  # one of the adapters or layers that take turns, some of the rows of positions
A_WORKLOAD = dict.fromkeys(WORKLOAD, 3) | {"q": 5, "c": 2, "k": 7}


def declarations(layer: Layer) -> Iterator[Declaration]:
    """The layer's declaration and those of its parts."""
    return (declaration for _, declaration in layer.declare().walk())


def equations(declaration: Declaration) -> list[Equation]:
    return [read(line) for line in declaration.lines]


def test_kinds_are_discovered() -> None:
    assert {"attention", "mlp", "moe", "mamba2"} <= set(KINDS)
    assert len(KINDS) >= 14


@pytest.mark.parametrize("name", layers.SHARED_MODULES)
def test_a_shared_module_defines_exactly_its_kinds(name: str) -> None:
    module = import_module(str(find_module("layers", name)))
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    assert {value.kind() for value in own} == set(layers.SHARED_MODULES[name])
    assert [layers.find(kind)[0].kind() for kind in layers.SHARED_MODULES[name]] == [*layers.SHARED_MODULES[name]]
    with pytest.raises(InputError):
        layers.find(name)


def test_a_subclass_in_another_module_does_not_inherit_the_name_of_a_kind() -> None:
    found, _ = layers.find("kda")
    assert type("Variant", (found,), {"__module__": "package.variant"}).kind() == "variant"


@every_kind
@thorough
@given(data=st.data())
def test_every_tensor_has_positive_sizes_and_named_axes(kind: str, data: st.DataObject) -> None:
    for _, declaration in declare(data.draw(layers_of(kind))).walk():
        names = [tensor.name for tensor in declaration.tensors]
        assert len(set(names)) == len(names)
        known = glossary(type(declaration.layer))
        assert declaration.axes.keys() <= known.keys() | WORKLOAD.keys()
        for tensor in declaration.tensors:
            assert elements(tensor, declaration) > 0
            assert set(tensor.axes) <= known.keys()


@every_kind
@thorough
@given(data=st.data())
def test_every_axis_of_a_weight_is_divided_or_whole(kind: str, data: st.DataObject) -> None:
    layer = data.draw(layers_of(kind))
    for _, declaration in declare(layer).walk():
        for tensor in declaration.tensors:
            assert all(map(declaration.division, tensor.axes)), (tensor.name, tensor.axes)


@every_kind
def test_traits_name_axes_and_fields_that_exist(kind: str) -> None:
    found, _ = layers.find(kind)
    assert divisions(found).keys() <= glossary(found).keys()
    names = {entry.name for entry in fields(found)}
    parts = ((name, choice) for name, choices in found.PARTS.items() for choice in choices)
    names |= {f"{name}.{entry.name}" for name, choice in parts for entry in fields(choice)}
    assert {name for role in role_fields(found).values() for name in role} <= names


@every_kind
def test_defaults_are_among_the_choices(kind: str) -> None:
    found, _ = layers.find(kind)
    for owner in (found, *(part for parts in found.PARTS.values() for part in parts)):
        entries = {entry.name: entry for entry in fields(owner)}  # type: ignore[arg-type]
        assert owner.CHOICES.keys() <= entries.keys()
        for name, choices in owner.CHOICES.items():
            assert is_required(entries[name]) or entries[name].default in (None, *choices), name


def test_an_axis_of_one_kind_is_described_by_this_kind_alone() -> None:
    meanings = dict(GLOSSARY.values())
    owners: dict[str, str] = {}
    for kind in KINDS:
        found, _ = layers.find(kind)
        for axis, (name, meaning) in read_axes(vars(found).get("AXES", "").splitlines()).items():
            assert axis not in {*GLOSSARY, *WORKLOAD}, (kind, axis)
            assert owners.setdefault(axis, kind) == kind, axis
            assert meanings.setdefault(name, meaning) == meaning, (kind, name)


@every_kind
@thorough
@given(data=st.data())
def test_every_axis_has_a_size_or_is_a_workload_axis(kind: str, data: st.DataObject) -> None:
    for declaration in declarations(data.draw(layers_of(kind))):
        known = declaration.axes.keys() | WORKLOAD.keys()
        for line in equations(declaration):
            assert {axis for operand in (line.out, *line.operands) for axis in operand.axes} <= known, line.text
        for state in declaration.states:
            assert set(state.axes) <= known, state


@every_kind
@thorough
@given(data=st.data())
def test_workload_dependent_sizes_can_be_evaluated(kind: str, data: st.DataObject) -> None:
    for declaration in declarations(data.draw(layers_of(kind))):
        sizes = {axis: size for axis, size in declaration.axes.items() if isinstance(size, int)}
        assert all(size > 0 for size in sizes.values())
        texts = [size for size in declaration.axes.values() if isinstance(size, str)]
        for text in [*texts, *map(str, declaration.as_torch.values())]:
            assert evaluate(text, A_WORKLOAD | sizes, FORMS) >= 0
        assert declaration.as_torch.keys() <= declaration.axes.keys() | WORKLOAD.keys()


@every_kind
@thorough
@given(data=st.data())
def test_every_weight_is_used_or_marked_unused(kind: str, data: st.DataObject) -> None:
    for declaration in declarations(data.draw(layers_of(kind))):
        read_by_name = {operand.name for line in equations(declaration) for operand in line.operands}
        for tensor in declaration.tensors:
            assert tensor.unused is (tensor.name not in read_by_name), tensor.name


def with_one_part(kind: str) -> Iterator[Layer]:
    """Smallest layers with one part each, if the part can be the only one."""
    found, entries = _fields(kind)
    for entry in entries:
        for part in found.PARTS.get(entry.name, ()):
            sizes = {each.name: 2 for each in fields(part) if is_required(each)}  # type: ignore[arg-type]
            with suppress(InputError):
                yield found(**{**smallest(kind), entry.name: part(**sizes)})


@every_kind
def test_every_weight_of_a_part_is_used_and_every_operand_defined(kind: str) -> None:
    for layer in with_one_part(kind):
        outside = {name for base in type(layer).__mro__ for name in getattr(base, "EXTERNAL_TENSORS", {})}
        for declaration in declarations(layer):
            lines = equations(declaration)
            used = {operand.name for line in lines for operand in line.operands}
            names = {tensor.name for tensor in declaration.tensors}
            assert {tensor.name for tensor in declaration.tensors if not tensor.unused} <= used or not lines
            known = names | outside | {state.name for state in declaration.states} | {line.out.name for line in lines}
            assert used <= known


@every_kind
@thorough
@given(data=st.data())
def test_every_operand_is_defined(kind: str, data: st.DataObject) -> None:
    layer = data.draw(layers_of(kind))
    outside = {name for base in type(layer).__mro__ for name in getattr(base, "EXTERNAL_TENSORS", {})}
    ways = (None,) if kind in SOFTMAX_OF_MODEL else (None, "torch")
    for declaration, phase, convention in product(declarations(layer), ("prefill", "decode"), ways):
        conventions = Conventions(phase, "dense", convention)
        known = {tensor.name for tensor in declaration.tensors} | {state.name for state in declaration.states}
        known |= outside
        for line in equations(declaration):
            if runs(line.tags, conventions):
                assert {operand.name for operand in line.operands} <= known, (phase, convention, line.text)
                known.add(line.out.name)


@every_kind
@thorough
@given(data=st.data())
def test_a_tensor_is_read_with_its_own_axes(kind: str, data: st.DataObject) -> None:
    """A contraction may take one entry of those that take turns, or slice an axis; it reads a weight by all others."""
    for declaration in declarations(data.draw(layers_of(kind))):
        axes = {tensor.name: set(tensor.axes) for tensor in declaration.tensors}
        for line in equations(declaration):
            for operand in line.operands if line.function is None else ():
                own = axes.get(operand.name, set(operand.axes))
                # a table over positions is read at as many of its rows as there are tokens
                assert set(operand.axes) - WORKLOAD.keys() <= own, line.text
                left = own - set(operand.axes) - WORKLOAD.keys()  # an axis of one entry may be stored alone
                assert {axis for axis in left if declaration.axes.get(axis) != 1} <= TAKEN, line.text


@every_kind
@thorough
@given(data=st.data())
def test_the_weights_of_a_norm_have_the_last_axes_of_its_result(kind: str, data: st.DataObject) -> None:
    for declaration in declarations(data.draw(layers_of(kind))):
        axes = {tensor.name: tensor.axes for tensor in declaration.tensors}
        for line in equations(declaration):
            for operand in line.operands[1:] if line.function in ("rmsnorm", "layernorm") else ():
                own = axes.get(operand.name, line.out.axes[-1:])
                assert own, line.text
                assert size_of(own, declaration) == size_of(line.out.axes[-len(own) :], declaration), line.text


@every_kind
@thorough
@given(data=st.data())
def test_the_small_version_of_a_layer_keeps_its_options(kind: str, data: st.DataObject) -> None:
    layer = data.draw(layers_of(kind))
    sizes = Sizes(layer.WIDTH_MULTIPLE)
    layer.reserve_sizes(sizes, getattr(layer, "d_model", 1))
    small = sizes.layer(layer)
    assert layer.concatenated_width() in (0, getattr(layer, "d_model", 0))
    options, kept = (
        {path: value for path, value, *_ in nested_fields(one) if type(value) is bool} for one in (layer, small)
    )
    assert kept == options
    assert {tensor.name for tensor in declare(small).tensors} == {tensor.name for tensor in declare(layer).tensors}


@every_kind
@thorough
@given(data=st.data())
def test_a_scan_belongs_to_a_recurrent_kind(kind: str, data: st.DataObject) -> None:
    layer = data.draw(layers_of(kind))
    lines = (line for declaration in declarations(layer) for line in equations(declaration))
    assert layer.IS_RECURRENT or not any("scan" in {*line.tags, *(line.function or "").split("_")} for line in lines)


@every_kind
@thorough
@given(data=st.data())
def test_the_softmax_of_scores_in_a_fused_kernel_is_in_the_kernel(kind: str, data: st.DataObject) -> None:
    for declaration in declarations(data.draw(layers_of(kind))):
        in_kernel: dict[str, bool] = {}
        for line in equations(declaration):
            if line.function == "softmax" and in_kernel.get(line.operands[0].name):
                assert "core" in line.tags, line.text
            in_kernel[line.out.name] = "core" in line.tags


@every_kind
@thorough
@given(data=st.data())
def test_both_operands_have_the_axes_that_a_product_sums_over(kind: str, data: st.DataObject) -> None:
    for declaration in declarations(data.draw(layers_of(kind))):
        for line in equations(declaration):
            operands = line.operands if line.function is None and len(line.operands) > 1 else ()
            counts = Counter(axis for operand in operands for axis in {*operand.axes} & {*line.contracted})
            assert {axis for axis, count in counts.items() if count == 1} <= TAPS | SUMMED, line.text


@every_kind
@thorough
@given(data=st.data())
def test_an_error_about_random_fields_names_one_of_them(kind: str, data: st.DataObject) -> None:
    found, entries = _fields(kind)
    values = {entry.name: data.draw(_values(found, entry, 7)) for entry in entries}
    try:
        found(**values)
    except InputError as error:
        assert error.field in values  # noqa: PT017


@every_kind
@thorough
@given(data=st.data())
def test_heads_use_only_their_group(kind: str, data: st.DataObject) -> None:
    """Where queries' heads meet the heads of keys, each selects one; else the work would be that of all with all."""
    for declaration in declarations(data.draw(layers_of(kind))):
        weights = {tensor.name for tensor in declaration.tensors if {"h", "g"} <= set(tensor.axes)}
        for line in equations(declaration) if not weights else ():
            axes = {axis for operand in (line.out, *line.operands) for axis in operand.axes}
            if line.function is None and {"h", "g"} <= axes:
                assert ("g", "h") in line.select, line.text


@every_kind
@thorough
@given(data=st.data())
def test_lookups_are_summed_elementwise(kind: str, data: st.DataObject) -> None:
    for declaration in declarations(data.draw(layers_of(kind))):
        looked_up: dict[str, set[str]] = {}
        for line in equations(declaration):
            for operand in line.operands if line.function == "add" else ():
                assert set(line.out.axes) <= looked_up.get(operand.name, set(line.out.axes)), line.text
            looked_up.pop(line.out.name, None)
            if line.function == "gather":
                looked_up[line.out.name] = set(line.out.axes)


@every_kind
@thorough
@given(data=st.data())
def test_index_states_have_their_own_role(kind: str, data: st.DataObject) -> None:
    for declaration in declarations(data.draw(layers_of(kind))):
        for state in declaration.states:
            assert state.role == "index" or "ie" not in state.axes, state


# Functions of one tensor (and of weights), element by element or row by row.
OF_ONE = frozenset((*ACTIVATIONS, *LEARNED)) | {
    "scale", "softplus", "sqrt_softplus", "cutoff", "softmax", "shares", "rmsnorm", "layernorm", "l2norm", "softcap",
    "clamp", "dropout",
}  # fmt: skip
SIZES = dict(zip(WORKLOAD, (2, 15, 17, 3, 11, 11, 15, 13, 19), strict=True))


def size_of(axes: tuple[str, ...], declaration: Declaration) -> int:
    known = {axis: length for axis, length in declaration.axes.items() if isinstance(length, int)} | SIZES
    lengths = (declaration.axes.get(axis, SIZES.get(axis)) for axis in axes)
    return prod(
        int(evaluate(length, known, FORMS)) if isinstance(length, str) else int(length or 0) for length in lengths
    )


@every_kind
@settings(thorough, max_examples=10)
@given(data=st.data())
def test_elementwise_functions_preserve_the_shape(kind: str, data: st.DataObject) -> None:
    drawn = [*declarations(data.draw(layers_of(kind)))]
    for declaration, phase, convention in product(drawn, ("prefill", "decode"), (None, "torch")):
        made: dict[str, tuple[str, ...]] = {}
        conventions = Conventions(phase, "dense", convention)
        for line in (line for line in equations(declaration) if runs(line.tags, conventions)):
            given = line.operands[0]
            axes = given.axes or made.get(given.name, ())
            if line.function in OF_ONE and axes:
                assert size_of(line.out.axes, declaration) == size_of(axes, declaration), line.text
            made[line.out.name] = line.out.axes or axes


CUTS = frozenset({"w", "wk", "wv", "wh", "kz", "qz", "Z"})  # pieces of a text, of a fixed length
ELSEWHERE = {  # results that something without an equation of its own changes before they are read
    ("mla", "kn"): "joined with the rotary part that all heads share",
    ("hyena", "fh"): "one of several layers",
    ("latent_attention", "a"): "what is attended to has a width of its own",
    ("nystrom_attention", "ql"): "means over pieces of the text",
    ("nystrom_attention", "kl"): "means over pieces of the text",
    ("ngram_attention", "q"): "tokens of all streams one behind the other, then each stream for itself",
    ("ngram_attention", "k"): "tokens of all streams one behind the other, then each stream for itself",
    ("ngram_attention", "v"): "tokens of all streams one behind the other, then each stream for itself",
}
NOT_A_STREAM = {
    "altup": "several streams",
    "depth_attention": "several mixes",
    "grouped_mlp": "its parts run after it",
    "head": "logits",
    "hyper_connection": "several streams",
    "indexer": "a choice",
    "latent_attention": "a width of its own",
    "query_attention": "a width of its own",
    "per_layer_table": "vectors for every layer",
    "prefix": "keys and values",
}


def width_of(axes: tuple[str, ...], declaration: Declaration) -> int:
    """The numbers of a tensor for each token or pair of tokens; a fixed number of tokens is no width either."""
    return prod(
        length
        for axis in axes
        if isinstance(length := declaration.axes.get(axis), int) and axis not in ("q", "k", "gt", "gk")
    )


@every_kind
@settings(thorough, max_examples=5)
@given(data=st.data())
def test_results_are_contracted_over_their_full_width(kind: str, data: st.DataObject) -> None:
    drawn = [*declarations(data.draw(layers_of(kind)))]
    for declaration, phase, convention in product(drawn, ("prefill", "decode"), (None, "torch")):
        made: dict[str, tuple[str, ...]] = {}
        conventions = Conventions(phase, "dense", convention)
        for line in (line for line in equations(declaration) if runs(line.tags, conventions)):
            for given_ in line.operands if line.function is None else ():
                axes = made.get(given_.name)
                cut = {axis for axis in CUTS if isinstance(declaration.axes.get(axis), int)}
                if axes and not cut & {*axes, *given_.axes} and (kind, given_.name) not in ELSEWHERE:
                    assert width_of(given_.axes, declaration) == width_of(axes, declaration), line.text
            if not (line.function == "rope" and line.out.name in made):  # which turns a part of each head
                made[line.out.name] = line.out.axes or made.get(line.operands[0].name, ())


def by_batch_and_token(axes: tuple[str, ...], declaration: Declaration) -> tuple[bool, int]:
    """Whether a tensor has an axis of sequences, and how many of their tokens, pieces or pairs."""
    counted = {axis for axis in axes if axis in WORKLOAD or isinstance(declaration.axes.get(axis), str)}
    return "b" in counted, len(counted - {"b"})


def broadcast(operands: list[tuple[str, ...]], declaration: Declaration) -> set[int]:
    """The widths that operands give together: of all their axes, or of the widest if the others go with parts of it."""
    joined = tuple(dict.fromkeys(axis for axes in operands for axis in axes))
    return {width_of(joined, declaration), max(width_of(axes, declaration) for axes in operands)}


NARROWER = {  # results of an addition or a product whose operands are of other shapes
    ("differential_attention", "pair"): "half of the heads",
    ("differential_attention", "second"): "half of the heads",
    ("rwkv_head_mix", "*"): "each of several mixes has a weight of its own",
    ("compressed_convolutional_attention", "*"): "a mean over the heads of a group",
    ("gated_delta_net", "kb"): "a head of keys serves several of values",
    ("hashed_attention", "*"): "sums over buckets",
    ("hyena", "v"): "one of several projections",
    ("funnel_attention", "s"): "scores of distances, shifted to those of pairs",
    ("grid_attention", "s"): "scores of rows and columns",
    ("moe", "sm"): "the weights of the shared experts, which are the last ones",
    ("moe", "y"): "a sum over the shared experts, each with a score",
    ("ngram_attention", "*"): "scores of distances, shifted to those of pairs",
    ("relative_profile_attention", "s"): "scores of distances, shifted to those of pairs",
}


IN_BLOCKS = ("block_attention", "sparse_attention")  # blocks are of a fixed size, and some are read apart from others
WIDENED = {("relative_profile_attention", "taps"): "taps of each token, to which those of each channel are added"}
PARTS = {  # copies of a part, or of something in two pieces
    ("character_pooling", "y"): "one more position",
    ("compressed_attention", "tgate"): "windows that overlap",
    ("compressed_attention", "tkv"): "windows that overlap",
    ("conv", "gate"): "half of the channels",
    ("conv", "u"): "half of the channels",
    ("differential_attention", "second"): "half of the heads",
    ("hyena", "fi"): "one copy for each inner layer of the filter network",
    ("hyena", "fl"): "the last inner layer of the filter network",
    ("mla", "cc"): "widened by copies of itself",
    ("nystrom_attention", "inverse"): "the last of several steps",
    ("nystrom_attention", "kl"): "means over pieces of the text",
    ("nystrom_attention", "ql"): "means over pieces of the text",
    ("product_key_experts", "best"): "the best of all pairs",
    ("gated_linear_attention", "o"): "summed over the state",
    ("rwkv_head_mix", "o"): "summed over the state",
}


@every_kind
@settings(thorough, max_examples=30)
@given(data=st.data())
def test_results_are_read_with_their_own_axes(kind: str, data: st.DataObject) -> None:
    """For as many tokens, if not under the same name; sums and products of results have the axes of all of them."""
    drawn = [*declarations(data.draw(layers_of(kind)))]
    for declaration, *how in product(drawn, ("prefill", "decode"), ("dense", "flash"), (None, "torch")):
        made: dict[str, tuple[str, ...]] = {}
        conventions = Conventions(*how)
        for line in (line for line in equations(declaration) if runs(line.tags, conventions)):
            given_ = [operand.axes or made.get(operand.name, ()) for operand in line.operands if operand.name in made]
            for operand in line.operands:
                if operand.axes and operand.name in made and kind not in IN_BLOCKS:
                    found = by_batch_and_token(operand.axes, declaration)
                    assert found == by_batch_and_token(made[operand.name], declaration), line.text
            in_place = len(given_) == 1 and line.operands[0].name == line.out.name in made
            if in_place and line.function in ("add", "mul", "scale") and (kind, line.out.name) not in WIDENED:
                assert width_of(line.out.axes or given_[0], declaration) == width_of(given_[0], declaration), line.text
            narrower = {(kind, line.out.name), (kind, "*")} & NARROWER.keys()
            if line.function in ("add", "mul") and line.out.axes and len(given_) > 1 and not narrower:
                assert width_of(line.out.axes, declaration) in broadcast(given_, declaration), line.text
            if line.function == "copy" and line.out.axes and (kind, line.out.name) not in PARTS:
                parts = [operand.axes or made.get(operand.name, ()) for operand in line.operands]
                if all(parts) and not CUTS & {axis for axes in (line.out.axes, *parts) for axis in axes}:
                    together = sum(width_of(axes, declaration) for axes in parts)
                    assert width_of(line.out.axes, declaration) == together, line.text
            if not (line.function == "rope" and line.out.name in made):
                made[line.out.name] = line.out.axes or made.get(line.operands[0].name, ())


@every_kind
@settings(thorough, max_examples=10)
@given(data=st.data())
def test_a_layer_reads_the_whole_width_of_the_stream(kind: str, data: st.DataObject) -> None:
    """But for what is of a width of its own (``in``), of several streams (``hs``), or of another stack (``src``)."""
    layer = data.draw(layers_of(kind))
    declaration = layer.declare()
    for line in equations(declaration):
        for operand in line.operands:
            whole = operand.name == "x" and operand.axes and not {"in", "hs", "src"} & {*operand.axes}
            if whole and hasattr(layer, "d_model") and kind != "latent_attention":
                assert width_of(operand.axes, declaration) == layer.d_model, line.text


@every_kind
@settings(thorough, max_examples=5)
@given(data=st.data())
def test_a_layer_returns_the_width_of_the_stream(kind: str, data: st.DataObject) -> None:
    layer = data.draw(layers_of(kind))
    declaration, conventions = layer.declare(), Conventions("prefill", "dense", None)
    lines = [line for line in equations(declaration) if runs(line.tags, conventions)]
    is_concatenated = getattr(layer, "concat_previous", False)  # to the input of a projection, of twice the width
    if hasattr(layer, "d_model") and kind not in NOT_A_STREAM and lines and not is_concatenated:
        assert width_of(lines[-1].out.axes, declaration) == layer.d_model, lines[-1].text


@every_kind
@thorough
@given(data=st.data())
def test_equal_layers_are_interchangeable(kind: str, data: st.DataObject) -> None:
    layer = data.draw(layers_of(kind))
    same = replace(layer)
    assert same == layer
    assert hash(same) == hash(layer)
    assert repr(same) == repr(layer)
    assert same.declare() == layer.declare()
    assert pickle.loads(pickle.dumps(layer)) == copy.deepcopy(layer) == layer
    assert layer.kind() == kind


@every_kind
def test_a_layer_of_required_fields_alone_is_valid(kind: str) -> None:
    found, _ = layers.find(kind)
    declared = found(**smallest(kind)).declare()
    assert declared.lines or (declared.tensors and all(tensor.unused for tensor in declared.tensors))


def _types(found: Any) -> list[tuple[str, str]]:
    return [(entry.name, str(entry.type)) for entry in fields(found)]


def wrong_values() -> Iterator[tuple[str, str, Any]]:
    """(kind, field, value) of everything that a field must not hold."""
    by_type: dict[str, list[Any]] = {
        "int": [0, -1, True, 1.5, "x", 10**16, float("nan"), [3]],
        "bool": [0, 1, "yes", []],
        "float": ["x", True, float("inf"), float("nan"), []],
        "str": [7, True, [], {}],
        "part": [7, "x", [], Layer],
    }
    for kind in KINDS:
        found, _ = layers.find(kind)
        for entry in fields(found):  # type: ignore[arg-type]
            base = "part" if entry.name in found.PARTS else str(entry.type).removesuffix(" | None")
            values = [*by_type[base], *(["no such word"] if entry.name in found.CHOICES else [])]
            values += [] if str(entry.type).endswith(" | None") else [None]
            short = found.PARTS[entry.name][0].SHORT if base == "part" else ""
            if short and str(dict(_types(found.PARTS[entry.name][0]))[short]).startswith("float"):
                values.remove(7)  # a short form
            for value in values:
                if not (value == 0 and type(value) is int and entry.name in found.ZERO_ALLOWED):
                    yield kind, entry.name, value


@every_kind
def test_a_wrong_value_is_an_error_that_names_its_field(kind: str) -> None:
    found, _ = layers.find(kind)
    cases = [(name, value) for case, name, value in wrong_values() if case == kind]
    assert cases
    for name, value in cases:
        with pytest.raises((SizeError, DescriptionError, UnknownNameError)) as caught:
            found(**{**smallest(kind), name: value})
        assert caught.value.message.startswith((f"{name} must be ", f"unknown {name} 'x'")), (name, value)
        assert caught.value.field == name
        assert caught.value.where == kind


@every_kind
def test_fields_are_described(kind: str) -> None:
    found, _ = layers.find(kind)
    for entry in fields(found):  # type: ignore[arg-type]
        assert entry.name in (found.__doc__ or ""), f"{kind}.{entry.name} is not described"


@pytest.mark.parametrize("alias", layers.ALIASES)
def test_aliases_name_a_kind_and_its_fields(alias: str) -> None:
    found, fixed = layers.find(alias)
    found(**{**smallest(found.kind()), **fixed})


def test_an_unknown_kind_is_suggested() -> None:
    for name in ("atention", "../core/form", "__init__", "", "os"):
        with pytest.raises(InputError):
            layers.find(name)
    with pytest.raises(InputError, match="did you mean attention"):
        layers.find("atention")


DIVISIONS = [
    ("attention", {"d_model": 35, "n_heads": 5, "n_kv_heads": 3}, "n_kv_heads", "n_heads"),
    ("attention", {"d_model": 36, "n_heads": 5}, "n_heads", "d_model"),
    (
        "mamba2",
        {"d_model": 3, "n_ssm_heads": 5, "d_ssm_head": 7, "d_state": 11, "n_groups": 2},
        "n_groups",
        "n_ssm_heads",
    ),
    ("gated_delta_net", {"d_model": 3, "n_k_heads": 5, "n_v_heads": 7, "d_k": 11, "d_v": 13}, "n_k_heads", "n_v_heads"),
    (
        "moe",
        {"d_model": 3, "d_ff": 5, "n_experts": 11, "top_k": 2, "expert_groups": {"n": 7}},
        "expert_groups",
        "n_experts",
    ),
]


@pytest.mark.parametrize(("kind", "sizes", "field", "dividend"), DIVISIONS)
def test_heads_and_groups_divide(kind: str, sizes: dict[str, Any], field: str, dividend: str) -> None:
    with pytest.raises(SizeError, match=f"{field}.* does not divide") as caught:
        layers.find(kind)[0](**sizes)
    assert (caught.value.field, caught.value.divides) == (field, dividend)


def test_an_error_names_the_field_that_is_the_limit() -> None:
    with pytest.raises(SizeError, match=r"top_k \(5\) must not exceed n_experts \(3\)") as caught:
        layers.find("moe")[0](d_model=7, d_ff=11, n_experts=3, top_k=5)  # type: ignore[call-arg]
    assert (caught.value.field, caught.value.at_most) == ("top_k", "n_experts")


CONFLICTS = [  # values, and the fields whose reset avoids the error
    ("norm", {"activation": "relu", "gate_rank": 5, "sequence": None}, {"activation", "gate_rank"}),
    ("stored", {"taps": 5, "side": 3, "normed": True}, {"taps", "side", "normed"}),
]


@pytest.mark.parametrize(("kind", "values", "fields_to_reset"), CONFLICTS)
def test_a_drawn_layer_keeps_the_fields_that_do_not_conflict(
    kind: str, values: dict[str, Any], fields_to_reset: set[str]
) -> None:
    """A conflict is resolved by its fields alone, whichever of them are reset."""
    found, _ = layers.find(kind)
    usual = {entry.name: entry.default for entry in fields(found) if not is_required(entry)}  # type: ignore[arg-type]
    drawn = {**smallest(kind), **usual, **values}
    repaired = _repaired(found, drawn, {}, 1, usual)
    found(**repaired)
    assert {name for name in repaired if repaired[name] != drawn[name]} <= fields_to_reset
    assert repaired != drawn


def test_the_required_fields_are_the_ones_without_a_default() -> None:
    found, _ = layers.find("moe")
    assert [entry.name for entry in fields(found) if is_required(entry)] == ["d_model", "d_ff", "n_experts", "top_k"]  # type: ignore[arg-type]
