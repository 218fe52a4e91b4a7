"""The families that both sides know, and the configs that they are compared on."""

from __future__ import annotations

from typing import Any

from llmcalc.importers.hf import families

from . import perturb, reference

SEEDS = (0, 1, 2)


def shared() -> list[str]:
    """Every ``model_type`` that the importer and the installed transformers know."""
    return [name for name in families.names() if name in reference.FAMILIES and reference.classes(name)]


def cases(headless: bool) -> list[tuple[str, str]]:
    """(model_type, class) of every language-model class of these families."""
    return [(name, class_name) for name in shared() for class_name in reference.classes(name, headless)]


def variants(model_type: str, class_name: str) -> list[dict[str, Any]]:
    """The class-default config (no changes) and tiny ones, as far as they can be built."""
    drawn = [perturb.tiny(model_type, class_name, seed) for seed in SEEDS]
    return [{}, *(changes for changes in drawn if changes is not None)]
