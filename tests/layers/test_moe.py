"""The parts of a mixture of experts, and fields that cannot be combined."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.architecture import declare
from llmcalc.core.errors import InputError
from llmcalc.layers import (
    Latent,
    Moe,
    RouterNetwork,
    ScoredSharedExperts,
    SharedExperts,
)

SIZES: dict[str, Any] = {"d_model": 7, "d_ff": 5, "n_experts": 12, "top_k": 2}


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"routing": {"renormalise_power": 0.0}}, "routing.renormalise_power", "must be positive"),
        ({"routing": {"score": "relu"}}, "routing.score", "one of softmax, sigmoid"),
        ({"expert_groups": {"n": 5}}, "expert_groups.n", r"\(5\) does not divide n_experts \(12\)"),
        ({"shared": {"d_ff": 3, "activation": "situ"}}, "shared.activation", "cannot be combined with"),
        ({"bounds": {"gate_softcap": 1.0}}, "bounds.gate_softcap", "must be set together"),
        ({"expert_capacity": {"by_score": True}}, "expert_capacity.batch", "require batch"),
        ({"expert_capacity": {"batch": True, "share": 1.5}}, "expert_capacity.share", "must be above 0"),
        ({"expert_capacity": {"batch": True}}, "expert_capacity.batch", "requires either tokens or share"),
        ({"scored_shared": {"n": 3}, "n_zero_experts": 1}, "", "scored_shared and n_zero_experts"),
        ({"scored_shared": {"n": 3}, "routing": {"hash_rows": 5}}, "", "scored_shared and routing.hash_rows"),
    ],
)
def test_an_error_names_the_field_of_the_part(fields: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Moe(**SIZES, **fields)
    assert ".".join(map(str, caught.value.path or ())).startswith(path)


def test_shared_experts_are_gated_as_the_routed_ones() -> None:
    for gated in (False, True):
        layer = Moe(**SIZES, gated=gated, shared=SharedExperts(3))
        assert layer.shared is not None
        assert layer.shared.gated is gated
        ((_, shared),) = declare(layer).parts
        assert ("wg" in {tensor.name for tensor in shared.tensors}) is gated


def test_every_part_says_its_component() -> None:
    layer = Moe(**SIZES, router_network=RouterNetwork(11), scored_shared=ScoredSharedExperts(3), latent=Latent(2))
    declaration = declare(layer)
    tensors = {tensor.name: layer.tensor_component(tensor) for tensor in declaration.tensors}
    expected = {"router_1": "router", "wd": "routed experts", "shared_wd": "shared experts", "w_in": "router"}
    assert {name: tensors[name] for name in expected} == expected
    assert declaration.components["rh[b q Fo] = gelu(rh)"] == "router"
    assert declaration.components["m[b q j f] = mul(a, u)"] == "routed experts"
    assert declaration.components["sm[b q m f] = mul(sa, su)"] == "shared experts"
    assert "yl[b q l] = add(z[b q j l])" in declaration.components
    assert "y[b q d] = yl[b q l] w_out[l d]" not in declaration.components


@pytest.mark.parametrize("model_type", ["qwen2_moe", "qwen3_next", "qwen3_5_moe_text"])
def test_a_gate_of_shared_experts_without_width_is_stored(model_type: str) -> None:
    config = {"model_type": model_type, "num_hidden_layers": 3, "hidden_size": 64, "shared_expert_intermediate_size": 0}
    parts = llmcalc.params(llmcalc.load(config)).by_component
    assert parts["shared experts"] == 3 * 64
