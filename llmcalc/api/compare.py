"""Comparison of several models under the same workload."""

from __future__ import annotations

from typing import Any

from ..calc.flops import Flops, flops
from ..calc.memory.inference import InferenceMemory
from ..calc.memory.pipeline import ParallelMemory
from ..calc.params import Params, params
from ..core.errors import InputError
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from .defaults import default_seq
from .load import Source, load
from .memory import memory
from .settings import ALL, read_settings, split_settings

BYTES = "bytes"
QUANTITIES = ("total", "active", "embedding", "non_embedding", "buffers")


@record
class Costs:
    """FLOPs and memory of one model under the workload shared by all compared models."""

    flops: Flops
    memory: InferenceMemory | ParallelMemory

    @property
    def values(self) -> dict[str, tuple[int, str]]:
        """Value and unit of each cost, by name."""
        serving = {"weights": "weights", "state": "state", "transient": "activations", "memory": "peak"}
        training = {name: name for name in ("weights", "gradients", "optimizer", "activations", "peak")}
        parts = serving if isinstance(self.memory, InferenceMemory) else training
        return {
            self.flops.workload.mode: (self.flops.total, "FLOPs"),
            "matmul": (self.flops.matmul, "FLOPs"),
            **{name: (getattr(self.memory, part), BYTES) for name, part in parts.items()},
        }

    @property
    def titles(self) -> dict[str, str]:
        """Table title for each unit."""
        step = {"forward": "forward pass", "train": "training step", "decode": "decode step"}
        run = "serving" if isinstance(self.memory, InferenceMemory) else "a training step"
        return {"FLOPs": f"FLOPs of a {step[self.flops.workload.mode]}", BYTES: f"memory of {run}"}


@record
class Comparison(NotebookDisplay):
    """Parameters and costs of several models, with ratios relative to the first model."""

    params: tuple[Params, ...]
    costs: tuple[Costs, ...]

    @property
    def summary(self) -> str:
        """One-line summary of all parameter counts."""
        return "; ".join(f"{one.architecture.name}: {one.total:,} params" for one in self.params)

    @property
    def to_first(self) -> list[dict[str, Any]]:
        """Differences and ratios of parameter counts relative to the first model."""
        first, *others = self.params
        rows = []
        for result in others:
            pairs = {name: (getattr(result, name), getattr(first, name)) for name in QUANTITIES}
            difference = {name: own - other for name, (own, other) in pairs.items()}
            ratio = {name: own / other if other else None for name, (own, other) in pairs.items()}
            rows.append({"model": result.architecture.name, "difference": difference, "ratio": ratio})
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as a plain dictionary."""
        models = [{"model": one.architecture.name, **one.to_dict()} for one in self.params]
        costs = [{name: value for name, (value, _) in one.values.items()} for one in self.costs]
        return {"models": models, "to_first": self.to_first, "costs": costs}


def compare(*models: Source, **settings: Any) -> Comparison:
    """Compare the parameters, FLOPs and memory of several models under the same workload.

    >>> import llmcalc
    >>> round(llmcalc.compare("bert", "palm").to_first[0]["ratio"]["total"])
    4936

    Args:
        models: two or more architectures, or anything ``load`` reads.
        settings: parameters of ``flops`` (with ``attention`` renamed ``pairs``) and of ``memory``; ``training=True``
            compares a training step.

    Raises:
        InputError: fewer than two models, or conflicting settings.
    """
    if len(models) < 2:
        raise InputError("at least two models are required", parameter="models")
    settings = read_settings("a comparison", ALL, settings)
    sizes, step, of_memory, convention = split_settings(settings)
    if settings.get("training"):
        if step["mode"] == "decode":
            raise InputError("decode mode cannot be combined with training", parameter="mode", hint="omit one of them")
        step["mode"] = "train"
    loaded = [load(model) for model in models]
    if sizes["seq"] is None:
        sizes["seq"] = default_seq(*loaded, mode=step["mode"])
    after = {**sizes, "seq": sizes["seq"] + step["context"]}
    costs = [
        Costs(flops(model, **sizes, **step, convention=convention), memory(model, **of_memory, **after))
        for model in loaded
    ]
    return Comparison(tuple(map(params, loaded)), tuple(costs))
