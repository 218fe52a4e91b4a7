"""Search for shapes of a model family that meet a parameter, FLOPs or memory target."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import changed
from ..core.setting import AMOUNT, BATCH, Setting
from ..estimate.amounts import share
from ..inputs.defaults import SEQ
from ..inputs.effects import EffectCheck
from ..inputs.models import Overrides, read_overrides
from ..inputs.settings import read_settings
from ..schema.shape_search import Measure, search
from ..schema.shapes import MULTIPLE, RANKS, WITHIN, Design, Rules
from .axes import Over, check_points, points, read_axes
from .quantity import targets

OF_TARGET = (Setting("seq", int, SEQ, least=1), BATCH)
SETTINGS = (
    Setting("family", str, ""), *OF_TARGET,
    Setting("multiple", int, MULTIPLE, least=1), Setting("tp", int, RANKS, least=1), Setting("within", AMOUNT, WITHIN),
)  # fmt: skip

MOST_VARIANTS = 100  # searches for shapes, one for each combination of values


def find_shapes(
    family: str,
    *,
    seq: int,
    batch: int,
    multiple: int,
    tp: int,
    within: float | str,
    overrides: Overrides,
    over: Over | None,
    settings: Mapping[str, Any],
) -> Design:
    """Find the shapes of a model family that meet the only target in ``settings``."""
    known = targets()
    chosen = {name: value for name, value in settings.items() if name in known and value is not None}
    settings = {name: value for name, value in settings.items() if name not in known}
    if len(chosen) != 1:
        *names, last = (f"{{{name}}}" for name in known)
        raise InputError("design requires exactly one target", hint=f"set {', '.join(names)} or {last}")
    ((name, value),) = chosen.items()
    target = known[name].read_amount(value)
    rules = Rules(multiple, tp, share(within, "within"))
    quantity, fixed = known[name], read_overrides(overrides)
    base = {"seq": seq, "batch": batch, **({"tp": tp} if quantity.needs_ranks and "mesh" not in settings else {})}

    def best(varied: dict[str, Any]) -> Design:
        own = quantity.own(varied)
        changes = [f"{key}={value}" for key, value in varied.items() if key not in own]
        found = {**base, **read_settings(name, quantity.settings, {**settings, **own})}
        found = quantity.applicable(found, ("seq",) if seq == SEQ else ())

        def measure_as(published: Architecture) -> Measure:
            settings = {**found, **quantity.layout(published, found)}
            return lambda model: quantity.count(model, settings)

        result = search(family, target, partial(quantity.count, settings=found), rules, (*fixed, *changes), measure_as)
        effects.add(quantity.settings, found, result.candidates[0].architecture)
        return result

    for size in OF_TARGET:
        if base[size.name] != size.default and all(size.name != each.name for each in quantity.settings):
            raise InputError(f"has no effect on {name}", parameter=size.name, hint="omit it")
    effects, axes = EffectCheck(), [] if over is None else read_axes(over)
    for axis in axes:
        if axis.name in settings:
            raise InputError("cannot be both fixed and varied", parameter=axis.name, hint="remove it from {over}")
    check_points(axes, MOST_VARIANTS, f"at most {MOST_VARIANTS} combinations are searched")
    results = [(values, best(values)) for _, values in points(axes)]
    effects.finish()
    variants = tuple((values, result.candidates[0]) for values, result in results if values)
    varied, first = results[0]
    value_evidence = quantity.evidence_of(training=bool(settings.get("training")))
    step = quantity.step({**settings, **varied, **({} if seq == SEQ else {"seq": seq})})
    return changed(first, quantity=name, step=step, variants=variants, value_evidence=value_evidence)
