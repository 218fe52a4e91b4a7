"""Memory that a serving engine leaves for the keys and values of its requests, and the settings of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import ceil, inf
from typing import Any, NamedTuple

from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import remembered
from ..data import tables
from ..engines.profile import read_profile
from ..estimate.hardware import Accelerator
from ..inputs.gguf_names import FILE_FORMAT
from ..kernels.cost import ACTIVATIONS
from .start.serve import serve
from .start.start import ServeResult
from .step.step import StepModel
from .times import weight_bytes

LAYOUT = ("tp", "dp", "pp", "ep", "expert_parallel", "attention_dp", "auto_fit")


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
    settings = {"weights": _weights(architecture, steps, weights), "cache": cache, **_layout(mesh, rule), **own}
    divides_layers = rule["rule"] == "sum"  # its number of sequences is one unless a flag sets it
    free = {"max_num_seqs": inf, **own} if divides_layers else {}
    gpu = f"{steps.accelerator.name}:{mesh.ranks}" if divides_layers else gpu

    def compute() -> EngineMemory:
        try:
            found = serve(architecture, gpu, engine=steps.engine.name, **settings)
        except InputError:
            if own:  # a setting may be wrong
                raise
            usual = _defaults(steps.engine.name, rule, steps.accelerator, own)
            return EngineMemory(None, None, {**usual, **free})
        known = {**found.settings, **free}
        if experts or attention or settings["tp"] not in (mesh.tp, None):  # other weights on a rank than in this call
            other = found.memory.budget - found.memory.available.best - found.memory.weights.best
            return EngineMemory(None, found.memory.budget - other - weight_bytes(steps), known)
        rest = found.memory.available.best
        if (shared := steps.accelerator.shared_bytes) and (on_host := dict(found.host.parts).get("weights")):
            rest = min(rest, shared - on_host.best - (found.memory.budget - rest))  # GPU and host share one memory
        return EngineMemory(None if divides_layers else found, rest, known)

    key = (gpu, steps.engine.name, mesh, formats, tuple(sorted(own.items())))
    return remembered(architecture, "_serving_memory", key, compute, most=64)


def placed_on_host(
    architecture: Architecture,
    steps: StepModel,
    formats: tuple[str | None, ...],
    given: Mapping[str, Any],
    tokens: float,
) -> ServeResult | None:
    """Return how an engine starts for a request of ``tokens`` tokens with a part in host memory, or None."""
    weights, _, _, cache = _weights(architecture, steps, formats[0]), *formats[1:]
    if not steps.engine.divides_layers:
        return None
    own = {"max_model_len": ceil(tokens), **{name: value for name, value in given.items() if name not in LAYOUT}}
    gpu = f"{steps.accelerator.name}:{steps.mesh.ranks}"
    with suppress(InputError):
        found = serve(architecture, gpu, engine=steps.engine.name, weights=weights, cache=cache, **own)
        return found if found.starts and found.placement else None
    return None


def _weights(architecture: Architecture, steps: StepModel, weights: str | None) -> str | None:
    """Return the format of the weights, which are 16 bits as in the steps where an engine would take smaller files."""
    told = architecture.inputs
    is_free = weights is None and not (told.get("quantization") or told.get("types") or told.get(FILE_FORMAT))
    return ACTIVATIONS if is_free and steps.engine.divides_layers else weights


def _layout(mesh: Mesh, rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an engine with a layout. An engine that divides the layers has a stage on each GPU."""
    read = rule["flags"]["read"].values()
    if rule["rule"] == "sum":
        return {"tp": None, "auto_fit": False}  # what the GPUs store
    found: dict[str, Any] = {"tp": mesh.tp, "dp": mesh.dp if mesh.dp > 1 else None}
    if mesh.dp > 1 and "dp" not in read:
        found = {"tp": mesh.tp * mesh.dp, "dp": None}
    elif mesh.dp > 1 and "attention_dp" in read:
        found |= {"tp": mesh.tp * mesh.dp, "attention_dp": True}
    if mesh.pp > 1:
        found["pp"] = mesh.pp
    if mesh.ep > 1 and "expert_parallel" in read:
        found["expert_parallel"] = True
    return found


def _defaults(engine: str, entry: Mapping[str, Any], card: Accelerator, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings that an engine has on a GPU."""
    profile = read_profile(engine, entry, given.get("engine_version"), card.name, card.usable_bytes)
    return profile.settings


def engine_title(name: str) -> str:
    """Return the name of an engine as its authors write it."""
    return str(tables("engines").get(name, {}).get("title", name))
