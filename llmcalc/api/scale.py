"""Scaling laws that predict the optimal model and data size for a budget, or the loss of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ..calc.flops import flops
from ..calc.params import params
from ..calc.touched_experts import expert_layers
from ..core.aliases import accepts_aliases
from ..core.architecture import Architecture, declare
from ..core.errors import InputError, UnknownNameError
from ..core.record import changed
from ..core.setting import AMOUNT, Setting, check_values, known_choice, read_lengths, read_texts
from ..data import tables
from ..estimate import amounts
from ..estimate.cost import Machine
from ..estimate.scaling.forms import TRAIN
from ..estimate.scaling.law import COUNTS, EXPERT_FORMS, Conditions, Law, positive, read_law
from ..estimate.scaling.plan import plan
from ..estimate.scaling.query import Plan, Query
from ..inputs.effects import check_effects
from ..inputs.models import Source, load
from ..training.budget import Budget
from ..training.machine import MACHINE, PRICE

USUAL_LAWS = (
    "hoffmann-1", "hoffmann-2", "hoffmann-3", "besiroglu", "muennighoff", "deepseek", "llama3", "porian", "kaplan",
)  # fmt: skip
EXPERT_LAWS = ("ludziejewski", "krajewski", "abnar", "clark")
ALL = "all"
SETTINGS = (
    *(Setting(name, AMOUNT) for name in ("compute", "days", "hours", "dollars", "tokens", "unique", "inference")),
    *(Setting(name, float) for name in ("loss", "n_experts", "granularity")),
    Setting("inference_cost", float, 1.0, needs=("inference",)), Setting("seq", int, 4096, least=1, needs=("model",)),
    MACHINE, PRICE,
)  # fmt: skip
COMMON_NAMES = {"hoffmann": ("chinchilla",)}  # of laws, by the first word of their names
SEQ = 4096  # default tokens per sequence for laws that count attention [deepseek2024, Table 3]


@lru_cache(maxsize=1)
def laws() -> dict[str, Law]:
    """Return all scaling laws by name."""
    return {name: read_law(name, entry) for name, entry in tables("scaling").items()}


def law(name: str, parameter: str = "") -> Law:
    """Look up a scaling law by name."""
    known = laws()
    if name.lower() not in known:
        alike = [each for each, entry in known.items() if name.lower() in COMMON_NAMES.get(each.partition("-")[0], ())]
        if alike:
            hint = f"the laws of {name} are {', '.join(alike)}"
            raise UnknownNameError("scaling law", name, (), parameter=parameter, hint=hint)
        raise UnknownNameError(
            "scaling law", name, known, parameter=parameter, hint="run llmcalc laws list to see all laws"
        )
    return known[name.lower()]


def chosen(names: Iterable[str], conditions: Conditions) -> list[Law]:
    """Look up laws by name. If no names are given, return the default laws for dense or mixture-of-experts models."""
    asked = list(names)
    if asked == [ALL]:
        return [one for one in laws().values() if conditions.experts or one.form not in EXPERT_FORMS]
    return [law(name, "laws") for name in asked or (EXPERT_LAWS if conditions.experts else USUAL_LAWS)]


def routed(model: Architecture) -> float | None:
    """Return the ratio of total to active experts, or None if the model is dense or the layers differ."""
    ratios = {one.n_experts / one.top_k for one in expert_layers(model) if one.top_k}
    return ratios.pop() if len(ratios) == 1 else None


@accepts_aliases(experts="n_experts", machine="gpu")
def scale(
    model: Source | None = None,
    *,
    compute: float | str | None = None,
    days: float | None = None,
    hours: float | str | None = None,
    dollars: float | str | None = None,
    gpu: Machine | str | None = None,
    price: float | None = None,
    parameters: float | str | Mapping[str, float] | None = None,
    tokens: float | str | None = None,
    loss: float | None = None,
    unique: float | str | None = None,
    inference: float | str | None = None,
    inference_cost: float = 1.0,
    n_experts: float | None = None,
    granularity: float | None = None,
    laws: Iterable[str] = (),
    seq: int | str = SEQ,
) -> Plan:
    """Apply scaling laws to find the optimal model and data size for a budget, or to evaluate a plan.

    >>> import llmcalc
    >>> found = llmcalc.scale(compute=5.76e23, laws=["hoffmann-3"]).points[0]
    >>> round(found.parameters / 1e9, 1), round(found.tokens / 1e12, 2)
    (40.4, 2.38)

    Args:
        model: an architecture, or anything ``load`` reads, whose parameters each law counts by its own definition.
        compute: training FLOPs, or a string such as ``"3640PF-days"``.
        days: budget: days on all GPUs of ``gpu``.
        hours: budget: accelerator-hours of ``gpu``.
        dollars: budget: US dollars, spent at ``price``.
        gpu: GPUs: a string such as ``"h100:512"``, or the result of ``machine``.
        price: US dollars per accelerator-hour (default: quoted prices; ``dollars`` requires it).
        parameters: N for every law, or a mapping with a value for each key of ``COUNTS``.
        tokens: number of training tokens, D.
        loss: target loss in nats per token.
        unique: number of unique training tokens; more tokens repeat the data.
        inference: number of tokens processed during serving.
        inference_cost: cost of a serving FLOP relative to a training FLOP.
        n_experts: ratio of total to active experts (default: the model's; none: dense).
        granularity: ratio of dense layer width to expert width.
        laws: names of laws (default: a standard selection), or ``all``.
        seq: number of tokens per sequence, for laws that count attention.

    Raises:
        InputError: conflicting or out-of-range values, or a setting that has no effect.
    """
    if model is not None and parameters is not None:
        raise InputError("cannot be combined with a model", parameter="parameters", hint="omit one of them")
    given = read_lengths(locals())
    check_values(SETTINGS, given)
    laws = (laws,) if laws == ALL else read_texts(laws, "laws")
    if isinstance(parameters, Mapping):
        for key, value in parameters.items():
            known_choice("parameters", key, tuple(COUNTS))
            Setting("parameters", float, 0).check(value)
    else:
        Setting("parameters", AMOUNT).check(parameters)
    spent = _budget(gpu, price, compute=compute, days=days, hours=hours, dollars=dollars)
    if spent is not None:
        compute = spent.flops.mid
    texts = {"tokens": tokens, "unique": unique, "inference": inference}
    found = {name: amounts.amount(value, name) if isinstance(value, str) else value for name, value in texts.items()}
    flop = amounts.compute(compute) if isinstance(compute, str) else compute
    architecture = load(model) if model is not None else None
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
        number = amounts.amount(parameters, "parameters", "70B") if isinstance(parameters, str) else float(parameters)
        counted = dict.fromkeys(COUNTS, number)
    query = Query(flop, counted, found["tokens"], loss, found["inference"], inference_cost)
    plan_ = plan(chosen(laws, conditions), query, conditions, architecture)
    return changed(plan_, budget=spent) if spent else plan_


def _budget(gpu: Machine | str | None, price: float | None, **budgets: float | str | None) -> Budget | None:
    """Return the training budget on GPUs, or None if no GPUs are given."""
    from ..training.budget import budget
    from ..training.machine import read_machine

    given = {name: value for name, value in budgets.items() if value is not None}
    if len(given) > 1:
        first, second, *_ = given
        raise InputError(f"{first} and {second} cannot be combined", parameter=first, hint="omit one of them")
    if gpu is None:
        other = next((name for name in given if name != "compute"), None)
        if other:
            raise InputError("requires an accelerator", parameter=other, hint="add {gpu=h100:512}")
        return None
    values = {
        name: (amounts.compute(value) if name == "compute" else amounts.amount(value, name, "30"))
        if isinstance(value, str) else float(value)
        for name, value in given.items()
    }  # fmt: skip
    return budget(read_machine(gpu) if isinstance(gpu, str) else gpu, price=price, **values)


def counts(model: Architecture, seq: int = SEQ) -> dict[str, float]:
    """Return the model's parameter count under each definition used by scaling laws."""
    counted = params(model)
    return {
        "total": float(counted.active),
        "active": float(counted.active),
        "stored": float(counted.total),
        "non-embedding": float(counted.active_non_embedding),
        "flops-per-token": non_embedding_flops(model, seq) / TRAIN,
    }


def non_embedding_flops(model: Architecture, seq: int) -> float:
    """Return training FLOPs per token, counting all query-key pairs but no logits [deepseek2024, Equation 2]."""
    step = flops(model, seq=seq, mode="train", attention="dense", extend=True)
    logits = step.of(work for work in step.works if declare(work.entry.layer).logits)
    return (step.matmul - logits.matmul) / step.tokens


def in_inputs(query: Query, conditions: Conditions) -> dict[str, Any]:
    """Return the query and the conditions as a plain dictionary."""
    return {
        "compute": query.compute, "parameters": dict(query.parameters) if query.parameters else None,
        "tokens": query.tokens, "loss": query.loss, "inference": query.inference,
        "inference_cost": query.inference_cost, "unique": conditions.unique, "experts": conditions.experts,
        "granularity": conditions.granularity,
    }  # fmt: skip
