"""Scaling laws that predict the optimal model and data size for a budget, or the loss of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..analysis.plan import SETTINGS, find_plan
from ..core.aliases import accepts_aliases
from ..core.errors import InputError
from ..core.record import changed
from ..core.setting import check_values, known_choice, read_lengths, read_texts
from ..estimate.cost import Machine
from ..estimate.scaling.law import COUNTS
from ..estimate.scaling.query import Plan
from ..inputs.defaults import ALL
from ..inputs.models import Source
from ..inputs.training_settings import LAW_SEQ, PARAMETERS


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
    over: Iterable[str] = (),
    laws: Iterable[str] = (),
    seq: int | str = LAW_SEQ,
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
        over: sizes of an iso-FLOP curve, such as ``["params=1B,2B,4B"]`` or ``["params=1B..64B:x2"]``, for ``compute``.
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
            changed(PARAMETERS, kind=float, default=0).check(value)
    else:
        PARAMETERS.check(parameters)
    return find_plan(model, laws, given)
