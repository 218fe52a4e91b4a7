"""Memory that a serving engine leaves for the keys and values of its requests."""

from __future__ import annotations

from typing import Any

from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import remembered
from ..data import tables
from ..estimate.time.serving import weight_bytes
from ..estimate.time.step import StepModel
from .engine_result import ServeResult
from .serve import serve


def free_memory(
    architecture: Architecture, steps: StepModel, gpu: str, formats: tuple[str | None, ...]
) -> tuple[ServeResult | None, float | None]:
    """Return how the engine divides the memory of a GPU, and its bytes for keys and values on one rank.

    The engine's own rule gives what it needs beside the weights. Both are None if no rule of the engine is known.
    """
    mesh, (weights, experts, attention, cache) = steps.mesh, formats
    settings: dict[str, Any] = {"weights": weights, "cache": cache, "tp": mesh.tp, "dp": mesh.dp}
    rule = tables("engines").get(steps.engine.name)
    if rule is None or rule["rule"] == "sum":  # llama.cpp divides the layers
        return None, None
    if mesh.dp > 1 and "dp" not in rule["flags"]["read"].values():
        settings = {**settings, "tp": mesh.tp * mesh.dp, "dp": None}
    elif "attention_dp" in rule["flags"]["read"].values() and mesh.dp > 1:
        settings |= {"tp": mesh.tp * mesh.dp, "attention_dp": True}
    elif mesh.dp == 1:
        settings["dp"] = None
    if mesh.ep > 1 and "expert_parallel" in rule["flags"]["read"].values():
        settings["expert_parallel"] = True

    def compute() -> tuple[ServeResult | None, float | None]:
        try:
            found = serve(architecture, gpu, engine=steps.engine.name, **settings)
        except InputError:
            return None, None
        if experts or attention or settings["tp"] != mesh.tp:  # other weights on a rank than those of this call
            other = found.memory.budget - found.memory.available.best - found.memory.weights.best
            return None, found.memory.budget - other - weight_bytes(steps)
        return found, found.memory.available.best

    key = (gpu, steps.engine.name, mesh, formats)
    return remembered(architecture, "_serving_memory", key, compute, most=64)


def engine_title(name: str) -> str:
    """Return the name of an engine as its authors write it."""
    return str(tables("engines").get(name, {}).get("title", name))
