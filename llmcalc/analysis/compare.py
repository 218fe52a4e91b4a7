"""Comparison of several models under the same workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..calc.flops import Flops
from ..calc.params import Params, params
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.evidence import merged
from ..core.notebook_display import NotebookDisplay
from ..core.record import NamedTuple, record
from ..core.setting import CONTEXT, MODE
from ..inputs.effects import EffectCheck
from ..inputs.models import Source, read_model
from ..inputs.settings import read_settings, split_settings
from .quantity import Quantity, Value, quantities

QUANTITIES = ("total", "active", "embedding", "non_embedding", "buffers")


class Cost(NamedTuple):
    """Table of values for one quantity by name, such as ``flops.total``, with a title and a unit."""

    title: str
    unit: str
    values: dict[str, float]


@record
class Costs:
    """Results for one model, keyed by quantity. All compared models share the same workload."""

    results: dict[str, Any]

    @property
    def flops(self) -> Flops:
        """FLOPs of the step."""
        found: Flops = self.results["flops"]
        return found

    @property
    def tables(self) -> list[Cost]:
        """Tables of the values that ``compare`` shows, one per quantity."""
        known = ((each, self.results[each.name]) for each in compared() if each.name in self.results)
        shown = ((each, result, each.compared(result)) for each, result in known if each.compared)
        return [
            Cost(title, each.parts[parts[0]], {Value(each, part).name: getattr(result, part) for part in parts})
            for each, result, (title, parts) in shown if parts
        ]  # fmt: skip


@record
class Comparison(NotebookDisplay):
    """Parameters and costs of several models, with ratios relative to the first model."""

    params: tuple[Params, ...]
    costs: tuple[Costs, ...]

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value, such as ``flops.matmul``: the weakest over the models."""
        found = [{"params": one, **costs.results} for one, costs in zip(self.params, self.costs, strict=True)]
        pairs = [(quantity, result) for results in found for quantity, result in results.items()]
        return merged(
            *({f"{quantity}.{name}": each for name, each in result.evidence.items()} for quantity, result in pairs)
        )

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
        costs = [{name: value for cost in one.tables for name, value in cost.values.items()} for one in self.costs]
        return {"models": models, "to_first": self.to_first, "costs": costs, "evidence": self.evidence}


def compare_models(models: Sequence[Source], settings: Mapping[str, Any]) -> Comparison:
    """Compare models with settings that each have an effect on one of them."""
    asked = compared()
    settings = read_settings("a comparison", tuple(setting for each in asked for setting in each.settings), settings)
    if settings.get("training"):
        if settings.get("mode") == "decode":
            raise InputError("decode mode cannot be combined with training", parameter="mode", hint="omit one of them")
        settings["mode"] = "train"
    loaded, effects = [read_model(model) for model in models], EffectCheck()
    for each in asked:
        for model in loaded:
            effects.add(each.settings, {"mode": MODE.default, **settings}, model)
    effects.finish()
    asked = tuple(each for each in asked if settings.keys() >= {*each.requires})
    sizes, step, _, _ = split_settings(settings, *loaded)
    before, after = {**settings, "seq": sizes["seq"]}, {**settings, "seq": sizes["seq"] + step["context"]}
    costs = tuple(Costs({each.name: _measure(each, model, before, after) for each in asked}) for model in loaded)
    return Comparison(tuple(map(params, loaded)), costs)


def _measure(quantity: Quantity, model: Architecture, before: dict[str, Any], after: dict[str, Any]) -> Any:
    """Measure a quantity of a step. Quantities without a ``context`` setting are measured after the step."""
    has_context = any(setting.name == CONTEXT.name for setting in quantity.settings)
    return quantity.measure(model, quantity.own(before if has_context else after))


def compared() -> tuple[Quantity, ...]:
    """Return the quantities that ``compare`` shows."""
    return tuple(each for each in quantities() if each.compared)
