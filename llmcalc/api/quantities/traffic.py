"""Bytes that a step reads and writes."""

from __future__ import annotations

from typing import Any

from ...calc.explain import traffic_tree
from ...calc.traffic import Traffic
from ...core.architecture import Architecture
from ...core.record import changed
from ...core.setting import CONTEXT, LOGITS, MODE, SIZES
from ..quantity import STEPS, Quantity
from ..settings import CACHE_FORMAT, DTYPE, FORMATS, KERNELS, split_settings
from ..traffic import traffic

UNIT = "bytes"
# weights and caches have formats of their own only in serving
SERVING = tuple(changed(setting, step="serving") for setting in FORMATS if setting is not DTYPE)
NAMES = (*(setting.name for setting in FORMATS), "cache", "kernels", "logits")


def _measure(architecture: Architecture, settings: dict[str, Any]) -> Traffic:
    sizes, step, _, _ = split_settings(settings, architecture)
    given = {name: settings[name] for name in NAMES if name in settings}
    return traffic(architecture, **sizes, mode=step["mode"], context=step["context"], **given)


def _compared(result: Traffic) -> tuple[str, dict[str, int]]:
    title = f"bytes moved by a {STEPS[result.workload.mode]}"
    return title, {"traffic": result.total, "read": result.read, "written": result.written}


QUANTITY = Quantity(
    "traffic", "bytes moved", UNIT, _measure, traffic_tree,
    settings=(*SIZES, MODE, CONTEXT, LOGITS, KERNELS, DTYPE, *SERVING, CACHE_FORMAT),
    parts=dict.fromkeys(("total", "read", "written"), UNIT),
    target=lambda result: result.total,
    compared=_compared,
    results=(Traffic,),
)  # fmt: skip
