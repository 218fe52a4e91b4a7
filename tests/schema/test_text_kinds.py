"""A layer kind that a preset defines as text is declared, counted, written and refused like any other."""

from __future__ import annotations

import copy
import pickle
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc import layers
from llmcalc.calc.sharding import Mesh
from llmcalc.core.architecture import Architecture, declare
from llmcalc.core.description.fingerprint import fingerprint
from llmcalc.core.description.text_tokens import missing_state
from llmcalc.core.errors import InputError
from llmcalc.core.layer import Layer
from llmcalc.core.ledger import stack_entries
from llmcalc.core.traits import glossary
from llmcalc.schema import preset_files
from llmcalc.schema.describe import describe
from llmcalc.schema.export import preset_text
from llmcalc.schema.preset import build_preset, load_file, load_text
from llmcalc.schema.text_kinds import read_kinds

SLOTS: dict[str, Any] = {
    "description": "Each token reads learned memory slots.",
    "fields": {"n_slots": "int", "d_slot": "$d_model / 3"},
    "axes": {
        "d": "d_model",
        "m": {"size": "n_slots", "name": "n_slots", "meaning": "learned memory slots", "shard": "tensor"},
        "e": {"size": "d_slot", "shard": "whole"},
    },
    "tensors": ["wq[d | e]", "keys[m; e]", "values[m; d]"],
    "equations": [
        "q[b q e] = x[b q d] wq[d e]",
        "s[b q m] = q[b q e] keys[m e]",
        "p[b q m] = softmax(s)",
        "y[b q d] = p[b q m] values[m d]",
    ],
}
SLOTS_FIELDS = {"n_slots": 7}


def preset(kind: dict[str, Any], values: dict[str, Any], name: str = "sketch", d_model: int = 15) -> dict[str, Any]:
    """A model with one block, which holds an attention and a layer of the kind."""
    decoder = {
        "d_model": d_model,
        "norms": {"pre": {"rmsnorm": {}}},
        "inputs": {"token": {"embedding": {"rows": 31, "share": "token_embedding"}}},
        "blocks": {"block": {"attention": {"gqa": {"n_heads": 3}}, "own": {name: values}}},
        "order": ["block * 2"],
        "outputs": {"norm": {"rmsnorm": {}}, "head": {"head": {"vocab": 31, "share": "token_embedding"}}},
    }
    return {"name": "own", "kinds": {name: kind}, "architecture": {"stacks": {"decoder": decoder}}}


def built(kind: dict[str, Any], values: dict[str, Any], **options: Any) -> Architecture:
    return build_preset(preset(kind, values, **options), None, (), None)


def layer(kind: dict[str, Any], **values: int) -> Layer:
    return read_kinds({"sketch": kind}, ())["sketch"](**values)


GATED_MLP: dict[str, Any] = {
    "fields": {"d_ff": "$4 * d_model"},
    "axes": {"d": "d_model", "f": {"size": "d_ff", "shard": "tensor"}},
    "tensors": ["wg[d | f]", "wu[d | f]", "wd[f | d]"],
    "equations": [
        "g[b q f] = x[b q d] wg[d f]",
        "a[b q f] = silu(g)",
        "u[b q f] = x[b q d] wu[d f]",
        "m[b q f] = mul(a, u)",
        "y[b q d] = m[b q f] wd[f d]",
    ],
}
CHANNEL_MIX: dict[str, Any] = {
    "fields": {"d_ff": "int"},
    "axes": {"d": "d_model", "f": {"size": "d_ff", "shard": "tensor"}, "in": {"size": "d_model", "shard": "whole"}},
    "tensors": ["mix_k[d]", "mix_r[d]", "wk[d | f]", "wv[f | d]", "wr[in | d]"],
    "equations": [
        "previous[b q d] = keep(x) | prefill torch",
        "xk[b q d] = mul(x, mix_k)",
        "xk[b q d] = add(xk, shifted)",
        "xr[b q d] = mul(x, mix_r)",
        "xr[b q d] = add(xr, shifted)",
        "k[b q f] = xk[b q d] wk[d f]",
        "k[b q f] = relu2(k)",
        "v[b q d] = k[b q f] wv[f d]",
        "r[b q d] = xr[b q in] wr[in d]",
        "r[b q d] = sigmoid(r)",
        "y[b q d] = mul(r, v)",
    ],
    "state": [{"tensor": "shift[b d]", "role": "recurrent"}],
}
SHORT_CONV: dict[str, Any] = {
    "fields": {"d_conv": 3},
    "axes": {
        "d": "d_model",
        "i": {"size": "d_model", "shard": "tensor"},
        "K": {"size": "d_conv", "shard": "whole"},
        "Kt": "K - 1",
        "qc": "q",
        "qd": "q",
    },
    "tensors": ["w_B[d | i]", "w_C[d | i]", "wx[d | i]", "conv[i; K]", "wo[i | d]"],
    "equations": [
        "B[b q i] = x[b q d] w_B[d i]",
        "C[b q i] = x[b q d] w_C[d i]",
        "u[b q i] = x[b q d] wx[d i]",
        "u[b q i] = mul(B, u)",
        "u[b qc i] = u[b qc i] conv[i K] | prefill",
        "u[b qd i] = u[b qd i] conv[i K] | decode",
        "u[b q i] = mul(C, u)",
        "y[b q d] = u[b q i] wo[i d]",
    ],
    "state": [{"tensor": "conv[b i Kt]", "role": "conv"}],
}
LAUREL: dict[str, Any] = {
    "fields": {"rank": "int", "norm_eps": 1e-6},
    "axes": {"d": "d_model", "rank": {"size": "rank", "shard": "whole"}},
    "tensors": ["left[d | rank]", "right[rank | d]", "norm[d]"],
    "equations": [
        "l[b q rank] = x[b q d] left[d rank]",
        "y[b q d] = l[b q rank] right[rank d]",
        "y[b q d] = rmsnorm(y, norm)",
        "y[b q d] = add(y, x)",
    ],
}
GROUPED_QUERY: dict[str, Any] = {
    "fields": {"n_heads": "int", "n_kv_heads": "$n_heads", "d_head": "$d_model / n_heads"},
    "axes": {
        "d": "d_model",
        "h": {"size": "n_heads", "shard": "tensor"},
        "g": {"size": "n_kv_heads", "shard": "replicated"},
        "e": {"size": "d_head", "shard": "whole"},
        "v": {"size": "d_head", "shard": "whole"},
        "t": "c + q",
    },
    "tensors": ["wq[d | h e]", "wk[d | g e]", "wv[d | g v]", "wo[h v | d]"],
    "equations": [
        "q[b q h e] = x[b q d] wq[d h e]",
        "k[b q g e] = x[b q d] wk[d g e]",
        "v[b q g v] = x[b q d] wv[d g v]",
        "s[b h q k] = q[b q h e] k[b k g e] | g:h core",
        "s[b h q k] = scale(s) | core",
        "p[b h q k] = softmax(s) | core",
        "p[b h q k] = dropout(p) | core dropout",
        "o[b q h v] = p[b h q k] v[b k g v] | g:h core",
        "statistics[b h q] = log_sum_exp(o) | flash",
        "mask[b q k] = keep(mask) | flash torch",
        "y[b q d] = o[b q h v] wo[h v d]",
    ],
    "state": ["k[b t g e]", "v[b t g v]"],
    "mask": "causal",
}
WINDOWED: dict[str, Any] = GROUPED_QUERY | {
    "fields": GROUPED_QUERY["fields"] | {"window": "int"},
    "axes": GROUPED_QUERY["axes"] | {"w": {"size": "window"}, "k": "min(c, w - 1) + q", "t": "min(c + q, w - 1)"},
    "mask": {"window": "window"},
}
EQUAL = [
    ("mlp", {"d_model": 15, "d_ff": 22, "gated": True, "activation": "silu"}, GATED_MLP, {"d_ff": 22}),
    ("rwkv_channel_mix", {"d_model": 15, "d_ff": 22}, CHANNEL_MIX, {"d_ff": 22}),
    ("short_conv", {"d_model": 15, "d_conv": 4}, SHORT_CONV, {"d_conv": 4}),
    ("laurel", {"d_model": 15, "rank": 7}, LAUREL, {"rank": 7}),
    ("attention", {"d_model": 18, "n_heads": 6, "n_kv_heads": 2}, GROUPED_QUERY, {"n_heads": 6, "n_kv_heads": 2}),
    (
        "attention",
        {"d_model": 18, "n_heads": 6, "n_kv_heads": 2, "window": 5},
        WINDOWED,
        {"n_heads": 6, "n_kv_heads": 2, "window": 5},
    ),
]


@pytest.mark.parametrize(
    ("kind", "fields", "text", "given_"), EQUAL, ids=lambda item: item if isinstance(item, str) else ""
)
def test_existing_kinds_are_equal_as_text(
    kind: str, fields: dict[str, Any], text: dict[str, Any], given_: dict[str, int]
) -> None:
    wanted = declare(layers.find(kind)[0](**fields))
    found = declare(layer(text, d_model=fields["d_model"], **given_))
    assert (found.tensors, found.states, found.mask) == (wanted.tensors, wanted.states, wanted.mask)
    assert found.lines == wanted.lines
    for axis in (axis for tensor in wanted.tensors for axis in tensor.axes):
        assert found.division(axis) == wanted.division(axis), axis
    used = {axis for tensor in wanted.tensors for axis in tensor.axes} | {"k", "t", "qc", "qd", "Kt"}
    assert {axis: size for axis, size in found.axes.items() if axis in used} == {
        axis: size for axis, size in wanted.axes.items() if axis in used
    }


@pytest.mark.parametrize(
    ("kind", "fields", "text", "given_"), EQUAL, ids=lambda item: item if isinstance(item, str) else ""
)
def test_existing_kinds_have_equal_numbers_as_text(
    kind: str, fields: dict[str, Any], text: dict[str, Any], given_: dict[str, int]
) -> None:
    width = fields["d_model"]
    own = built(text, given_, d_model=width)
    data = preset(text, given_, d_model=width)
    data["architecture"]["stacks"]["decoder"]["blocks"]["block"]["own"] = {kind: fields}
    other = build_preset({key: value for key, value in data.items() if key != "kinds"}, None, (), None)
    assert llmcalc.params(own).total == llmcalc.params(other).total
    for mode in ("forward", "train"):
        one, two = (llmcalc.flops(model, seq=11, mode=mode) for model in (own, other))
        assert (one.matmul_form, one.total) == (two.matmul_form, two.total)
    assert llmcalc.state(own, seq=11).form == llmcalc.state(other, seq=11).form
    one, two = (memory(model, batch=2) for model in (own, other))
    assert one == two


def memory(model: Architecture, **options: Any) -> dict[str, Any]:
    """The memory of a training step of eleven tokens."""
    found: dict[str, Any] = llmcalc.memory(model, mode="training", seq=11, **options).to_dict()
    return found


def changed(**parts: Any) -> dict[str, Any]:
    """The memory of slots with other parts."""
    return SLOTS | parts


def equations(*lines: str) -> dict[str, Any]:
    return changed(equations=[*SLOTS["equations"], *lines])


def test_it_is_written_and_read_again() -> None:
    for text, values in [(SLOTS, SLOTS_FIELDS), *((text, values) for _, _, text, values in EQUAL)]:
        model = built(text, values, d_model=18)
        assert build_preset(describe(model), None, (), None).stacks == model.stacks
        again = load_text(preset_text(model, "again"), "again.yaml")
        assert again.stacks == model.stacks
        assert fingerprint(again) == fingerprint(model)


def test_it_is_copied_pickled_and_hashed() -> None:
    model = built(SLOTS, SLOTS_FIELDS)
    for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), built(SLOTS, SLOTS_FIELDS)):
        assert (same, hash(same)) == (model, hash(model))
    assert built(SLOTS, {"n_slots": 11}) != model


def test_another_definition_is_another_model() -> None:
    model, other = built(SLOTS, SLOTS_FIELDS), built(equations("y[b q d] = add(y, x)"), SLOTS_FIELDS)
    assert model != other
    assert fingerprint(model) != fingerprint(other)
    described = built(changed(description="another text"), SLOTS_FIELDS)
    assert fingerprint(model) == fingerprint(described)


def test_its_numbers_are_those_of_its_equations() -> None:
    model = built(SLOTS, SLOTS_FIELDS)
    assert llmcalc.params(model).by_component["sketch"] == 2 * (15 * 5 + 7 * 5 + 7 * 15)
    counted = llmcalc.flops(model, seq=11, batch=3).by_component["sketch"]
    assert counted.forward == 2 * 2 * 3 * 11 * (15 * 5 + 5 * 7 + 7 * 15)


def test_tensor_parallelism_divides_the_axes_that_say_so() -> None:
    declaration = declare(layer(SLOTS, d_model=15, n_slots=6))
    whole, keys, values = declaration.tensors
    assert [Mesh(tp=2).share_of_weight(one, declaration, 90) for one in (whole, keys, values)] == [90, 45, 45]
    silent = changed(axes=SLOTS["axes"] | {"m": "n_slots"})
    declaration = declare(layer(silent, d_model=15, n_slots=6))
    with pytest.raises(InputError, match="does not declare how tensor parallelism divides the axis 'm'"):
        Mesh(tp=2).share_of_weight(declaration.tensors[1], declaration, 90)


def test_a_difference_names_the_entries_of_a_definition() -> None:
    first = built(SLOTS, SLOTS_FIELDS)
    second = built(
        changed(equations=[line.replace("softmax", "sigmoid") for line in SLOTS["equations"]]), {"n_slots": 11}
    )
    found = {(entry.what, entry.first, entry.second) for entry in llmcalc.diff(first, second).differences}
    assert found == {
        ("sketch equations", "p[b q m] = softmax(s)", "p[b q m] = sigmoid(s)"),
        ("n_slots", "7", "11"),
    }
    assert not llmcalc.diff(first, built(SLOTS, SLOTS_FIELDS)).differences
    wider = built(changed(fields={"n_slots": "int", "d_slot": "$d_model / 5"}), SLOTS_FIELDS)
    entry = llmcalc.diff(first, wider).differences[0]
    assert (entry.what, entry.first, entry.second) == (
        "sketch fields", "d_slot: $d_model / 3", "d_slot: $d_model / 5",
    )  # fmt: skip
    moved = built(changed(tensors=SLOTS["tensors"][::-1]), SLOTS_FIELDS)
    assert [entry.first for entry in llmcalc.diff(first, moved).differences] == ["; ".join(SLOTS["tensors"])]
    renamed = built(changed(description=""), SLOTS_FIELDS)
    assert [entry.second for entry in llmcalc.diff(first, renamed).differences] == ["–"]


@pytest.mark.parametrize("name", ["params", "flops", "memory", "state", "traffic", "communication", "check", "verify"])
def test_every_function_accepts_it(name: str) -> None:
    assert getattr(llmcalc, name)(built(SLOTS, SLOTS_FIELDS)).to_dict()


def test_formulas_use_the_names_of_its_axes() -> None:
    named = {"e": {"size": "d_slot", "name": "d_slot", "shard": "whole"}, "z": {"size": 3, "name": "n_zeros"}}
    model = built(changed(axes=SLOTS["axes"] | named), SLOTS_FIELDS)
    tree = llmcalc.explain(model, "params").tree
    formulas: dict[str, str] = {}

    def collect(node: Any) -> None:
        formulas[node.label] = node.formula
        for child in node.children:
            collect(child)

    collect(tree)
    assert formulas["values"] == "n_blocks·n_slots·d_model"
    assert formulas["wq"] == "n_blocks·d_model·d_slot"
    collect(llmcalc.explain(built(SLOTS, SLOTS_FIELDS), "params").tree)
    assert formulas["wq"] == "n_blocks·d_model·d_slot"  # by its field, whatever the letter means elsewhere


def test_an_axis_without_a_name_is_named_after_its_field() -> None:
    kind = changed(axes=SLOTS["axes"] | {"za": "n_slots", "zb": "n_slots + 1"})
    names = glossary(type(layer(kind, d_model=15, n_slots=7)))
    assert (names["za"][0], names["zb"][0], names["d"][0]) == ("n_slots", "zb", "d_model")


def test_its_traits_follow_from_its_state_and_axes() -> None:
    assert [layer(text, d_model=15, d_ff=7).IS_RECURRENT for text in (CHANNEL_MIX, GATED_MLP)] == [True, False]
    assert layer(SHORT_CONV, d_model=15).has_order()
    assert not layer(GATED_MLP, d_model=15, d_ff=7).has_order()


def test_check_knows_fields_with_common_names() -> None:
    odd = built(GROUPED_QUERY, {"n_heads": 6, "n_kv_heads": 2, "d_head": 37}, d_model=18)
    other = built(
        GROUPED_QUERY | {"fields": {"n_heads": "int", "n_kv_heads": "int", "d_head": "int"}},
        {"n_heads": 6, "n_kv_heads": 2, "d_head": 64},
        d_model=18,
    )
    found, fine = ({finding.place for finding in llmcalc.check(model).findings} for model in (odd, other))
    assert any("own" in where and "d_head" in where for where in found - fine), (found, fine)


def test_its_small_version_keeps_divisions_exact() -> None:
    def small(text: dict[str, Any], d_model: int, **values: int) -> dict[str, Any]:
        model = built(text, values, d_model=d_model).shrink()
        return vars(model.main.runs[0].block.sublayers[1].branches[0].layer)

    assert small(SLOTS, 15, n_slots=7000)["n_slots"] < 50
    assert small(SLOTS, 15, n_slots=7000)["d_slot"] * 3 == small(SLOTS, 15, n_slots=7000)["d_model"]
    heads = small(GROUPED_QUERY, 48, n_heads=12, n_kv_heads=4)
    assert 1 < heads["n_kv_heads"] < heads["n_heads"]
    assert heads["n_heads"] % heads["n_kv_heads"] == 0
    assert heads["d_head"] * heads["n_heads"] == heads["d_model"]
    assert heads["d_head"] % 2 == 0
    free = small(GROUPED_QUERY, 48, n_heads=12, n_kv_heads=4, d_head=31)
    assert free["d_head"] * free["n_heads"] != free["d_model"]
    assert small(GROUPED_QUERY, 48, n_heads=12, n_kv_heads=1)["n_kv_heads"] == 1
    equal = small(GROUPED_QUERY, 48, n_heads=12, n_kv_heads=12)
    assert equal["n_kv_heads"] == equal["n_heads"]
    assert small(WINDOWED, 48, n_heads=12, window=4096)["window"] in (5, 7, 11, 13)
    chunked = WINDOWED | {"mask": {"chunk": "window"}}
    assert small(chunked, 48, n_heads=12, window=4096)["window"] in (3, 5)


def test_a_base_passes_its_kinds_on(tmp_path: Path) -> None:
    import json

    (tmp_path / "own.yaml").write_text(json.dumps(preset(SLOTS, SLOTS_FIELDS)), "utf-8")
    child = {"name": "child", "base": "own", "kinds": {"sketch": {"fields": {"d_slot": 4}}}}
    (tmp_path / "child.yaml").write_text(json.dumps(child), "utf-8")
    found = llmcalc.load(str(tmp_path / "child.yaml"))
    assert llmcalc.params(found).by_component["sketch"] == 2 * (15 * 4 + 7 * 4 + 7 * 15)


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    (changed(fields=SLOTS["fields"] | {"declare": 3}), "declare", "cannot be called declare"),
    (changed(axes=SLOTS["axes"] | {"m": {"size": 3, "name": "two words"}}), "m", "invalid axis name 'two words'"),
    (changed(axes=SLOTS["axes"] | {"q": 3}), '"q"', "comes from the workload"),
    (changed(fields={"n_slots": "integer"}), "integer", "n_slots must be int, float"),
    (changed(fields=SLOTS["fields"] | {"d_slot": "$d_modle / 3"}), "d_modle", "unknown field 'd_modle'"),
    (changed(fields=SLOTS["fields"] | {"one": "$two", "two": "$one"}), "fields", "circular references"),
    (changed(axes=SLOTS["axes"] | {"e": "d_slots"}), '"e"', "unknown axis or field 'd_slots'"),
    (changed(axes=SLOTS["axes"] | {"t": "c / 2"}), '"t"', "divides a length that depends on the workload"),
    (changed(axes=SLOTS["axes"] | {"e": "c + q"}), "wq", "has a length that depends on the workload"),
    (changed(axes=SLOTS["axes"] | {"e": 0}), '"e"', "must have a positive size"),
    (changed(tensors=[*SLOTS["tensors"], "wx[d | f]"]), "wx", "axis 'f' of tensor"),
    (changed(tensors=[*SLOTS["tensors"], "wx"]), "wx", "invalid tensor 'wx'"),
    (changed(tensors=[*SLOTS["tensors"], "wq[d]"]), '"wq[d]"', "already in use"),
    (changed(tensors=[*SLOTS["tensors"], "wx[d]"]), "wx", "no equation reads tensor wx"),
    (equations("y[b q d] = add(y, z)"), "z)", "unknown tensor 'z'"),
    (equations("y[b q d] = ad(y, x)"), "ad(", "unknown function 'ad'"),
    (equations("y[b q z] = add(y, x)"), "b q z", "unknown axis 'z'"),
    (equations("y[b q d] = y[b q] keys[m e]"), "y[b q] ", "y has 3 axes"),
    (equations("y[b q d] = s[b q m] values[m e]"), "values[m e]", "values has the axes m d"),
    (equations("y[b q d] = p[b q m] values[s d]"), "values[s d]", "values has the axes m d"),
    (equations("y[b q d] = p[b q k] values[m d]"), "p[b q k]", "p has the axes b q m"),
    (equations("y[b q d] = p[b q e] values[m d]"), "p[b q e]", "p has the axes b q m"),
    (equations("u[b q e] = mul(q, p)", "y[b q d] = u[b q e] wq[d e]"), "mul(q, p)", "p has the axes b q m"),
    (equations("y[b q d] = y * x"), "y * x", "is not a valid tensor"),
    (equations("wq[d e] = scale(wq)"), "scale(", "is a stored tensor"),
    (equations("y = scale(y)"), "scale(", "y has no axes"),
    (equations("y[b q d] = mul(y, shifted)"), "shifted)", "write the axes of shifted"),
    (changed(equations=["q[b q e] = x[b q d] wq[d e]"]), "equations", "computes the output y"),
    (changed(state=["S[b z]"]), "S[b z]", "unknown axis 'z'"),
    (equations("z[b q d] = add(y, x)"), "z[b q d]", "no equation reads z, which 'z[b q d] = add(y, x)' computes"),
    (changed(equations=["q[b q e] = x[b q d] wq[d e]", *SLOTS["equations"]]), "q[b q e]", "no equation reads q"),
    (changed(state=["S[b e]"]), "S[b e]", "no equation computes the state S"),
    (equations("y[b q d] = mul(y, shifted[b q d])"), "shifted", "reads the input of the previous token"),
    (equations("y[b q d] = cumulative_sum(y)"), "cumulative_sum", "is a recurrence over the tokens"),
    (changed(mask="casual"), "mask", "mask must be one of causal"),
    (changed(mask={"window": "w"}), "mask", "unknown field 'w'"),
]


REMEDIES = [  # a kind without state, the line that needs it, and the entries that mend it
    (GROUPED_QUERY, "s[b h q k] = q[b q h e] k[b k g e]", {"state": ["k[b t g e]"]}, ""),
    (GROUPED_QUERY | {"state": ["k[b t g e]"]}, "o[b q h v] = p[b h q k]", {"state": ["v[b t g v]"]}, ""),
    (WINDOWED, "s[b h q k] = q[b q h e] k[b k g e]", {"state": ["k[b t g e]"]}, ""),
    (
        GROUPED_QUERY | {"axes": {axis: size for axis, size in GROUPED_QUERY["axes"].items() if axis != "t"}},
        "s[b h q k] = q[b q h e] k[b k g e]",
        {"state": ["k[b t g e]"]},
        " and t: c + q to axes",
    ),
    (
        WINDOWED | {"axes": {axis: size for axis, size in WINDOWED["axes"].items() if axis != "t"}},
        "s[b h q k] = q[b q h e] k[b k g e]",
        {"state": ["k[b t g e]"]},
        " and t: min(c + q, w - 1) to axes",
    ),
    (CHANNEL_MIX, "xk[b q d] = add(xk, shifted)", {"state": [{"tensor": "shift[b d]", "role": "recurrent"}]}, ""),
    (
        SHORT_CONV,
        "u[b qc i] = u[b qc i] conv[i K]",
        {"state": [{"tensor": "conv[b i Kt]", "role": "conv"}]},
        "",
    ),
]  # fmt: skip
SIZES = {"n_heads": 6, "n_kv_heads": 2, "window": 5, "d_ff": 7}


@pytest.mark.parametrize(("kind", "line", "remedy", "more"), REMEDIES, ids=lambda item: item if item else "")
def test_a_kind_without_the_state_that_it_reads_is_refused(
    kind: dict[str, Any], line: str, remedy: dict[str, Any], more: str
) -> None:
    values = {name: SIZES[name] for name in kind["fields"] if name in SIZES}
    own = kind | {"state": [] if kind["state"] != ["k[b t g e]"] else kind["state"]}
    text = json_lines(preset(own, values, d_model=18))
    with pytest.raises(InputError, match=r"earlier token|previous token") as caught:
        load_text(text, "own.yaml")
    assert line in text.splitlines()[int(caught.value.where.split(":")[1]) - 1]
    entry = remedy["state"][0]
    spec = f'"{entry}"' if isinstance(entry, str) else f'{{tensor: "{entry["tensor"]}", role: {entry["role"]}}}'
    assert caught.value.hint == f"add {spec} to state{more}"
    encoder = preset(own, values, d_model=18)
    encoder["architecture"]["stacks"]["decoder"]["role"] = "encoder"
    assert build_preset(encoder, None, (), None).stacks


def test_an_axis_is_named_by_its_field() -> None:
    """The letters r, h and e have other names in attention."""
    axes = {"d": "d_model", "r": "rank", "h": "n_heads", "e": "$d_model / n_heads"}
    kind = {
        "fields": {"rank": "int", "n_heads": "int"},
        "axes": axes,
        "tensors": ["wa[d | h r]", "wb[h r | e]", "wy[e | d]"],
        "equations": [
            "a[b q h r] = x[b q d] wa[d h r]",
            "s[b q e] = a[b q h r] wb[h r e]",
            "y[b q d] = s[b q e] wy[e d]",
        ],
    }
    found = glossary(type(layer(kind, d_model=15, rank=2, n_heads=3)))
    assert [found[axis][0] for axis in axes] == ["d_model", "rank", "n_heads", "e"]
    assert found["h"] == glossary(layers.Attention)["h"]


def test_rotated_heads_keep_their_width() -> None:
    kind = {
        "fields": {"width": 4, "rotated": 2},
        "axes": {"d": "d_model", "e": "width", "r": "rotated"},
        "tensors": ["wq[d | e]", "wy[e | d]"],
        "equations": ["q[b q e] = x[b q d] wq[d e]", "q[b q r] = rope(q)", "y[b q d] = q[b q e] wy[e d]"],
    }
    assert layer(kind, d_model=6).declare().axes == {"d": 6, "e": 4, "r": 2}


@pytest.mark.parametrize(("kind", "place", "message"), MISTAKES, ids=lambda item: item if isinstance(item, str) else "")
def test_a_mistake_is_located(kind: dict[str, Any], place: str, message: str) -> None:
    text = json_lines(preset(kind, SLOTS_FIELDS))
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        load_text(text, "own.yaml")
    line = int(caught.value.where.split(":")[1])
    assert place in "".join(text.splitlines()[line - 1 : line + 1])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "is a built-in layer kind; choose another name") for name in ("attention", "gqa")),
        *((name, "is a key of a sub-layer; choose another name") for name in ("norms", "scale", "joins")),
        *((name, "invalid kind name") for name in ("Slots", "two words", "x" * 61)),
    ],
)
def test_a_name_with_another_meaning_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        built(SLOTS, SLOTS_FIELDS, name=name)


def test_a_misspelt_kind_or_field_is_suggested() -> None:
    data = preset(SLOTS, SLOTS_FIELDS)
    data["architecture"]["stacks"]["decoder"]["blocks"]["block"]["own"] = {"sketc": {}}
    with pytest.raises(InputError, match="unknown layer kind 'sketc'") as caught:
        build_preset(data, None, (), None)
    assert "sketch" in caught.value.hint
    with pytest.raises(InputError, match="unknown sketch field 'slots'"):
        built(SLOTS, {"slots": 3})
    with pytest.raises(InputError, match="sketch requires n_slots"):
        built(SLOTS, {})
    data["architecture"]["stacks"]["decoder"]["blocks"]["block"]["own"] = {"mlp": {}}
    with pytest.raises(InputError, match="mlp requires d_ff") as caught:
        build_preset(data, None, (), None)
    assert caught.value.hint == "d_ff: hidden width"
    with pytest.raises(InputError, match="field d_slot: 'd_model / 3' is 16 / 3"):
        layer(SLOTS, d_model=16, n_slots=7)


def json_lines(data: Any) -> str:
    import json

    return json.dumps(data, indent=1)


PIECES = st.sampled_from([
    "x", "y", "wq", "keys", "[b q d]", "[d e]", "[m e]", "[b q e]", " = ", "add(", "softmax(", "softmax(s)", ")", ", ",
    " | ", "core", "e:d", "row:q", "s[b q m]", "q[b q e]", "[", "]", "=", "x[b q d] wq[d e]", "y[b q d] = ", "nograd",
])  # fmt: skip
EXPRESSIONS = st.one_of(
    st.integers(-3, 10**16),
    st.sampled_from([
        "d_model", "n_slots", "c + q", "$d_model / 3", "d_model * n_slots", "min(c, m - 1) + q", "q * q", "ceil(q)",
        "mod(q, m)", "log2(q)", "(b + q + k) * (b + q + c)", "q / 2", "1 / 0", "min(", "pairs(q, k)", "-q", "q - q - 5",
    ]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(PIECES, min_size=1, max_size=7).map("".join), max_size=3),
    st.dictionaries(st.sampled_from(["m", "e", "t", "k", "q", "1a"]), EXPRESSIONS, max_size=2),
    st.dictionaries(st.sampled_from(["n_slots", "d_slot", "rank"]), st.one_of(EXPRESSIONS, st.just("int")), max_size=2),
    st.lists(st.sampled_from(["q[b t e]", "s[b m]", "wq[d | e]", "S[b", "y[b q d]"]), max_size=2),
)
def test_any_text_is_counted_or_refused(
    lines: list[str], axes: dict[str, Any], own: dict[str, Any], states: list[str]
) -> None:
    kind = changed(
        equations=[*lines[:1], *SLOTS["equations"], *lines[1:]],
        axes=SLOTS["axes"] | axes,
        fields=SLOTS["fields"] | own,
        state=states,
    )
    try:
        model = load_text(json_lines(preset(kind, SLOTS_FIELDS)), "own.yaml")
        total, work = llmcalc.params(model).total, llmcalc.flops(model, seq=5, batch=2)
        llmcalc.state(model, seq=5)
        memory(model)
    except InputError:
        return
    declared = [row.size * row.copies for row in llmcalc.params(model).rows]
    assert total == sum(declared)
    assert work.matmul == sum(count.matmul for count in work.by_component.values())
    assert load_text(preset_text(model, "again"), "again.yaml").stacks == model.stacks


HOSTILE: list[dict[str, Any]] = [
    WINDOWED
    | {"axes": WINDOWED["axes"] | {"t": "mod(q, q - 1)"}}
    | {"fields": WINDOWED["fields"] | {"n_slots": "int", "n_heads": 3, "window": 5}},
    changed(equations=[*SLOTS["equations"], *["y[b q d] = add(y, x)"] * 10_000]),
    changed(axes=SLOTS["axes"] | {f"a{index}": 3 for index in range(1_000)}),
    equations("y[b q d] = " + "x[b q d] " * 10_000),
    equations("y[b q d] = add(" + "[" * 10_000),
    changed(axes=SLOTS["axes"] | {"t": "(b + q + k + c + s) * " * 40 + "q"}),
    changed(axes=SLOTS["axes"] | {"t": "min(" * 100 + "q" + ", 1)" * 100}),
    changed(axes=SLOTS["axes"] | dict.fromkeys(("t", "k"), "*".join(["(b + q + c + s + n)"] * 9)))
    | {"equations": [*SLOTS["equations"], "z[t b q] = scale(y)", "z[t k] = scale(z)"]},
    changed(fields=SLOTS["fields"] | {f"f{index}": f"$f{index + 1}" for index in range(60)}),
    changed(fields=SLOTS["fields"] | {"one": "$" + "d_model * " * 30 + "1"}),
]


@pytest.mark.parametrize("kind", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_definition_is_refused_at_once(kind: dict[str, Any]) -> None:
    begin = time.perf_counter()
    with pytest.raises(InputError):
        llmcalc.flops(built(kind, SLOTS_FIELDS), seq=5)
    assert time.perf_counter() - begin < 2


OTHER_CACHES = {"compressed_attention"}  # whose state is summaries of tokens


def test_the_documentation_shows_what_is_said_of_a_forgotten_state() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "presets.md").read_text("utf-8")
    text = page.split("# file: decay.yaml\n")[1].split("```")[0]
    entry = '      - {tensor: "taps[b h e Kt]", role: conv}\n'
    assert load_text(text, "decay.yaml").stacks
    with pytest.raises(InputError) as caught:
        load_text("# file: decay.yaml\n" + text.replace(entry, ""), "decay.yaml")
    assert f"error: {caught.value}\n" in page


def test_decoders_of_presets_declare_what_they_read_from_earlier_tokens() -> None:
    """The check of text kinds holds for every kind in a preset, and finds each of them without its state."""
    stacks = (
        stack for file in preset_files.files().values() for stack in load_file(file).stacks if stack.role == "decoder"
    )
    found = {entry.layer.kind(): entry.layer for stack in stacks for entry in stack_entries(stack)}
    recurrent = 0
    for kind, one in found.items():
        declaration = one.declare()
        if declaration.states and kind not in OTHER_CACHES:
            assert missing_state(declaration) is None, kind
            declaration.states.clear()
            assert missing_state(declaration) is not None, kind
            recurrent += one.IS_RECURRENT
    assert recurrent > 5
