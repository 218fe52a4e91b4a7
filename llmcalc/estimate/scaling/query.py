"""What is asked of scaling laws, and their answers: one point a law, and all of them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...core.architecture import Architecture
from ...core.errors import InputError
from ...core.notebook_display import NotebookDisplay
from ...core.record import fields, record
from .law import Law, Outside, Setting, positive


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
                positive(getattr(self, name), name)
        for name in ("compute", "tokens", "inference"):
            if getattr(self, name) is not None:
                positive(getattr(self, name), name, least=1)
        for value in (self.parameters or {}).values():
            positive(value, "parameters", least=1)

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
class Plan(NotebookDisplay):
    """The answers of several laws to one query.

    Attributes:
        query: what was asked.
        setting: what else the laws need.
        points: the answers.
        silent: the laws that have none.
        model: the model whose parameters were asked about, if there is one.
    """

    query: Query
    setting: Setting
    points: tuple[Point, ...]
    silent: tuple[Silent, ...]
    model: Architecture | None = None

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
