"""FLOPs of a step. A multiply-accumulate is 2 FLOPs, and only visible query-key pairs count.

total: contractions, convolutions, elementwise operations, scans and transforms
    omits: table lookups, recomputation and optimizer steps
    unlike: kaplan2020 (6 per non-embedding parameter), chowdhery2022 (all query-key pairs, contractions only)
matmul: contractions and convolutions in the forward and the backward pass, exactly
    omits: elementwise operations, scans and transforms
    unlike: korthikanti2022 and hoffmann2022 (all query-key pairs), narayanan2021 (with recomputation)
other: elementwise operations, scans and transforms, by the table of functions
    omits: contractions and convolutions
    unlike: most publications, which leave them out
forward: contractions and convolutions in the forward pass
    omits: elementwise operations, scans and transforms
    unlike: publications that count a multiply-accumulate as one operation
backward: contractions for the gradients that training needs; 0 in inference
    omits: gradients of frozen tensors and of inputs that need none
    unlike: kaplan2020 and hoffmann2022 (twice the forward pass)
"""

from __future__ import annotations

from typing import Any

from ..analysis.quantity import STEPS, Quantity
from ..calc.explain import flops_tree
from ..calc.flops import Flops, flops
from ..core.architecture import Architecture
from ..core.form import Form
from ..core.setting import CONVENTION, SIZES
from ..core.tree import Node
from ..inputs.settings import STEP, split_settings

UNIT = "FLOPs"


def _matmul_tree(result: Flops) -> Node:
    return flops_tree(result, matmul_only=True)


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


def _compared(result: Flops) -> tuple[str, tuple[str, ...]]:
    mode = result.workload.mode
    return f"FLOPs of a {STEPS[mode]}", ("total", "matmul")


QUANTITY = Quantity(
    "flops", "FLOPs per token", UNIT, _measure, flops_tree,
    settings=(*SIZES, *STEP, CONVENTION),
    parts=dict.fromkeys(("total", "matmul", "other", "forward", "backward"), UNIT),
    trees={"matmul": _matmul_tree},
    form=_form,
    has_size_forms=True,
    target=lambda result: result.total // (result.workload.seq * result.workload.batch),
    compared=_compared,
    results=(Flops,),
    evidence={"": Flops.EVIDENCE},
)  # fmt: skip
