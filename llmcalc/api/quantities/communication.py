"""Bytes that the ranks of a mesh exchange in a step."""

from __future__ import annotations

from typing import Any

from ...calc.communication import Communication
from ...calc.explain import communication_tree
from ...core.architecture import Architecture
from ..communication import SETTINGS, communication
from ..quantity import Quantity

UNIT = "bytes"
NAMES = {setting.name for setting in SETTINGS}


def _measure(architecture: Architecture, settings: dict[str, Any]) -> Communication:
    return communication(architecture, **{name: value for name, value in settings.items() if name in NAMES})


QUANTITY = Quantity(
    "communication", "bytes sent", UNIT, _measure, communication_tree,
    settings=SETTINGS,
    parts={"sent": UNIT, "volume": UNIT},
)  # fmt: skip
