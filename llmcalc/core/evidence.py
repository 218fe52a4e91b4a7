"""Classes of evidence: what the values of a result rest on.

>>> weakest("executed", "measured"), merged({"peak": "exact"}, {"peak": "assumed", "state": "exact"})
('measured', {'peak': 'assumed', 'state': 'exact'})
"""

from __future__ import annotations

from collections.abc import Mapping

from .ledger import entries
from .type_names import TYPE_CHECKING

if TYPE_CHECKING:
    from .architecture import Architecture

EXECUTED, EXACT, MEASURED, FITTED, ASSUMED = "executed", "exact", "measured", "fitted", "assumed"
CLASSES = {  # from the strongest to the weakest
    EXECUTED: "follows exactly from the declared equations, and an independent NumPy model gives the same number",
    EXACT: "follows exactly from the declared equations",
    MEASURED: "rests on published figures or measured facts, used as they are",
    FITTED: "modelled, with constants fitted to measurements",
    ASSUMED: "depends on an assumption that no measurement confirms",
}


def weakest(*classes: str) -> str:
    """Return the weakest of the classes of values that a value depends on."""
    return max(classes, key=list(CLASSES).index)


def merged(*evidence: Mapping[str, str]) -> dict[str, str]:
    """Return the weakest class of each value over several results."""
    names = dict.fromkeys(name for each in evidence for name in each)
    return {name: weakest(*(each[name] for each in evidence if name in each)) for name in names}


def counted(architecture: Architecture) -> str:
    """Return the class of numbers that follow from the sizes of an architecture.

    It is ``assumed`` for a rumoured model and with warnings, such as one about an ignored key of a config. A NumPy
    model is not independent if it is generated from the equations of a kind that a preset defines.
    """
    if architecture.status != "published" or architecture.warnings:
        return ASSUMED
    is_independent = not (architecture.unmodelled or any(entry.layer.IS_TEXT for entry in entries(architecture)))
    return EXECUTED if is_independent else EXACT


def of_architecture(evidence: Mapping[str, str], architecture: Architecture) -> dict[str, str]:
    """Return the evidence of values that are computed from an architecture."""
    found = counted(architecture)
    return {name: found if each == EXECUTED else weakest(each, found) for name, each in evidence.items()}
