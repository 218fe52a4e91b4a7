"""Bytes that a step reads and writes.

total: bytes that the kernels of a step read and write, each tensor in its number format
    omits: traffic inside a kernel, and cache hits between kernels
    unlike: publications that count weights and KV cache alone
read: bytes that kernels read
    omits: tensors inside a fused kernel
written: bytes that kernels write
    omits: tensors inside a fused kernel
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..analysis.quantity import STEPS, Quantity, step_workload
from ..calc.explain import traffic_tree
from ..calc.traffic import Traffic, traffic
from ..core.architecture import Architecture
from ..core.record import changed
from ..core.setting import MODE, WORKLOAD
from ..core.workload import Workload
from ..fitting.memory import serving_weights
from ..inputs.number_formats import number_format
from ..inputs.settings import CACHE_FORMAT, FORMATS, KERNELS, WEIGHTS

UNIT = "bytes"
# a traffic step has no choice of attention pairs, and training has no weight format of its own
STEP = tuple(each for each in WORKLOAD if each.name not in ("mode", "attention", "convention"))
STORED = (
    KERNELS, changed(WEIGHTS, needs=("serving",)), *(each for each in FORMATS if each is not WEIGHTS), CACHE_FORMAT,
)  # fmt: skip
SETTINGS = (MODE, *STEP, *STORED)


def measure(architecture: Architecture, settings: dict[str, Any]) -> Traffic:
    """Count the bytes with valid settings, which may have no effect, as at one point of a sweep."""
    stored = {setting.name: settings[setting.name] for setting in STORED if setting.name in settings}
    return step_traffic(architecture, step_workload(architecture, settings, STEP), **stored)


def step_traffic(
    architecture: Architecture,
    workload: Workload,
    *,
    kernels: str = "fused",
    dtype: str = "bf16",
    weights: str | None = None,
    only: Iterable[str] = (),
    keep: Iterable[str] = (),
    cache: str | None = None,
) -> Traffic:
    """Count the bytes that a step of ``workload`` reads and writes. The settings are those of ``traffic``."""
    if workload.mode == "train":
        weights, only, keep, cache = dtype, (), (), None
    formats = serving_weights(architecture, weights, dtype, only, keep)
    stored = number_format(cache, "cache") if cache else None
    return traffic(architecture, workload, formats, kernels=kernels, dtype=dtype, cache=stored)


def _compared(result: Traffic) -> tuple[str, tuple[str, ...]]:
    return f"bytes moved by a {STEPS[result.workload.mode]}", ("total", "read", "written")


QUANTITY = Quantity(
    "traffic", "bytes moved", UNIT, measure, traffic_tree,
    settings=tuple(setting for setting in SETTINGS if setting.name not in ("source", "patches", "frames")),
    parts=dict.fromkeys(("total", "read", "written"), UNIT),
    target=lambda result: result.total,
    compared=_compared,
    results=(Traffic,),
    evidence={"": Traffic.EVIDENCE},
)  # fmt: skip
