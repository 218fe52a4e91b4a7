"""FLOPs of a step."""

from __future__ import annotations

from typing import Any

from ...calc.explain import flops_tree
from ...calc.flops import Flops, flops
from ...core.architecture import Architecture
from ...core.form import Form
from ...core.setting import CONVENTION, SIZES
from ..quantity import Quantity
from ..settings import STEP, split_settings

UNIT = "FLOPs"


def _measure(architecture: Architecture, settings: dict[str, Any]) -> Flops:
    sizes, step, _, convention = split_settings(settings, architecture)
    return flops(architecture, **sizes, **step, convention=convention)


def _form(result: Flops, part: str) -> tuple[Form, int]:
    forms = {
        "total": result.form,
        "matmul": result.matmul_form + result.backward_form,
        "other": result.form - result.matmul_form - result.backward_form,
        "forward": result.matmul_form,
        "backward": result.backward_form,
    }
    return forms[part], 1


QUANTITY = Quantity(
    "flops", "FLOPs per token", UNIT, _measure, flops_tree,
    settings=(*SIZES, *STEP, CONVENTION),
    parts=dict.fromkeys(("total", "matmul", "other", "forward", "backward"), UNIT),
    form=_form,
    target=lambda architecture, batch, seq: flops(architecture, seq=seq).total // seq,
    compared=lambda result: {result.workload.mode: result.total, "matmul": result.matmul},
)  # fmt: skip
