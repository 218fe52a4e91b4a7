"""Every family's twin gives the logits of transformers' class, or says why it is not run; no third thing happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import llmcalc
from llmcalc.core.errors import InputError, UnsupportedError

from . import corrected, exact, numbers, perturb, reference
from .families import cases

pytestmark = pytest.mark.filterwarnings("ignore")

TOLERANCE = 1e-6  # relative to the largest logit; most agree to 1e-14
SEEDS = (0, 1)
PADDED = {"roberta", "camembert", "xlm-roberta", "data2vec-text", "roberta-prelayernorm", "xlm-roberta-xl", "mpnet"}
PADDING = 1
MORE: dict[str, tuple[dict[str, Any], str]] = {
    "aimv2_text_model": (
        {"attention_mask": torch.ones(exact.BATCH, exact.TOKENS)},
        "without one, its class has no causal mask either",
    ),
    "fsmt": ({"use_cache": False}, "asked for a cache, its decoder drops the causal mask and sees later tokens"),
}
ATTENTION = {"falcon": ("sdpa", "its eager code adds ALiBi twice, to the mask and to the scores")}
# families some of whose configs are counted, but not run: because of the family, or of a key that was drawn
REFUSED = {
    "clvp_encoder": "the mean of all tokens",
    "ibert": "integers",
    "mra": "attention from coarse to fine",
    "phimoe": "experts that the class takes whatever the config says",
    "udop": "places as shares of a page",
}
# families whose class computes something else than the twin, which follows what was published or counted
NOT_COMPARED = {
    "blt": "its class cuts patches where a small model is unsure; test_numerics_blt.py gives it those that are counted",
    "prophetnet": "its class takes the predicting streams' biases of other places when several tokens come together",
}
KINDS = (  # what has no NumPy model, or a field without a counterpart in it, is refused wherever it stands
    "no NumPy model",
    "the NumPy model supports",
    "the NumPy model does not",
)


@pytest.mark.parametrize(("model_type", "class_name"), cases(headless=False))
def test_logits_are_the_same_or_the_model_is_not_run(model_type: str, class_name: str) -> None:
    if model_type in NOT_COMPARED:
        pytest.skip(NOT_COMPARED[model_type])
    compared = 0
    for changes in _variants(model_type, class_name):
        compared += _agrees(model_type, class_name, changes)
    if not compared:
        pytest.skip(f"{class_name} is not run")


def _variants(model_type: str, class_name: str) -> Iterator[dict[str, Any]]:
    """Configs with drawn sizes and switches, without and with drawn numbers."""
    drawn = [perturb.tiny(model_type, class_name, 0, runs=True)]
    drawn += [numbers.tiny(model_type, class_name, seed) for seed in SEEDS]
    yield from (changes for changes in drawn if changes is not None)


def _agrees(model_type: str, class_name: str, changes: dict[str, Any]) -> bool:
    """Whether the logits are the same; False: the twin is not run."""
    attention, _ = ATTENTION.get(model_type, ("eager", ""))
    with reference.quiet(), exact.float64(), corrected.as_published(model_type):
        built = exact.model(class_name, model_type, changes, attention)
        given = exact.inputs(built, PADDING if model_type in PADDED else None)
        more, _ = MORE.get(model_type, ({}, ""))
        results = exact.results(built, given | more)
    try:
        twin = llmcalc.twin(llmcalc.load(reference.plain_config(built, class_name)))
        twin.load(exact.weights(built))
        found = twin.forward(given.pop("input_ids").numpy(), **{name: value.numpy() for name, value in given.items()})
    except InputError as refusal:
        missing = isinstance(refusal, UnsupportedError) and any(kind in str(refusal) for kind in KINDS)
        if model_type not in REFUSED and not missing:
            pytest.fail(f"{refusal}\n{changes}")
        return False
    assert exact.difference(found, exact.alike(results, found)) <= TOLERANCE, changes
    return True
