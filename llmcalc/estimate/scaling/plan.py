"""Answers of scaling laws: the best N and D for a budget, the loss of a plan, what over-training and inference cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...core.architecture import Architecture
from ...core.errors import InputError, UnsupportedError
from .forms import INFER, TRAIN, Form, Path, Repeated
from .law import COUNTS, Law, Setting
from .query import Plan, Point, Query, Served, Silent


def plan(laws: Iterable[Law], query: Query, setting: Setting | None = None, model: Architecture | None = None) -> Plan:
    """What each law says; ``model`` is whose parameters the query has.

    Raises:
        InputError: none of them can answer.
    """
    chosen, found = setting or Setting(), []
    failures: list[tuple[str, InputError]] = []
    for law in laws:
        try:
            found.append(_bounded_point(law, query, chosen))
        except InputError as error:
            failures.append((law.name, error))
    if not found:
        raise _worst(failures)
    silent = (Silent(name, error.message, not _out_of_scope(error)) for name, error in failures)
    return Plan(query, chosen, tuple(found), tuple(silent), model)


def _out_of_scope(error: InputError) -> bool:
    return isinstance(error, UnsupportedError)


def _worst(failures: list[tuple[str, InputError]]) -> InputError:
    """Why no law answers: what is impossible says more than what a law does not speak of."""
    ranked = sorted(failures, key=lambda failure: _out_of_scope(failure[1]))
    if not ranked:
        return InputError("no law is asked", parameter="laws")
    name, error = ranked[0]
    if _out_of_scope(error):
        return UnsupportedError(f"{name} {error.message}", parameter=error.parameter or "laws", hint=error.hint)
    return error


def _bounded_point(law: Law, query: Query, setting: Setting) -> Point:
    try:
        return _point(law, query, setting)
    except ArithmeticError:  # a float that over- or underflows on the way
        raise InputError("the answer is beyond all sizes", hint="ask for something less extreme") from None


def _point(law: Law, query: Query, setting: Setting) -> Point:
    form = law.of(setting)
    n, d, c = _located(form, query, _counted(law, query))
    if law.counts == "stored":
        c /= _idle(query, setting)
    if min(n, d) < 1:
        raise InputError("its answer is less than one parameter or token", hint="ask for something less extreme")
    loss = _loss(form, n, d, c, query.free)
    more: dict[str, Any] = {}
    if not query.free:
        more |= _compared(form, n, loss)
    if setting.unique:
        more["epochs"] = max(d / setting.unique, 1.0)
        more["worth"] = form.effective(n, d)[1] if isinstance(form, Repeated) else None
    if query.inference and loss is not None:
        more["served"] = _served(form, n, d, loss, query)
    return Point(law, n, d, c, loss, law.outside(setting, n, d, c), **more)


def _idle(query: Query, setting: Setting) -> float:
    """Stored parameters for each that a token uses: those of a model as counted, else as many as experts."""
    known = query.parameters or {}
    if "active" in known and known["active"] != known.get("stored"):
        return known["stored"] / known["active"]
    return setting.experts or 1.0


def _counted(law: Law, query: Query) -> float | None:
    if query.parameters is None:
        return None
    value = query.parameters.get(law.counts)
    if value is None:
        raise InputError(f"means {COUNTS[law.counts]}, which is not known here", parameter="parameters")
    return value


def _located(form: Form, query: Query, n: float | None) -> tuple[float, float, float]:
    """(N, D, C) of a query; 6·N·D = C, but for the few laws that mean another C."""
    d, c = query.tokens, query.compute
    if n is None and d is None:
        c = form.compute_for(query.loss) if query.loss is not None else c
        assert c is not None
        return *form.optimum(c), c
    if n is None and d is not None:
        n = form.parameters_on_path(d) if c is None else c / TRAIN / d
    assert n is not None
    if d is None:
        d = form.tokens_for(n, query.loss) if query.loss is not None else d
        d = c / TRAIN / n if d is None and c is not None else d
    d = form.tokens_on_path(n) if d is None else d
    return n, d, TRAIN * n * d


def _loss(form: Form, n: float, d: float, c: float, free: bool) -> float | None:
    if isinstance(form, Path):
        return form.path_loss(c) if free else None
    return form.loss(n, d)


def _compared(form: Form, n: float, loss: float | None) -> dict[str, float]:
    """What the law would do: D for these N, and the least compute for this loss."""
    found: dict[str, float] = {}
    try:
        found["best_tokens"] = form.tokens_on_path(n)
        if loss is not None:
            found["least_compute"] = form.compute_for(loss)
            found["best_parameters"] = form.optimum(found["least_compute"])[0]
    except InputError:  # the law has a loss, and no optimum
        pass
    return found


def _served(form: Form, n: float, d: float, loss: float, query: Query) -> Served | None:
    tokens = (query.inference or 0.0) * query.inference_cost
    try:
        best, trained = form.lifetime(loss, tokens)
    except InputError:
        return None
    own, least = (TRAIN * size * seen + INFER * size * tokens for size, seen in ((n, d), (best, trained)))
    return Served(best, trained, least, 1 - least / own)
