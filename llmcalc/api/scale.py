"""Scaling laws by name, budgets in any unit, models as queries: what to train, and what it will be worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ..calc.active_experts import expert_layers
from ..calc.flops import flops
from ..calc.params import params
from ..core.architecture import Architecture
from ..core.errors import UnknownNameError
from ..data import tables
from ..estimate.scaling.forms import TRAIN
from ..estimate.scaling.law import COUNTS, EXPERT_FORMS, Law, Setting, positive, read_law
from ..estimate.scaling.plan import plan
from ..estimate.scaling.query import Plan, Query

USUAL_LAWS = (
    "hoffmann-1", "hoffmann-2", "hoffmann-3", "besiroglu", "muennighoff", "deepseek", "llama3", "porian", "kaplan",
)  # fmt: skip
EXPERT_LAWS = ("ludziejewski", "krajewski", "abnar", "clark")
ALL = "all"
SEQ = 4096  # tokens of a sequence where a law counts attention, and nothing is said [deepseek2024, Table 3]


@lru_cache(maxsize=1)
def laws() -> dict[str, Law]:
    """Every scaling law by its name."""
    return {name: read_law(name, entry) for name, entry in tables("scaling").items()}


def law(name: str, parameter: str = "") -> Law:
    """A scaling law by name.

    Raises:
        UnknownNameError: no such law.
    """
    known = laws()
    if name.lower() not in known:
        raise UnknownNameError("scaling law", name, known, parameter=parameter, hint="(llmcalc laws list shows all)")
    return known[name.lower()]


def chosen(names: Iterable[str], setting: Setting) -> list[Law]:
    """The laws of these names; none: those that are usual for dense models, or for experts."""
    asked = list(names)
    if asked == [ALL]:
        return [one for one in laws().values() if setting.experts or one.form not in EXPERT_FORMS]
    return [law(name, "laws") for name in asked or (EXPERT_LAWS if setting.experts else USUAL_LAWS)]


def routed(model: Architecture) -> float | None:
    """Experts for each that a token uses; None: a dense model, or one whose layers differ in it."""
    ratios = {one.n_experts / one.top_k for one in expert_layers(model) if one.top_k}
    return ratios.pop() if len(ratios) == 1 else None


def scale(
    model: Architecture | None = None,
    *,
    compute: float | None = None,
    parameters: float | Mapping[str, float] | None = None,
    tokens: float | None = None,
    loss: float | None = None,
    unique: float | None = None,
    inference: float | None = None,
    inference_cost: float = 1.0,
    experts: float | None = None,
    granularity: float | None = None,
    laws: Iterable[str] = (),
    seq: int = SEQ,
) -> Plan:
    """What scaling laws say of a budget, a size, an amount of data, a loss, or a model.

    Args:
        model: what ``load`` returned; its parameters are the ones that each law counts.
        compute: training FLOPs.
        parameters: N; a number means the same N to every law, a mapping has one for each of ``calc.scaling.COUNTS``.
        tokens: D.
        loss: the loss to reach.
        unique: tokens that differ: beyond them data is repeated.
        inference: tokens that the model will process when it serves.
        inference_cost: what a FLOP of serving costs, in those of training.
        experts: experts for each that a token uses.
        granularity: how much narrower an expert is than a dense layer.
        laws: names; none: the usual ones; ``all``: all.
        seq: tokens of a sequence, for the law that counts attention.

    Raises:
        InputError: contradictory or impossible wishes.

    >>> import llmcalc
    >>> found = llmcalc.scale(compute=5.76e23, laws=["hoffmann-3"]).points[0]
    >>> round(found.parameters / 1e9, 1), round(found.tokens / 1e12, 2)
    (40.4, 2.38)
    """
    experts = routed(model) if model is not None and experts is None else experts
    for name, value in (("experts", experts), ("granularity", granularity), ("unique", unique)):
        if value is not None:
            positive(value, name, least=1)
    setting = Setting(experts, granularity, unique)
    if model is not None:
        counted: Mapping[str, float] | None = counts(model, seq)
    elif parameters is None or isinstance(parameters, Mapping):
        counted = parameters
    else:
        counted = dict.fromkeys(COUNTS, float(parameters))
    query = Query(compute, counted, tokens, loss, inference, inference_cost)
    return plan(chosen(laws, setting), query, setting, model)


def counts(model: Architecture, seq: int = SEQ) -> dict[str, float]:
    """The parameters of a model, by what laws count. A dense law means the active ones of a mixture of experts."""
    counted = params(model)
    return {
        "total": float(counted.active),
        "active": float(counted.active),
        "stored": float(counted.total),
        "non-embedding": float(counted.active_non_embedding),
        "flops-per-token": non_embedding_flops(model, seq) / TRAIN,
    }


def non_embedding_flops(model: Architecture, seq: int) -> float:
    """Training FLOPs a token, all pairs of query and key, logits left out [deepseek2024, Equation 2]."""
    step = flops(model, seq=seq, mode="train", attention="dense", extend=True)
    head = step.by_component["head"].matmul if "head" in step.by_component else 0
    return (step.matmul - head) / step.tokens


def in_inputs(query: Query, setting: Setting) -> dict[str, Any]:
    """A query as plain data."""
    return {
        "compute": query.compute, "parameters": dict(query.parameters) if query.parameters else None,
        "tokens": query.tokens, "loss": query.loss, "inference": query.inference,
        "inference_cost": query.inference_cost, "unique": setting.unique, "experts": setting.experts,
        "granularity": setting.granularity,
    }  # fmt: skip
