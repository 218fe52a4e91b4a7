"""Bytes that the ranks of a mesh exchange in a step."""

from __future__ import annotations

from typing import Any

from ..analysis.quantity import STEPS, Quantity
from ..api.communication import SETTINGS, communication_of
from ..calc.communication import Communication
from ..calc.explain import communication_tree
from ..core.architecture import Architecture

UNIT = "bytes"
NAMES = {setting.name for setting in SETTINGS}


def _measure(architecture: Architecture, settings: dict[str, Any]) -> Communication:
    return communication_of(architecture, **{name: value for name, value in settings.items() if name in NAMES})


def _compared(result: Communication) -> tuple[str, dict[str, int]]:
    """Return the bytes sent, or nothing for a single rank."""
    sent = {"communication": result.sent} if result.mesh.ranks > 1 else {}
    return f"bytes that a rank sends in a {STEPS[result.workload.mode]}", sent


QUANTITY = Quantity(
    "communication", "bytes sent", UNIT, _measure, communication_tree,
    settings=SETTINGS,
    parts={"sent": UNIT, "volume": UNIT},
    target=lambda result: result.sent,
    compared=_compared,
    needs_ranks=True,
    results=(Communication,),
    evidence={"": Communication.EVIDENCE},
)  # fmt: skip
