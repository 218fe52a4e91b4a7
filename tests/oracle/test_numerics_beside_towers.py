"""The twins of language models that stand behind towers give their classes' logits for text alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

import llmcalc

from . import exact, numbers, reference

TOLERANCE = 1e-6  # relative to the largest logit
SEEDS = (0, 1)
TOWERS = {  # what their tensors stand under
    "t5gemma2": ("vision_tower.", "multi_modal_projector."),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("model_type", TOWERS)
def test_logits_of_text(model_type: str, seed: int) -> None:
    class_name = reference.classes(model_type)[0]
    changes = numbers.tiny(model_type, class_name, seed)
    assert changes is not None
    with reference.quiet(), exact.float64():
        built = exact.model(class_name, model_type, changes)
        given = exact.inputs(built, None)
        wanted = exact.results(built, given)
    whole = llmcalc.load(reference.plain_config(built, class_name))
    text = replace(whole, stacks=tuple(stack for stack in whole.stacks if stack.role != "tower"))
    twin = llmcalc.twin(text)
    twin.load(
        {
            name: array
            for name, array in exact.weights(built).items()
            if not any(part in name for part in TOWERS[model_type])
        }
    )
    found = twin.forward(given.pop("input_ids").numpy(), **{name: value.numpy() for name, value in given.items()})
    assert exact.difference(found, wanted) <= TOLERANCE, changes
