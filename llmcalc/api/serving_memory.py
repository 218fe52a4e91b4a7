"""Memory that a serving engine leaves for the keys and values of its requests, and the settings of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple

from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import remembered
from ..data import tables
from ..estimate.engine_profile import read_profile
from ..estimate.hardware import Accelerator
from ..estimate.time.serving import weight_bytes
from ..estimate.time.step import StepModel
from .engine_result import ServeResult
from .serve import serve

LAYOUT = ("tp", "dp", "pp", "ep", "expert_parallel", "attention_dp")


class EngineMemory(NamedTuple):
    """Memory of a rank.

    Attributes:
        result: division of the memory by the engine, or None if its rule is unknown, or its weights are others.
        free: bytes for keys and values on one rank, or None if no rule of the engine is known.
        settings: settings of the engine, with its defaults. Empty if the engine is unknown.
    """

    result: ServeResult | None
    free: float | None
    settings: Mapping[str, Any]

    @property
    def chunk(self) -> int | None:
        """Largest number of tokens of prefill in a step, or None if the engine is unknown."""
        return self.settings.get("max_num_batched_tokens")

    def most_requests(self, dp: int) -> float:
        """Return the largest number of running requests on each of the data-parallel ranks."""
        found = float(self.settings.get("max_num_seqs", inf))
        return found / (dp if self.settings.get("divides_sequences") else 1)


def free_memory(
    architecture: Architecture,
    steps: StepModel,
    gpu: str,
    formats: tuple[str | None, ...],
    given: Mapping[str, Any] | None = None,
) -> EngineMemory:
    """Return how the engine divides the memory of a GPU.

    The engine's own rule gives what it needs beside the weights.

    Args:
        architecture: the model.
        steps: steps of one rank.
        gpu: name and number of the GPUs.
        formats: number formats of weights, experts, attention and cache.
        given: further settings of the engine.
    """
    mesh, (weights, experts, attention, cache) = steps.mesh, formats
    rule = tables("engines").get(steps.engine.name)
    own = {name: value for name, value in (given or {}).items() if name not in LAYOUT}
    if rule is None:
        return EngineMemory(None, None, own)
    if rule["rule"] == "sum":  # llama.cpp divides the layers. Its number of sequences is one unless a flag sets it
        usual = {**_defaults(steps.engine.name, rule, steps.accelerator, own), "max_num_seqs": inf}
        return EngineMemory(None, None, {**usual, **own})
    settings: dict[str, Any] = {"weights": weights, "cache": cache, "tp": mesh.tp, "dp": mesh.dp, **own}
    if mesh.dp > 1 and "dp" not in rule["flags"]["read"].values():
        settings = {**settings, "tp": mesh.tp * mesh.dp, "dp": None}
    elif "attention_dp" in rule["flags"]["read"].values() and mesh.dp > 1:
        settings |= {"tp": mesh.tp * mesh.dp, "attention_dp": True}
    elif mesh.dp == 1:
        settings["dp"] = None
    if mesh.pp > 1:
        settings["pp"] = mesh.pp
    if mesh.ep > 1 and "expert_parallel" in rule["flags"]["read"].values():
        settings["expert_parallel"] = True

    def compute() -> EngineMemory:
        try:
            found = serve(architecture, gpu, engine=steps.engine.name, **settings)
        except InputError:
            if own:  # a setting may be wrong
                raise
            return EngineMemory(None, None, _defaults(steps.engine.name, rule, steps.accelerator, own))
        if experts or attention or settings["tp"] != mesh.tp:  # other weights on a rank than those of this call
            other = found.memory.budget - found.memory.available.best - found.memory.weights.best
            return EngineMemory(None, found.memory.budget - other - weight_bytes(steps), found.settings)
        return EngineMemory(found, found.memory.available.best, found.settings)

    key = (gpu, steps.engine.name, mesh, formats, tuple(sorted(own.items())))
    return remembered(architecture, "_serving_memory", key, compute, most=64)


def _defaults(engine: str, entry: Mapping[str, Any], card: Accelerator, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings that an engine has on a GPU."""
    profile = read_profile(engine, entry, given.get("engine_version"), card.name, card.usable_bytes)
    return profile.settings


def engine_title(name: str) -> str:
    """Return the name of an engine as its authors write it."""
    return str(tables("engines").get(name, {}).get("title", name))
