"""Fingerprints keep the first names of kinds and fields, and their order."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc import layers
from llmcalc.core.architecture import Architecture, Stack, Sublayer
from llmcalc.core.description.fingerprint import canonical, fingerprint
from llmcalc.core.description.fingerprint_names import CHOICES, FIELDS, KINDS, ORDER, PARTS
from llmcalc.core.layer import Layer
from llmcalc.core.record import fields
from llmcalc.layers import (
    Alibi,
    Attention,
    Capacity,
    Embedding,
    FixedTable,
    Gate,
    Latent,
    Mla,
    Mlp,
    Moe,
    OutputNorm,
    ProductKeyExperts,
    Rope,
    Routing,
    Sphere,
)
from llmcalc.layers.parts.rope import Yarn

HEADS: dict[str, Any] = {"d_model": 77, "n_heads": 7, "d_head": 22}
LATENT: dict[str, Any] = {"d_model": 77, "n_heads": 7, "kv_lora_rank": 13, "qk_nope_head_dim": 11}
LATENT |= {"qk_rope_head_dim": 6, "v_head_dim": 5}


def _load(stack: dict[str, object], sublayer: dict[str, object]) -> Architecture:
    wide = {"linear": {"d_in": 8, "d_out": 4}, **sublayer}
    blocks = {"block": {"mlp": {"mlp": {"d_ff": 8}}, "wide": wide}}
    one = {"d_model": 4, "blocks": blocks, "order": ["block"], **stack}
    return llmcalc.load({"name": "small", "architecture": {"stacks": {"decoder": one}}})


def test_a_fingerprint_keeps_the_first_names() -> None:
    text = canonical(_load({"role": "auxiliary"}, {"concat_input": True, "input_from": "mlp"}).stacks)
    assert "role='side'" in text
    assert "beside_first=True" in text
    assert "reads='mlp'" in text


@pytest.mark.parametrize(
    ("model", "known"), [("gpt2", "2ac122cd59cd"), ("deepseek-v3", "9bbd4d65f463"), ("mamba-130m", "1356303da384")]
)
def test_a_fingerprint_never_changes(model: str, known: str) -> None:
    assert fingerprint(llmcalc.load(model)).startswith(f"sha256:{known}")


@pytest.mark.parametrize(
    ("layer", "written"),
    [
        (Attention(**HEADS, rope=Rope(5e5, 10, scaling=Yarn(8.0, 4096, fast=16.0))),
         "d_head_v=22,positions='rope',rotary_dim=10,rope_theta=500000.0,rope_scaling='yarn',rope_factor=8.0,"
         "rope_length=4096,rope_fast=16.0,d_source=77,"),
        (Attention(**HEADS, score_bias=Alibi()), "positions='alibi',rotary_dim=22,d_source=77,"),
        (Attention(**HEADS, gate=Gate(True)), "gated=True,gate_per_head=True,gate_bias='none'"),
        (Attention(**HEADS, o_norm=OutputNorm("head")), "head_norm=True"),
        (Attention(**HEADS, qk_norm="head"), "qk_norm='head'"),
        (Mla(**LATENT, rope=None), "rope=False"),
        (Mlp(7, 5, sphere=Sphere(3.0)), "on_sphere=True,sphere_gain=3.0"),
        (Embedding(11, 7, "position", fixed=FixedTable("halves")), "learned=False,sinusoids='halves'"),
        (Moe(7, 5, 11, 2, routing=Routing("sigmoid"), latent=Latent(3, norm=True), unused=True,
             expert_capacity=Capacity(factor=2.0)),
         "Moe(d_model=7,d_ff=5,n_experts=11,top_k=2,router='sigmoid',shared_gated=True,d_latent=3,latent_norm=True,"
         "capacity_factor=2.0,unused=True)"),
        (Moe(7, 5, 11, 2, n_null_experts=3), "n_skip=3)"),
        (Embedding(1, 7, "token", use="prefix"), "Embedding(rows=1,d_model=7,use='before')"),
        (ProductKeyExperts(7, 25, 3), "Peer(d_model=7,n_experts=25,top_k=3"),
        (Moe(7, 5, 11, 2, n_null_experts=3, expert_capacity=Capacity(5, batch=True)), "capacity=5,of_batch=True"),
    ],
    ids=lambda item: item.kind() if isinstance(item, Layer) else "",
)  # fmt: skip
def test_the_text_names_the_fields_of_parts(layer: Layer, written: str) -> None:
    assert written in canonical(layer)


def test_first_names_are_those_of_fields() -> None:
    kinds = {kind: layers.find(kind)[0] for kind in layers.kinds()}
    owners: dict[str, type] = {**kinds, "Stack": Stack, "Sublayer": Sublayer}
    known = {name: {field.name for field in fields(owner)} for name, owner in owners.items()}
    assert kinds.keys() >= {*KINDS, *ORDER}
    assert [kind for kind in FIELDS if not known[kind] >= FIELDS[kind].keys()] == []
    assert [place for place in CHOICES if place[1] not in known[place[0]]] == []
    holders = {name: choices for kind in kinds.values() for name, choices in kind.PARTS.items()}
    assert holders.keys() == PARTS.keys()


def test_every_field_of_a_part_has_a_first_name() -> None:
    """Epsilons of norms are left out, because they change neither sizes nor the computation otherwise."""
    for kind in (layers.find(name)[0] for name in layers.kinds()):
        for holder, choices in kind.PARTS.items():
            named = {word.rpartition("=")[2].partition(".")[0] for word in PARTS[holder].split()}
            own = {field.name for choice in choices for field in fields(choice)} - {choices[0].SHORT}
            own -= {"eps", "norm_eps"}
            assert own <= named, (kind, holder)
