"""Parts: records in the fields of layers, their short forms, and the flat names of their fields."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import llmcalc
from llmcalc import layers
from llmcalc.core import flat_fields
from llmcalc.core.aliases import LAYER_FIELDS, PART_WIDTHS, old_names
from llmcalc.core.errors import DescriptionError, InputError, SizeError, UnknownNameError
from llmcalc.core.fingerprint import canonical
from llmcalc.core.part import nested_fields
from llmcalc.core.record import MISSING
from llmcalc.core.record import fields as record_fields
from llmcalc.layers import (
    Alibi,
    Attention,
    Capacity,
    CompressedAttention,
    FixedTable,
    Gate,
    InnerNorm,
    Latent,
    LogitScale,
    Mla,
    Moe,
    Rope,
    Routing,
    Sphere,
)
from llmcalc.layers.parts.rope import LongRope, Yarn
from llmcalc.schema.describe import plain_field
from llmcalc.schema.preset import load_text
from llmcalc.testing import smallest

pytestmark = pytest.mark.filterwarnings("ignore:.*is now written as a field of:DeprecationWarning")
HEADS: dict[str, Any] = {"d_model": 77, "n_heads": 7, "d_head": 22}
LATENT: dict[str, Any] = {"d_model": 77, "n_heads": 7, "kv_lora_rank": 13, "qk_nope_head_dim": 11}
LATENT |= {"qk_rope_head_dim": 6, "v_head_dim": 5}
COMPRESSED: dict[str, Any] = {"d_model": 77, "n_heads": 6, "d_head": 14, "q_lora_rank": 11, "window": 5}
COMPRESSED |= {"n_groups": 3, "o_lora_rank": 13}
STRETCHED = Rope(5e5, 10, scaling=Yarn(8.0, 4096, fast=16.0))
PRESET = """
name: small
architecture:
  stacks:
    decoder:
      d_model: 77
      inputs: {token: {embedding: {rows: 101}}}
      blocks: {block: {attention: {gqa: {n_heads: 7, n_kv_heads: 7, d_head: 22, FIELDS}}}}
      order: [block * 3]
"""


def attention_of(fields: str, overrides: tuple[str, ...] = ()) -> Attention:
    found = load_text(PRESET.replace("FIELDS", fields), "small.yaml", overrides)
    layer = found.main.runs[0].block.sublayers[0].branches[0].layer
    assert isinstance(layer, Attention)
    return layer


@pytest.mark.parametrize(
    ("fields", "rope"),
    [
        ("rope: true", Rope(dim=22)),
        ("rope: {}", Rope(dim=22)),
        ("positions: rope", Rope(dim=22)),
        ("rope: false", None),
        ("rope: null", None),
        ("positions: none, rope: {theta: 3.0}", None),
        ("rope: {theta: 5e5, dim: 10, scaling: {yarn: {factor: 8.0, length: 4096, fast: 16.0}}}", STRETCHED),
        ("rope: {scaling: yarn}", Rope(dim=22, scaling=Yarn())),
        ("rope: {scaling: none}", Rope(dim=22)),
        ("rope: {scaling: {yarn: {factor: 8.0}, llama3: null}}", Rope(dim=22, scaling=Yarn(8.0))),
        ("positions: rope, rope_theta: 5e5, rotary_dim: 10, rope_scaling: yarn, rope_factor: 8.0, rope_length: 4096,"
         " rope_fast: 16.0", STRETCHED),
        ("rope: {theta: 5e5, dim: 10}, rope_scaling: yarn, rope_factor: 8.0, rope_length: 4096, rope_fast: 16.0",
         STRETCHED),
        ("rope_theta: 5e5", None),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_part(fields: str, rope: Rope | None) -> None:
    assert attention_of(fields).rope == rope


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ("rope: {theta: x}", "rope.theta", "theta must be a finite number"),
        ("rope: {thet: 3.0}", "rope.thet", "unknown rope field 'thet'"),
        ("rope: {scaling: {yarm: {}}}", "rope.scaling.yarm", "unknown scaling 'yarm'"),
        ("rope: {scaling: {yarn: {factor: [1]}}}", "rope.scaling.yarn.factor", "factor must be a finite number"),
        ("rope: {scaling: {yarn: {length: 0}}}", "rope.scaling.yarn.length", "length must be an integer from 1"),
        ("rope: {scaling: {yarn: {}, linear: {}}}", "rope.scaling", "yarn and linear cannot be combined"),
        ("rope: {scaling: 3}", "rope.scaling", "scaling must be one of linear"),
        ("rope: {dim: 23}", "rope.dim", "rope.dim (23) must not exceed d_head (22)"),
        ("rope: {grid: x}", "rope.grid", "grid must be one of none, halves"),
        ("positions: rope, rope_theta: x", "rope_theta", "theta must be a finite number"),
        ("rope: {}, rope_scaling: yarn, rope_length: 0", "rope_length", "length must be an integer from 1"),
        ("rope: {}, rope_scaling: yarm", "rope_scaling", "unknown scaling 'yarm'"),
        ("rope: 7", "rope", "rope must be a mapping, true or false"),
        ("rope: {scaling: {longrope: {factors: 1 | 2}}}", "rope.scaling.longrope.factors", "it must have 11 | 11"),
    ],
)
def test_an_error_names_the_whole_path(fields: str, path: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        attention_of(fields)
    assert message in caught.value.message
    assert path == ".".join(map(str, (caught.value.path or ())[-1 - path.count(".") :]))
    assert caught.value.where != "small.yaml:1:1"


def test_a_mapping_changes_the_default_of_the_kind() -> None:
    assert CompressedAttention(**COMPRESSED, rope={"theta": 3.0}).rope == Rope(3.0, 14, interleaved=True)
    assert Mla(**LATENT).rope == Rope()
    assert Mla(**LATENT, rope=False).rope is None
    with pytest.raises(DescriptionError, match="rope must be a mapping or true, not None"):
        CompressedAttention(**COMPRESSED, rope=None)
    with pytest.raises(SizeError, match=r"rope.dim is not available for mla"):
        Mla(**LATENT, rope={"dim": 2})


def test_flat_names_are_accepted_by_constructors_and_as_attributes() -> None:
    flat: dict[str, Any] = {"positions": "rope", "rope_theta": 5e5, "rotary_dim": 10, "rope_scaling": "yarn"}
    flat |= {"rope_factor": 8.0, "rope_length": 4096, "rope_fast": 16.0}
    layer = Attention(**HEADS, **flat)
    assert layer == Attention(**HEADS, rope=STRETCHED)
    assert {name: getattr(layer, name) for name in flat} == flat
    assert (layer.rope_slow, layer.rope_factors) == (1.0, "")  # type: ignore[attr-defined]
    bare = Attention(**HEADS, positions="alibi")  # type: ignore[call-arg]
    assert (bare.score_bias, bare.rope) == (Alibi(), None)
    assert (bare.positions, bare.rope_theta, bare.rotary_dim) == ("alibi", 10000.0, 22)  # type: ignore[attr-defined]
    assert Mla(**LATENT, rope_theta=3.0).rope == Rope(3.0)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="no attribute 'rope_thet'"):
        layer.rope_thet  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("flat", "gate"),
    [
        ({"gated": True}, Gate(bias="none")),
        ({"gated": True, "q_bias": True}, Gate(bias="value")),
        ({"gated": True, "q_bias": True, "gate_per_head": True}, Gate(True, "head")),
        ({"gated": True, "gate_function": "softplus", "gate_bias": "head"}, Gate(False, "head", "softplus")),
        ({"gated": False, "gate_per_head": True}, None),
        ({"gate_per_head": True}, None),
    ],
)
def test_a_flag_tells_whether_there_is_a_part(flat: dict[str, Any], gate: Gate | None) -> None:
    layer = Attention(**HEADS, **flat)
    assert layer.gate == gate
    assert layer.gated is (gate is not None)  # type: ignore[attr-defined]
    assert layer.gate_bias == (gate.bias if gate else "none")  # type: ignore[attr-defined]
    assert ("gated=True" in canonical(layer), "gate_bias=" in canonical(layer)) == (gate is not None, True)
    assert replace(layer, gated=False).gate is None  # type: ignore[call-arg]
    with pytest.raises(DescriptionError, match="gated must be true or false, not 'yes'"):
        Attention(**HEADS, gated="yes")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("flat", "latent", "capacity"),
    [
        ({}, None, None),
        ({"d_latent": 3}, Latent(3), None),
        ({"d_latent": 3, "latent_norm": True, "latent_norm_eps": 0.1}, Latent(3, norm=True, eps=0.1), None),
        ({"d_latent": None, "latent_bias": True}, None, None),
        ({"latent_bias": True, "capacity_factor": None, "batch_capacity": False}, None, None),
        ({"capacity": 5}, None, Capacity(5)),
        ({"batch_capacity": True, "capacity_share": 0.5}, None, Capacity(batch=True, share=0.5)),
        ({"latent": {"width": 3}, "latent_bias": True}, Latent(3, True), None),
        ({"latent": {"width": None}}, None, None),
    ],
)
def test_flat_fields_imply_a_part(flat: dict[str, Any], latent: Latent | None, capacity: Capacity | None) -> None:
    layer = Moe(7, 5, 11, 2, **flat)
    assert (layer.latent, layer.expert_capacity) == (latent, capacity)
    assert layer.d_latent == (latent.width if latent else None)  # type: ignore[attr-defined]
    assert layer.capacity == (capacity.tokens if capacity else None)  # type: ignore[attr-defined]
    assert replace(layer, d_latent=None).latent is None  # type: ignore[call-arg]


def test_fingerprints_keep_the_first_order_of_fields() -> None:
    layer = Moe(
        7,
        5,
        11,
        2,
        routing=Routing("sigmoid"),
        latent=Latent(3, norm=True),
        expert_capacity=Capacity(factor=2.0),
        unused=True,
    )
    own = "d_model=7,d_ff=5,n_experts=11,top_k=2,router='sigmoid',shared_gated=True,d_latent=3"
    assert canonical(layer) == f"Moe({own},latent_norm=True,capacity_factor=2.0,unused=True)"


def test_changes_by_flat_name_keep_the_rest() -> None:
    layer = Attention(**HEADS, rope=STRETCHED)
    assert replace(layer, rope_theta=3.0).rope == replace(STRETCHED, theta=3.0)  # type: ignore[call-arg]
    assert replace(layer, rope_slow=3.0).rope == replace(STRETCHED, scaling=Yarn(8.0, 4096, 16.0, 3.0))  # type: ignore[call-arg]
    assert replace(layer, rope_scaling="none").rope == Rope(5e5, 10)  # type: ignore[call-arg]
    assert replace(layer, positions="none").rope is None  # type: ignore[call-arg]
    assert replace(layer, rope=None).positions == "none"  # type: ignore[attr-defined]


def test_flat_names_have_one_notice_per_process_and_one_per_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_fields, "_noticed", [])
    with pytest.warns(DeprecationWarning, match="rope_theta is now written as a field of rope"):
        Attention(**HEADS, positions="rope", rope_theta=3.0)  # type: ignore[call-arg]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Attention(**HEADS, positions="rope", rotary_dim=2)  # type: ignore[call-arg]
    fields = "positions: rope, rope_theta: 3.0, rotary_dim: 2"
    assert len(load_text(PRESET.replace("FIELDS", fields), "small.yaml").warnings) == 1
    assert load_text(PRESET.replace("FIELDS", "positions: rope"), "small.yaml").warnings == ()


def test_overrides_reach_parts_by_flat_name_and_by_path() -> None:
    fields = "rope: {scaling: {yarn: {length: 4096}}}"
    assert attention_of(fields, ("rope_theta=3.0", "rope_factor=7")).rope == Rope(3.0, 22, scaling=Yarn(7, 4096))
    path = "stacks.decoder.blocks.block.attention.gqa.rope.scaling.yarn.factor=5.0"
    assert attention_of(fields, (path,)).rope == Rope(dim=22, scaling=Yarn(5.0, 4096))
    with pytest.raises(UnknownNameError, match="rope_theta"):
        attention_of("causal: true", ("rope_theta=3.0",))


@pytest.mark.parametrize("rope", [None, Rope(), STRETCHED, Rope(2.0, 4, True, scaling=LongRope(factors="1 2 | 3 4"))])
def test_plain_data_describe_a_part(rope: Rope | None) -> None:
    layer = Attention(**HEADS, rope=rope)
    data = plain_field(layer, "rope", layer.rope, None)
    assert Attention(**HEADS, rope=data) == layer


def test_a_fingerprint_does_not_depend_on_the_form() -> None:
    text = "Attention(d_model=77,n_heads=7,n_kv_heads=7,d_head=22,d_head_v=22,positions='rope',rotary_dim=10,"
    text += "rope_theta=500000.0,rope_scaling='yarn',rope_factor=8.0,rope_length=4096,rope_fast=16.0,d_source=77,"
    assert canonical(Attention(**HEADS, rope=STRETCHED)).startswith(text)
    assert "rope=False" in canonical(Mla(**LATENT, rope=None))


def test_paths_of_nested_fields_are_those_of_a_preset() -> None:
    paths = {path: value for path, value, *_ in nested_fields(Attention(**HEADS, rope=STRETCHED))}
    assert paths["rope"] is True
    assert paths["rope.scaling"] == "yarn"
    assert paths["rope.scaling.yarn.length"] == 4096
    rows = [(row.what, row.first, row.second) for row in llmcalc.diff("llama3-8b", "llama3.1-8b").differences]
    assert ("rope.scaling", "none", "llama3") in rows


def flat_values() -> Iterator[tuple[str, str, str, Any, Any]]:
    """(kind, part, flat field, default, another value) of the flat fields of every part that they imply."""
    for kind in layers.kinds():
        found = layers.find(kind)[0]
        for flat, (name, field, *_) in flat_fields.flat_names(found).fields.items():  # type: ignore[arg-type]
            part = found.PARTS[name][0]
            entry = next((entry for entry in record_fields(part) if entry.name == field), None)
            if entry is None or flat in PART_WIDTHS or not flat_fields._is_implied(found, name):
                continue
            other = {"int": 3, "float": 1.5, "str": part.CHOICES.get(field, ("", "text"))[-1]}
            other["bool"] = entry.default is not True
            usual = None if entry.default is MISSING else entry.default
            yield kind, name, flat, usual, other[entry.type.removesuffix(" | None")]


@pytest.mark.parametrize(("kind", "name", "flat", "usual", "value"), [*flat_values()])
def test_a_flat_field_makes_its_part(kind: str, name: str, flat: str, usual: Any, value: Any) -> None:
    found = layers.find(kind)[0]
    names = {other: path[1:] for other, path in flat_fields.flat_names(found).fields.items() if path[0] == name}  # type: ignore[arg-type]
    names = {other: path for other, path in names.items() if path[0] in found.PARTS[name][0].__match_args__}  # type: ignore[attr-defined]
    defaults = {entry.name: entry.default for entry in record_fields(found.PARTS[name][0])}
    required = {other: 3 for other, path in names.items() if defaults[path[0]] is MISSING}
    plain = found(**smallest(kind))
    try:
        layer = found(**smallest(kind), **required | {flat: value})
    except SizeError:  # a value that requires another field
        return
    assert getattr(layer, name) is not None
    assert getattr(layer, flat) == value
    assert f"{old_names(LAYER_FIELDS.get(kind, {})).get(flat, flat)}={value!r}" in canonical(layer)
    assert (getattr(plain, flat), getattr(plain, name)) == (usual, None)
    assert found(**smallest(kind), **{flat: usual}) == plain
    assert canonical(replace(layer, **dict.fromkeys(required) or {flat: usual})) == canonical(plain)


@pytest.mark.parametrize(
    ("kind", "flat", "part", "value"),
    [
        ("mlp", {"inner_norm": True, "inner_norm_function": "layernorm"}, "inner_norm", InnerNorm("layernorm")),
        ("mlp", {"inner_norm": True}, "inner_norm", InnerNorm()),
        ("mlp", {"on_sphere": True, "sphere_gain": 3.0}, "sphere", Sphere(3.0)),
        ("mlp", {"on_sphere": False, "sphere_gain": 3.0}, "sphere", None),
        ("head", {"scaled": True, "scale_gain": 3.0}, "logit_scale", LogitScale(3.0)),
        ("embedding", {"learned": False, "sinusoids": "halves"}, "fixed", FixedTable("halves")),
        ("embedding", {"learned": True, "sinusoids": "halves"}, "fixed", None),
    ],
)
def test_a_flag_adds_or_removes_a_part(kind: str, flat: dict[str, Any], part: str, value: Any) -> None:
    found = layers.find(kind)[0]
    layer = found(**smallest(kind), **flat)
    assert getattr(layer, part) == value
    flag = next(iter(flat))
    assert bool(getattr(layer, flag)) is flat[flag]
    assert (f"{flag}={flat[flag]}" in canonical(layer)) is (value is not None)
    assert canonical(layer) == canonical(found(**smallest(kind), **{part: value}))


@pytest.mark.parametrize("flat", [{"n_buckets": 11}, {"n_buckets": 11, "positions": "alibi"}, {"streams": 3}], ids=str)
def test_a_flat_field_without_its_part_is_refused(flat: dict[str, Any]) -> None:
    name = next(iter(flat))
    with pytest.raises(SizeError, match=rf"attention: {name} requires (score_bias|cross)"):
        Attention(**HEADS, **flat)
    assert Attention(**HEADS, positions="relative", n_buckets=11).n_buckets == 11  # type: ignore[attr-defined,call-arg]
    assert Attention(**HEADS, cross=True, causal=False, streams=3).streams == 3  # type: ignore[attr-defined,call-arg,arg-type]
    assert Attention(**HEADS, streams=1, n_buckets=None) == Attention(**HEADS)  # type: ignore[call-arg]
