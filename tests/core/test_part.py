"""Parts: records in the fields of layers, and their short forms."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import DescriptionError, InputError, SizeError, UnknownNameError
from llmcalc.core.part import nested_fields
from llmcalc.layers import (
    Attention,
    CompressedAttention,
    Mla,
    Rope,
)
from llmcalc.layers.parts.rope import LongRope, Yarn
from llmcalc.schema.describe import plain_field
from llmcalc.schema.preset import load_text

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
        ("positions: rope, rope: {theta: 3.0}", Rope(3.0, 22)),
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
        ("positions: rope, rope: {theta: x}", "rope.theta", "theta must be a finite number"),
        ("positions: alibl", "gqa", "unknown score_bias 'alibl'"),
        ("rope: {}, rope_theta: 3.0", "rope_theta", "unknown gqa field 'rope_theta'"),
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


def test_an_unknown_field_suggests_the_field_of_a_part() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean rope\.theta\?"):
        attention_of("rope_theta: 3.0")
    with pytest.raises(UnknownNameError, match=r"did you mean n_heads"):
        attention_of("n_head: 3")
    with pytest.raises(TypeError, match="Attention has no field 'rope_theta'"):
        Attention(**HEADS, rope_theta=3.0)  # type: ignore[call-arg]


def test_overrides_reach_parts_by_path() -> None:
    fields = "rope: {scaling: {yarn: {length: 4096}}}"
    path = "stacks.decoder.blocks.block.attention.gqa.rope.scaling.yarn.factor=5.0"
    assert attention_of(fields, (path,)).rope == Rope(dim=22, scaling=Yarn(5.0, 4096))
    with pytest.raises(UnknownNameError, match="rope_theta"):
        attention_of(fields, ("rope_theta=3.0",))


@pytest.mark.parametrize("rope", [None, Rope(), STRETCHED, Rope(2.0, 4, True, scaling=LongRope(factors="1 2 | 3 4"))])
def test_plain_data_describe_a_part(rope: Rope | None) -> None:
    layer = Attention(**HEADS, rope=rope)
    data = plain_field(layer, "rope", layer.rope, None)
    assert Attention(**HEADS, rope=data) == layer


def test_paths_of_nested_fields_are_those_of_a_preset() -> None:
    paths = {path: value for path, value, *_ in nested_fields(Attention(**HEADS, rope=STRETCHED))}
    assert paths["rope"] is True
    assert paths["rope.scaling"] == "yarn"
    assert paths["rope.scaling.yarn.length"] == 4096
    rows = [(row.what, row.first, row.second) for row in llmcalc.diff("llama3-8b", "llama3.1-8b").differences]
    assert ("rope.scaling", "none", "llama3") in rows
