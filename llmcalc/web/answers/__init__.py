"""Answers for the page: what it shows for a model, GPUs and a workload, as plain JSON and SVG.

    answers({"model": "llama3.1-8b", "gpu": "h100", "users": 16, "panels": ["verdict"]})
    {"state": {...}, "panels": {"verdict": {"fits": True, "text": "Llama 3.1 8B serves 16 users ...", ...}}}

A *panel* is one part of the page. The page asks only for the panels that a change affects, so that a slider step
computes the verdict alone. Results are kept per state, so that panels share them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...core.errors import InputError, LlmcalcError, UnknownNameError, spelled
from . import training, training_panels
from . import verdict as serving
from .blocks import blocks
from .card import card
from .case import Case, case_of
from .charts import CHARTS, charts
from .columns import comparison
from .derivations import TIMES, derivation
from .exports import command_lines, commands, documents, json_results, table_text
from .facts import facts
from .front import advance
from .state import listed, read_state
from .training_panels import recipes
from .view import VIEWS, View

Panels = dict[str, Callable[[Any, Mapping[str, Any]], Any]]
COMMON: Panels = {
    "verdict": serving.verdict, "charts": charts, "comparison": comparison, "blocks": blocks, "derivation": derivation,
    "commands": commands, "json": json_results, "card": card, "csv": table_text,
}  # fmt: skip
PANELS, TRAINING = COMMON | {"front": advance}, COMMON | {"recipes": recipes}
TASKS = {"": PANELS, "train": TRAINING}
VIEWS |= {
    "": View(
        serving.PARTS, facts, serving.changes, serving.outcome, serving.notes, command_lines, documents, CHARTS, TIMES,
    ),
    "train": View(
        training.PARTS, training.facts, training.changes, training.outcome, training.notes,
        training_panels.command_lines, training_panels.documents, training_panels.CHARTS, training_panels.RUN,
    ),
}  # fmt: skip


def answers(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the panels of a state, each with its answer or with an ``error``.

    >>> found = answers({"model": "llama3.1-8b", "gpu": "h100", "users": 16, "panels": ["verdict"]})
    >>> found["panels"]["verdict"]["fits"]
    True

    Args:
        state: the fields of ``State``, all optional but the model, and what is asked: ``panels`` (default: the
            verdict), ``quick`` (a verdict without a search for changes), ``charts`` and their ``width`` in pixels, and
            the ``quantity`` to derive.
    """
    try:
        names = listed(state, "panels") or ["verdict"]
        found = case_of(read_state(state))
    except LlmcalcError as error:
        return {"error": error_of(error)}
    return {"state": found.state.to_dict(), "panels": {name: _panel(name, found, state) for name in names}}


def _panel(name: str, case: Case, state: Mapping[str, Any]) -> Any:
    try:
        known = TASKS[case.state.task]
        if name not in known:
            raise UnknownNameError("panel", name, known)
        return known[name](case, state)
    except LlmcalcError as error:
        return {"error": error_of(error)}


def error_of(error: LlmcalcError) -> dict[str, str]:
    """Return an error as plain data, with the name of the invalid field of the state."""
    if not isinstance(error, InputError):
        return {"message": str(error), "hint": "", "parameter": ""}
    where = f"{error.where}: " if error.where else ""
    return {"message": where + spelled(error.message), "hint": spelled(error.hint), "parameter": error.parameter}
