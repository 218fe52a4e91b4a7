"""The parts of a mixture of experts, their former flat fields, and fields that cannot be combined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import llmcalc
from llmcalc.core import flat_fields
from llmcalc.core.aliases import LAYER_FIELDS, old_names
from llmcalc.core.architecture import declare
from llmcalc.core.errors import InputError
from llmcalc.core.fingerprint import canonical
from llmcalc.layers import (
    Bounds,
    Capacity,
    ExpertGroups,
    Latent,
    Moe,
    RouterNetwork,
    Routing,
    ScoredSharedExperts,
    SharedExperts,
)

SIZES: dict[str, Any] = {"d_model": 7, "d_ff": 5, "n_experts": 12, "top_k": 2}
FLAT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"router": "sigmoid", "correction_bias": "buffer", "renormalise": True, "routed_scale": 2.5},
        {"routing": Routing("sigmoid", correction="buffer", renormalise=True, scale=2.5)},
    ),
    (
        {"router_bias": True, "router_bias_unused": True, "router_gain": 0.5, "router_softcap": 3.0},
        {"routing": Routing(bias=True, bias_unused=True, gain=0.5, softcap=3.0)},
    ),
    (
        {"renormalise": True, "renormalise_eps": 0.1, "renormalise_power": 2.0, "renormalise_late": True},
        {"routing": Routing(renormalise=True, renormalise_eps=0.1, renormalise_power=2.0, renormalise_late=True)},
    ),
    (
        {"router_scaled": True, "router_eps": 0.1, "hash_rows": 13, "learned_gate_scale": True},
        {"routing": Routing(scaled=True, eps=0.1, hash_rows=13, learned_scale=True)},
    ),
    ({"mixer_tolerance": 0.25}, {"routing": Routing(mixer_tolerance=0.25)}),
    (
        {"n_groups": 3, "top_groups": 2, "group_score": "two", "d_router": 11, "router_residual": True},
        {"expert_groups": ExpertGroups(3, 2, "two"), "router_network": RouterNetwork(11, True)},
    ),
    (
        {
            "d_ff_shared": 3,
            "shared_activation": "relu",
            "shared_gated": False,
            "shared_bias": True,
            "shared_gate": True,
        },
        {"shared": SharedExperts(3, "relu", False, bias=True, gate=True)},
    ),
    (
        {"d_ff_shared": 3, "shared_clamped": False, "shared_clamp": 4.0, "shared_scale": 0.5, "clamp": 2.0},
        {"shared": SharedExperts(3, clamped=False, clamp=4.0, scale=0.5), "bounds": Bounds(2.0)},
    ),
    ({"n_shared": 3, "d_latent": 2}, {"scored_shared": ScoredSharedExperts(3), "latent": Latent(2)}),
    ({"capacity": 3, "batch_capacity": True}, {"expert_capacity": Capacity(3, batch=True)}),
]


@pytest.fixture(autouse=True)
def _noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_fields, "_noticed", ["once"])


@pytest.mark.parametrize(("flat", "parts"), FLAT)
def test_former_fields_are_fields_of_parts(flat: dict[str, Any], parts: dict[str, Any]) -> None:
    layer = Moe(**SIZES, **flat)
    assert layer == Moe(**SIZES, **parts)
    assert replace(Moe(**SIZES), **flat) == layer
    assert {name: getattr(layer, name) for name in flat} == flat
    first = old_names(LAYER_FIELDS["moe"])
    assert [name for name in flat if f"{first.get(name, name)}=" not in canonical(layer)] == []


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
