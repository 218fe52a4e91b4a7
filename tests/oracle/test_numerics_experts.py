"""Experts that are full, and a sampler of two of them: logits side by side with transformers' classes in float64."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc

from . import corrected, exact, perturb, reference

TOLERANCE = 1e-9
LIMITS: dict[str, dict[str, Any]] = {
    "a share": {"moe_eval_capacity_token_fraction": 0.2},
    "a share, the best first": {"moe_eval_capacity_token_fraction": 0.2, "batch_prioritized_routing": True},
    "a share of what was chosen": {
        "moe_eval_capacity_token_fraction": 0.15,
        "normalize_router_prob_before_dropping": True,
    },
    "a number": {"moe_eval_capacity_token_fraction": 0.0, "expert_capacity": 7},
}


def difference(class_name: str, model_type: str, changes: dict[str, Any]) -> float:
    with reference.quiet(), exact.float64(), corrected.as_published(model_type):
        built = exact.model(class_name, model_type, changes)
        given = exact.inputs(built, None)
        results = exact.results(built, given)
    twin = llmcalc.twin(llmcalc.load(reference.plain_config(built, class_name)))
    twin.load(exact.weights(built))
    found = twin.forward(given.pop("input_ids").numpy(), **{name: value.numpy() for name, value in given.items()})
    return exact.difference(found, exact.alike(results, found))


@pytest.mark.parametrize("limit", LIMITS)
def test_experts_of_nllb_take_so_many_tokens(limit: str) -> None:
    class_name = "NllbMoeForConditionalGeneration"
    changes = perturb.tiny("nllb-moe", class_name, 0, runs=True)
    assert changes is not None
    changes = {**changes, "num_experts": 3, "encoder_sparse_step": 1, "decoder_sparse_step": 1}
    assert difference(class_name, "nllb-moe", {**changes, **LIMITS[limit]}) <= TOLERANCE


@pytest.mark.parametrize("noise", [0.01, 0.4])
def test_the_sampler_of_phimoe_takes_two_experts(noise: float) -> None:
    class_name = "PhimoeForCausalLM"
    changes = perturb.tiny("phimoe", class_name, 0, runs=True)
    assert changes is not None
    changes = {**changes, "num_local_experts": 5, "num_experts_per_tok": 2, "router_jitter_noise": noise}
    assert difference(class_name, "phimoe", changes) <= TOLERANCE
