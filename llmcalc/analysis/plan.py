"""Plans of training runs by scaling laws, for a budget or a loss, or with a given size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..calc.flops import flops
from ..calc.params import params
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture, declare
from ..core.errors import InputError
from ..core.record import changed
from ..estimate import amounts
from ..estimate.cost import Machine
from ..estimate.scaling.forms import TRAIN
from ..estimate.scaling.law import COUNTS, Conditions, per_active, positive
from ..estimate.scaling.plan import plan
from ..estimate.scaling.query import Plan, Query
from ..inputs.effects import check_effects
from ..inputs.models import Source, read_model
from ..inputs.scaling_laws import chosen
from ..inputs.training_settings import BUDGETS, LAW_LENGTH, LAW_SEQ, PRICE, SCALE
from ..training.budget import Budget, budget
from ..training.machine import MACHINE, read_machine
from .axes import check_points, read_axis

AMOUNTS = ("tokens", "unique", "inference")
MOST_SIZES = 1000  # of an iso-FLOP curve
SETTINGS = (*BUDGETS, *SCALE, LAW_LENGTH, MACHINE, PRICE)


def find_plan(model: Source | None, laws: Sequence[str], given: Mapping[str, Any]) -> Plan:
    """Apply scaling laws to the query in ``given``, with settings that each have an effect."""
    spent = _budget(given["gpu"], given["price"], {each.name: given[each.name] for each in BUDGETS})
    compute = given["compute"] if spent is None else spent.flops.mid
    compute = amounts.compute(compute) if isinstance(compute, str) else compute
    found = {
        name: amounts.amount(given[name], name) if isinstance(given[name], str) else given[name] for name in AMOUNTS
    }
    architecture = read_model(model) if model is not None else None
    n_experts, granularity, parameters = given["n_experts"], given["granularity"], given["parameters"]
    n_experts = routed(architecture) if architecture is not None and n_experts is None else n_experts
    for name, limited in (("n_experts", n_experts), ("granularity", granularity), ("unique", found["unique"])):
        if limited is not None:
            positive(limited, name, least=1)
    check_effects(SETTINGS, given, architecture)
    conditions = Conditions(n_experts, granularity, found["unique"])
    if architecture is not None:
        counted: Mapping[str, float] | None = counts(architecture, given["seq"])
    elif parameters is None or isinstance(parameters, Mapping):
        counted = parameters
    else:
        counted = _of_every_law(parameters, conditions)
    query = Query(compute, counted, found["tokens"], given["loss"], found["inference"], given["inference_cost"])
    found_plan = plan(chosen(laws, conditions), query, conditions, architecture, covered=not laws)
    return changed(found_plan, budget=spent, curve=_curve(found_plan, given["over"]) if given["over"] else ())


def _of_every_law(parameters: float | str, conditions: Conditions) -> dict[str, float]:
    """Return the same number of active parameters under each definition used by scaling laws."""
    number = amounts.amount(parameters, "parameters", "70B") if isinstance(parameters, str) else float(parameters)
    return {name: number * per_active(name, conditions) for name in COUNTS}


def _curve(optimum: Plan, over: Iterable[str]) -> tuple[Plan, ...]:
    """Return the plans of other sizes with the compute of an optimum, by the same laws."""
    compute, axes = optimum.query.compute, [read_axis(text, amounts.SCALES) for text in over]
    for axis in axes:
        if axis.name not in ("params", "parameters"):
            hint = "use sizes such as params=1B,2B,4B"
            raise InputError(f"{axis.name} cannot be varied", parameter="over", hint=hint)
    if compute is None or not optimum.query.free:
        raise InputError("requires compute alone", parameter="over", hint="add {compute=1e21}, and omit other amounts")
    for axis in axes:
        check_points([axis], MOST_SIZES, f"at most {MOST_SIZES} sizes are computed")
    laws, conditions = [point.law for point in optimum.points], optimum.setting
    queries = (Query(compute, _of_every_law(size, conditions)) for axis in axes for size in axis.values)
    return tuple(plan(laws, query, conditions) for query in queries)


def _budget(gpu: Machine | str | None, price: float | None, budgets: Mapping[str, Any]) -> Budget | None:
    """Return the training budget on GPUs, or None if no GPUs are given."""
    given = {name: value for name, value in budgets.items() if value is not None}
    if len(given) > 1:
        first, second, *_ = given
        raise InputError("cannot be combined with another budget", parameter=first, hint=f"omit it, or {{{second}}}")
    if gpu is None:
        other = next((name for name in given if name != "compute"), None)
        if other:
            raise InputError("requires an accelerator", parameter=other, hint="add {gpu=h100:512}")
        return None
    values = {
        name: amounts.compute(value) if name == "compute" else amounts.amount(value, name, "30")
        for name, value in given.items()
    }
    return budget(read_machine(gpu) if isinstance(gpu, str) else gpu, price=price, **values)


def routed(model: Architecture) -> float | None:
    """Return the ratio of total to active experts, or None if the model is dense or the layers differ."""
    ratios = {one.n_experts / one.top_k for one in expert_layers(model) if one.top_k}
    return ratios.pop() if len(ratios) == 1 else None


def counts(model: Architecture, seq: int = LAW_SEQ) -> dict[str, float]:
    """Return the model's parameter count under each definition used by scaling laws."""
    counted = params(model)
    heads = [row for row in counted.distinct_rows if row.declaration.logits and not row.tensor.table]
    untied = sum(row.size * row.copies for row in heads)
    return {
        "total": float(counted.active),
        "active": float(counted.active),
        "stored": float(counted.total),
        "stored-non-embedding": float(counted.non_embedding - untied),
        "non-embedding": float(counted.active_non_embedding - untied),
        "with-head": float(counted.active_non_embedding - untied + sum(row.size for row in heads)),
        "flops-per-token": non_embedding_flops(model, seq) / TRAIN,
    }


def non_embedding_flops(model: Architecture, seq: int) -> float:
    """Return training FLOPs per token, counting all query-key pairs but no logits [deepseek2024, Equation 2]."""
    step = flops(model, seq=seq, mode="train", attention="dense", extend=True)
    logits = step.of(work for work in step.works if declare(work.entry.layer).logits)
    return (step.matmul - logits.matmul) / step.tokens
