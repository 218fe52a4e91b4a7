"""Known scaling laws, and the choice of laws by name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ..core.errors import UnknownNameError
from ..data import tables
from ..estimate.scaling.law import EXPERT_FORMS, Conditions, Law, read_law
from .defaults import ALL

USUAL_LAWS = (
    "hoffmann-1", "hoffmann-2", "hoffmann-3", "besiroglu", "muennighoff", "deepseek", "llama3", "porian", "kaplan",
)  # fmt: skip
EXPERT_LAWS = ("ludziejewski", "krajewski", "abnar", "clark")
COMMON_NAMES = {"hoffmann": ("chinchilla",)}  # of laws, by the first word of their names


@lru_cache(maxsize=1)
def laws() -> dict[str, Law]:
    """Return all scaling laws by name."""
    return {name: read_law(name, entry) for name, entry in tables("scaling").items()}


def law(name: str, parameter: str = "") -> Law:
    """Look up a scaling law by name."""
    known = laws()
    if name.lower() not in known:
        alike = [each for each, entry in known.items() if name.lower() in COMMON_NAMES.get(each.partition("-")[0], ())]
        if alike:
            hint = f"the laws of {name} are {', '.join(alike)}"
            raise UnknownNameError("scaling law", name, (), parameter=parameter, hint=hint)
        raise UnknownNameError(
            "scaling law", name, known, parameter=parameter, hint="run llmcalc laws list to see all laws"
        )
    return known[name.lower()]


def chosen(names: Iterable[str], conditions: Conditions) -> list[Law]:
    """Look up laws by name. If no names are given, return the default laws for dense or mixture-of-experts models."""
    asked = list(names)
    if asked == [ALL]:
        return [one for one in laws().values() if conditions.experts or one.form not in EXPERT_FORMS]
    if asked or not conditions.experts:
        return [law(name, "laws") for name in asked or USUAL_LAWS]
    usual = [law(name) for name in EXPERT_LAWS]
    return [one for one in usual if not one.uncovered(conditions)] or usual
