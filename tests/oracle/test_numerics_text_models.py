"""The twins of language models of vision-language models give their classes' logits for text alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

import llmcalc

from . import exact, numbers, perturb, reference

TOLERANCE = 1e-6  # relative to the largest logit
SEEDS = (0, 1)
# what the tensors of towers stand under, and what those of a language model do whose names are its own
TOWERS: dict[str, tuple[tuple[str, ...], str]] = {
    "t5gemma2": (("vision_tower.", "multi_modal_projector."), ""),
    "kosmos-2": (("vision_model.", "image_to_text_projection."), "text_model."),
    "kosmos-2.5": (("vision_model.", "image_to_text_projection."), "text_model."),
}
SHOWN = {"kosmos-2"}  # classes that ask for an image, so that their language model alone is run


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("model_type", TOWERS)
def test_logits_of_text(model_type: str, seed: int) -> None:
    left_out, prefix = TOWERS[model_type]
    class_name = reference.classes(model_type)[0]
    changes = perturb.FIXED[model_type] if model_type in SHOWN else numbers.tiny(model_type, class_name, seed)
    assert changes is not None
    with reference.quiet(), exact.float64():
        built = exact.model(class_name, model_type, changes)
        given = exact.inputs(built, None)
        results = exact.results(built.text_model if model_type in SHOWN else built, given)
    whole = llmcalc.load(reference.plain_config(built, class_name))
    text = replace(whole, stacks=tuple(stack for stack in whole.stacks if stack.role != "tower"))
    twin = llmcalc.twin(text)
    twin.load(
        {
            name.removeprefix(prefix): array
            for name, array in exact.weights(built).items()
            if not any(part in name for part in left_out)
        }
    )
    found = twin.forward(given.pop("input_ids").numpy(), **{name: value.numpy() for name, value in given.items()})
    assert exact.difference(found, exact.alike(results, found)) <= TOLERANCE, changes
