"""Fingerprints depend on the fields that differ from their defaults."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.architecture import Architecture
from llmcalc.core.description.fingerprint import canonical, fingerprint
from llmcalc.core.layer import Layer
from llmcalc.layers import Alibi, Attention, Embedding, Gate, Latent, Mla, Moe, Rope, Routing
from llmcalc.layers.parts.rope import Yarn

HEADS: dict[str, Any] = {"d_model": 77, "n_heads": 7, "d_head": 22}
LATENT: dict[str, Any] = {"d_model": 77, "n_heads": 7, "kv_lora_rank": 13, "qk_nope_head_dim": 11}
LATENT |= {"qk_rope_head_dim": 6, "v_head_dim": 5}


def _load(stack: dict[str, object], sublayer: dict[str, object]) -> Architecture:
    wide = {"linear": {"d_in": 8, "d_out": 4}, **sublayer}
    blocks = {"block": {"mlp": {"mlp": {"d_ff": 8}}, "wide": wide}}
    one = {"d_model": 4, "blocks": blocks, "order": ["block"], **stack}
    return llmcalc.load({"name": "small", "architecture": {"stacks": {"decoder": one}}})


def test_the_text_names_the_fields_of_stacks_and_sublayers() -> None:
    text = canonical(_load({"role": "auxiliary"}, {"concat_input": True, "input_from": "mlp"}).stacks)
    assert "role='auxiliary'" in text
    assert "input_from='mlp',concat_input=True" in text


@pytest.mark.parametrize(
    ("model", "known"), [("gpt2", "8d253a403a7d"), ("deepseek-v3", "0c8dcd5a3935"), ("mamba-130m", "1356303da384")]
)
def test_a_fingerprint_changes_only_with_its_text(model: str, known: str) -> None:
    assert fingerprint(llmcalc.load(model)).startswith(f"sha256:{known}")


@pytest.mark.parametrize(
    ("layer", "written"),
    [
        (Attention(**HEADS), "Attention(d_model=77,n_heads=7,n_kv_heads=7,d_head=22,d_head_v=22)"),
        (Attention(**HEADS, rope=Rope(5e5, 10, scaling=Yarn(8.0, 4096, fast=16.0))),
         "rope=Rope(theta=500000.0,dim=10,scaling=Yarn(factor=8.0,length=4096,fast=16.0))"),
        (Attention(**HEADS, score_bias=Alibi()), "score_bias=Alibi()"),
        (Attention(**HEADS, gate=Gate(True)), "gate=Gate(per_head=True,bias='none')"),
        (Mla(**LATENT, rope=None), "rope=None"),
        (Moe(7, 5, 11, 2, routing=Routing("sigmoid"), latent=Latent(3, norm=True), unused=True),
         "routing=Routing(score='sigmoid'),latent=Latent(width=3,norm=True),unused=True)"),
        (Embedding(1, 7, "token", use="prefix"), "Embedding(rows=1,d_model=7,use='prefix')"),
    ],
    ids=lambda item: item.kind() if isinstance(item, Layer) else "",
)  # fmt: skip
def test_the_text_names_the_fields_of_parts(layer: Layer, written: str) -> None:
    assert written in canonical(layer)
