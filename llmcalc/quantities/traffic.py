"""Bytes that a step reads and writes."""

from __future__ import annotations

from typing import Any

from ..analysis.quantity import STEPS, Quantity
from ..api.traffic import SETTINGS, traffic_of
from ..calc.explain import traffic_tree
from ..calc.traffic import Traffic
from ..core.architecture import Architecture
from ..inputs.settings import split_settings

UNIT = "bytes"
NAMES = ("logits", "kernels", "dtype", "weights", "only", "keep", "cache")


def _measure(architecture: Architecture, settings: dict[str, Any]) -> Traffic:
    sizes, step, _, _ = split_settings(settings, architecture)
    given = {name: settings[name] for name in NAMES if name in settings}
    return traffic_of(architecture, **sizes, mode=step["mode"], context=step["context"], **given)


def _compared(result: Traffic) -> tuple[str, dict[str, int]]:
    title = f"bytes moved by a {STEPS[result.workload.mode]}"
    return title, {"traffic": result.total, "read": result.read, "written": result.written}


QUANTITY = Quantity(
    "traffic", "bytes moved", UNIT, _measure, traffic_tree,
    settings=tuple(setting for setting in SETTINGS if setting.name not in ("source", "patches", "frames")),
    parts=dict.fromkeys(("total", "read", "written"), UNIT),
    target=lambda result: result.total,
    compared=_compared,
    results=(Traffic,),
    evidence={"": Traffic.EVIDENCE},
)  # fmt: skip
