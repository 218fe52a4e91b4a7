"""Answers of scaling laws: the best N and D for a budget, the loss of a plan, what over-training and inference cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..core.errors import InputError, UnsupportedError
from ..core.record import fields, record
from .scaling import COUNTS, Law, Outside, Setting, positive
from .scaling_forms import INFER, TRAIN, Form, Path, Repeated


@record
class Query:
    """What is given; the rest is asked for.

    Attributes:
        compute: training FLOPs.
        parameters: N by what it counts (a key of ``COUNTS``), since laws mean different ones.
        tokens: D.
        loss: the loss to reach.
        inference: tokens that the model will process when it serves.
        inference_cost: what a FLOP of serving costs, in those of training.
    """

    compute: float | None = None
    parameters: Mapping[str, float] | None = None
    tokens: float | None = None
    loss: float | None = None
    inference: float | None = None
    inference_cost: float = 1.0

    def __post_init__(self) -> None:
        given = [name for name in ("compute", "parameters", "tokens", "loss") if getattr(self, name) is not None]
        if not given or len(given) > 2 or given == ["compute", "loss"] or given == ["tokens", "loss"]:
            hint = "give a compute budget, parameters, tokens or a loss; or parameters with one of the others"
            said = f"{' and '.join(given)} together leave" if given else "nothing given leaves"
            raise InputError(f"{said} it open what to look for", hint=hint)
        for name in ("loss", "inference_cost"):
            if getattr(self, name) is not None:
                positive(getattr(self, name), f"--{name.replace('_', '-')}")
        for name in ("compute", "tokens", "inference"):
            if getattr(self, name) is not None:
                positive(getattr(self, name), f"--{name}", least=1)
        for value in (self.parameters or {}).values():
            positive(value, "--params", least=1)

    @property
    def free(self) -> bool:
        """Whether a law chooses N and D, rather than judge given ones."""
        return self.parameters is None or all(x is None for x in (self.compute, self.tokens, self.loss))


class Served(NamedTuple):
    """The plan of the same loss with the least cost of training and inference together, and what it saves."""

    parameters: float
    tokens: float
    flops: float
    saved: float


@record
class Point:
    """What one law says.

    Attributes:
        law: whose answer it is.
        parameters: N, as the law counts it.
        tokens: D.
        compute: training FLOPs: the budget, or 6·N·D.
        loss: in nats a token of the law's own data, or None.
        outside: what of it is beyond the range that the law was fitted on.
        best_tokens: D at which the law would train N parameters.
        least_compute: FLOPs that reach the same loss at its best N and D.
        best_parameters: that N.
        epochs: how often limited data is seen.
        worth: D' of repeated data, as fresh tokens.
        served: the plan with inference in mind.
    """

    law: Law
    parameters: float
    tokens: float
    compute: float
    loss: float | None
    outside: tuple[Outside, ...]
    best_tokens: float | None = None
    least_compute: float | None = None
    best_parameters: float | None = None
    epochs: float | None = None
    worth: float | None = None
    served: Served | None = None

    @property
    def ratio(self) -> float:
        """Tokens a parameter."""
        return self.tokens / self.parameters

    @property
    def overtraining(self) -> float | None:
        """How many times the best number of tokens the parameters see; below 1 they see too few."""
        return self.tokens / self.best_tokens if self.best_tokens else None

    @property
    def excess(self) -> float | None:
        """Compute as a multiple of the least that reaches the same loss."""
        return self.compute / self.least_compute if self.least_compute else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data whose keys are the attribute names."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **own, "law": self.law.name, "title": self.law.title, "source": self.law.source, "counts": self.law.counts,
            "outside": [one.to_dict() for one in self.outside], "ratio": self.ratio, "overtraining": self.overtraining,
            "excess": self.excess, "served": self.served._asdict() if self.served else None,
        }  # fmt: skip


class Silent(NamedTuple):
    """A law that has no answer, and why: it does not speak of the question, or what is asked for is ``impossible``."""

    law: str
    reason: str
    impossible: bool


@record
class Plan:
    """The answers of several laws to one query, and those that have none, with the reason."""

    query: Query
    setting: Setting
    points: tuple[Point, ...]
    silent: tuple[Silent, ...]

    def spread(self, name: str) -> tuple[float, float] | None:
        """The least and the most of a figure over the laws that have it."""
        found = [value for point in self.points if (value := getattr(point, name)) is not None]
        return (min(found), max(found)) if found else None

    def middle(self, name: str) -> float:
        """The median of a figure over the laws that have it."""
        found = sorted(value for point in self.points if (value := getattr(point, name)) is not None)
        half = len(found) // 2
        return float(found[half]) if len(found) % 2 else float((found[half - 1] * found[half]) ** 0.5)

    @property
    def outside(self) -> tuple[Outside, ...]:
        """All that is beyond some law's range."""
        return tuple(one for point in self.points for one in point.outside)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must not be overlooked."""
        beyond = [point.law.name for point in self.points if point.outside]
        never = [one.law for one in self.silent if one.impossible]
        found = []
        if beyond and len(self.points) == 1:
            found.append(f"extrapolated: {beyond[0]} is used beyond what it was fitted on")
        elif beyond:
            said = f"{len(beyond)} of {len(self.points)} laws are used beyond what they were fitted on"
            found.append(f"extrapolated: {said}")
        if never:
            found.append(f"out of reach by {', '.join(never)}")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        names = ("parameters", "tokens", "compute", "loss", "ratio", "overtraining", "excess")
        return {
            "points": [point.to_dict() for point in self.points],
            "spread": {name: found for name in names if (found := self.spread(name))},
            "median": {name: self.middle(name) for name in names if self.spread(name)},
            "silent": [one._asdict() for one in self.silent],
            "warnings": list(self.warnings),
        }


def plan(laws: Iterable[Law], query: Query, setting: Setting | None = None) -> Plan:
    """What each law says.

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
    return Plan(query, chosen, tuple(found), tuple(silent))


def _out_of_scope(error: InputError) -> bool:
    return isinstance(error, UnsupportedError)


def _worst(failures: list[tuple[str, InputError]]) -> InputError:
    """Why no law answers: what is impossible says more than what a law does not speak of."""
    ranked = sorted(failures, key=lambda failure: _out_of_scope(failure[1]))
    if not ranked:
        return InputError("no law is asked", where="--law")
    name, error = ranked[0]
    if _out_of_scope(error):
        return UnsupportedError(f"{name} {error.message}", where=error.where or "--law", hint=error.hint)
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
        raise InputError(f"means {COUNTS[law.counts]}, which is not known here", where="--params")
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
