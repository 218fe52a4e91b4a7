"""Bytes that a step reads and writes."""

from __future__ import annotations

from typing import Any

from ...calc.explain import traffic_tree
from ...calc.traffic import Traffic
from ...core.architecture import Architecture
from ...core.setting import CONTEXT, LOGITS, MODE, SIZES
from ..quantity import Quantity
from ..settings import CACHE_FORMAT, FORMATS, KERNELS, split_settings
from ..traffic import traffic

UNIT = "bytes"
NAMES = (*(setting.name for setting in FORMATS), "cache", "kernels", "logits")


def _measure(architecture: Architecture, settings: dict[str, Any]) -> Traffic:
    sizes, step, _, _ = split_settings(settings, architecture)
    given = {name: settings[name] for name in NAMES if name in settings}
    return traffic(architecture, **sizes, mode=step["mode"], context=step["context"], **given)


QUANTITY = Quantity(
    "traffic", "bytes moved", UNIT, _measure, traffic_tree,
    settings=(*SIZES, MODE, CONTEXT, LOGITS, KERNELS, *FORMATS, CACHE_FORMAT),
    parts=dict.fromkeys(("total", "read", "written"), UNIT),
    target=lambda result: result.total,
)  # fmt: skip
