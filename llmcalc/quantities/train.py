"""FLOPs of a training run.

compute: contractions and convolutions of all steps, forward and backward
    omits: elementwise operations and recomputation
    unlike: kaplan2020 and brown2020 (6 per parameter and token)
"""

from __future__ import annotations

from typing import Any

from ..analysis.quantity import Quantity
from ..calc.explain import flops_tree
from ..core.architecture import Architecture
from ..core.setting import SIZES
from ..inputs.settings import STEP, TOKENS, split_settings
from ..training.result import Training
from ..training.run import read_run


def _measure(architecture: Architecture, settings: dict[str, Any]) -> Training:
    sizes, step, _, _ = split_settings(settings, architecture)
    of_run = {name: sizes[name] for name in ("seq", "target_seq", "extend")}
    given = {"model": architecture, "tokens": settings.get("tokens"), "count": step["attention"], **of_run}
    return read_run(given).answer()


QUANTITY = Quantity(
    "train", "training FLOPs", "FLOPs", _measure,
    tree=lambda result: flops_tree(result.step, matmul_only=True),
    settings=(*SIZES[1:], STEP[2], TOKENS),
    parts={"compute": "FLOPs"},
    results=(Training,),
    evidence={"": Training.EVIDENCE},
)  # fmt: skip
