"""FLOPs of a step."""

from __future__ import annotations

from typing import Any

from ..analysis.quantity import STEPS, Quantity
from ..calc.explain import flops_tree
from ..calc.flops import Flops, flops
from ..core.architecture import Architecture
from ..core.form import Form
from ..core.setting import CONVENTION, SIZES
from ..inputs.settings import STEP, split_settings

UNIT = "FLOPs"


def _measure(architecture: Architecture, settings: dict[str, Any]) -> Flops:
    sizes, step, _, convention = split_settings(settings, architecture)
    return flops(architecture, **sizes, **step, convention=convention)


def _form(result: Flops, part: str) -> tuple[Form, int]:
    return {
        "total": result.form,
        "matmul": result.matmul_form + result.backward_form,
        "other": result.form - result.matmul_form - result.backward_form,
        "forward": result.matmul_form,
        "backward": result.backward_form,
    }[part], 1


def _compared(result: Flops) -> tuple[str, dict[str, int]]:
    mode = result.workload.mode
    return f"FLOPs of a {STEPS[mode]}", {mode: result.total, "matmul": result.matmul}


QUANTITY = Quantity(
    "flops", "FLOPs per token", UNIT, _measure, flops_tree,
    settings=(*SIZES, *STEP, CONVENTION),
    parts=dict.fromkeys(("total", "matmul", "other", "forward", "backward"), UNIT),
    form=_form,
    target=lambda result: result.total // (result.workload.seq * result.workload.batch),
    compared=_compared,
    results=(Flops,),
    evidence={"": Flops.EVIDENCE},
)  # fmt: skip
