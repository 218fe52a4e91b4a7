"""Answers to scaling-law queries about the optimal N and D, loss, overtraining and inference cost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ...core.architecture import Architecture
from ...core.errors import InputError, UnsupportedError
from .forms import INFER, TRAIN, Path, Repeated, ScalingForm
from .law import COUNTS, Conditions, Law
from .query import LifetimeOptimum, NoAnswer, Plan, Point, Query


def plan(
    laws: Sequence[Law],
    query: Query,
    conditions: Conditions | None = None,
    model: Architecture | None = None,
    covered: bool = False,
) -> Plan:
    """Answer a query with each law. ``model`` is the architecture that the query's parameters describe, if any.

    If ``covered`` is set, laws that were fitted on other numbers of experts are left out, unless no law would remain.
    """
    chosen, found = conditions or Conditions(), []
    failures: list[tuple[str, InputError]] = []
    for law in laws:
        try:
            if covered and (reason := law.uncovered(chosen)):
                raise UnsupportedError(reason)
            found.append(_point(law, query, chosen))
        except InputError as error:
            failures.append((law.name, error))
        except ArithmeticError:  # overflow or underflow
            failures.append((law.name, InputError("the result is out of range", hint="use less extreme values")))
    if not found and covered:
        return plan(laws, query, conditions, model)
    if not found:
        raise _most_informative(failures)
    silent = (NoAnswer(name, error.message, not isinstance(error, UnsupportedError)) for name, error in failures)
    return Plan(query, chosen, tuple(found), tuple(silent), model)


def _most_informative(failures: list[tuple[str, InputError]]) -> InputError:
    """Return the most informative error. Errors about impossible queries precede errors about unsupported queries."""
    if not failures:
        return InputError("no scaling law selected", parameter="laws")
    name, error = min(failures, key=lambda failure: isinstance(failure[1], UnsupportedError))
    if isinstance(error, UnsupportedError):
        return UnsupportedError(f"{name} {error.message}", parameter=error.parameter or "laws", hint=error.hint)
    return error


def _point(law: Law, query: Query, conditions: Conditions) -> Point:
    form = law.of(conditions)
    n = None if query.parameters is None else query.parameters.get(law.counts)
    if n is None and query.parameters is not None:
        raise InputError(f"requires N ({COUNTS[law.counts]}), but N is unknown", parameter="parameters")
    per_active = law.per_active(query.parameters, conditions)
    n, d, c = _locate(form, query, n, per_active)
    if min(n, d) < 1:
        raise InputError("the optimal number of parameters or tokens is less than 1", hint="use less extreme values")
    on_path = form.path_loss(c) if isinstance(form, Path) and query.free else None
    loss = on_path if isinstance(form, Path) else form.loss(n, d)
    more: dict[str, Any] = {}
    if not query.free:
        more |= _optimum_at_loss(form, n, loss, per_active)
    if conditions.unique:
        more["epochs"] = max(d / conditions.unique, 1.0)
        more["worth"] = form.effective(n, d)[1] if isinstance(form, Repeated) else None
    if query.inference and loss is not None:
        more["served"] = _lifetime_optimum(form, n, d, loss, query, per_active)
    return Point(law, n, d, c, loss, law.outside(conditions, n, d, c), active=n / per_active, **more)


def _locate(form: ScalingForm, query: Query, n: float | None, per_active: float) -> tuple[float, float, float]:
    """Return (N, D, C) for a query. C is divided by the parameters per active parameter."""
    d, c = query.tokens, query.compute
    c = None if c is None else c * per_active
    if n is None and d is None:
        c = form.compute_for(query.loss) if query.loss is not None else c
        assert c is not None
        return *form.optimum(c), c / per_active
    if n is None and d is not None:
        n = form.parameters_on_path(d) if c is None else form.parameters_within(c, d)
    assert n is not None
    if d is None:
        if query.loss is not None:
            d = form.tokens_for(n, query.loss)
        else:
            d = form.tokens_on_path(n) if c is None else c / form.flops(n, 1.0)
    return n, d, form.flops(n, d) / per_active


def _optimum_at_loss(form: ScalingForm, n: float, loss: float | None, per_active: float) -> dict[str, float]:
    """Return the optimal D for N and, if the loss is known, the minimum compute and optimal N for this loss."""
    found: dict[str, float] = {}
    with suppress(InputError):  # the law has no optimum
        found["best_tokens"] = form.tokens_on_path(n)
        if loss is not None:
            least = form.compute_for(loss)
            found |= {"least_compute": least / per_active, "best_parameters": form.optimum(least)[0]}
    return found


def _lifetime_optimum(
    form: ScalingForm, n: float, d: float, loss: float, query: Query, per_active: float
) -> LifetimeOptimum | None:
    tokens = (query.inference or 0.0) * query.inference_cost
    try:
        best, trained = form.lifetime(loss, tokens)
    except InputError:
        return None
    own, least = (form.flops(size, seen + tokens * INFER / TRAIN) for size, seen in ((n, d), (best, trained)))
    return LifetimeOptimum(best, trained, least / per_active, 1 - least / own)
