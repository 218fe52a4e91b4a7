"""Known scaling laws, and the choice of laws by name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ..core.errors import UnknownNameError
from ..data import tables
from ..estimate.scaling.law import Conditions, Law, read_law
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
    """Look up laws by name. If no names are given, return the usual laws, some of which may not apply."""
    asked = list(names)
    if asked == [ALL]:
        return list(laws().values())
    usual = EXPERT_LAWS if conditions.experts else (*USUAL_LAWS, *EXPERT_LAWS)
    return [law(name, "laws") for name in asked or usual]
