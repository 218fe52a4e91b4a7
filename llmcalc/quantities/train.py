"""FLOPs of a training run."""

from __future__ import annotations

from typing import Any

from ..analysis.quantity import Quantity
from ..calc.explain import flops_tree
from ..core.architecture import Architecture
from ..core.setting import SIZES
from ..inputs.settings import STEP, TOKENS, split_settings
from ..training.run import Training
from ..training.train import train


def _measure(architecture: Architecture, settings: dict[str, Any]) -> Training:
    sizes, step, _, _ = split_settings(settings, architecture)
    of_run = {name: sizes[name] for name in ("seq", "target_seq", "extend")}
    return train(architecture, settings.get("tokens"), **of_run, count=step["attention"])


QUANTITY = Quantity(
    "train", "training FLOPs", "FLOPs", _measure,
    tree=lambda result: flops_tree(result.step, matmul_only=True),
    settings=(*SIZES[1:], STEP[2], TOKENS),
    parts={"compute": "FLOPs"},
    results=(Training,),
    evidence={"": Training.EVIDENCE},
)  # fmt: skip
