"""Scaling-law queries and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...core.architecture import Architecture
from ...core.errors import InputError
from ...core.notebook_display import NotebookDisplay
from ...core.record import NamedTuple, fields, record
from .law import Conditions, Law, Outside, positive

APART = 3  # factor between answers that disagree


@record
class Query:
    """Known quantities of a training run, from which a law computes the unknown quantities.

    Attributes:
        parameters: N for each definition in ``COUNTS``, because laws count parameters differently.
        inference: number of tokens to process in deployment.
        inference_cost: cost of an inference FLOP relative to a training FLOP.
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
            hint = "set a compute budget, parameters, tokens or a loss, or parameters and one other quantity"
            message = f"cannot solve for a combination of {' and '.join(given)}" if given else "nothing to solve for"
            raise InputError(message, parameter=given[-1] if given else "", hint=hint)
        for name in ("loss", "inference_cost", "compute", "tokens", "inference"):
            if getattr(self, name) is not None:
                positive(getattr(self, name), name, least=0 if name in ("loss", "inference_cost") else 1)
        for value in (self.parameters or {}).values():
            positive(value, "parameters", least=1)

    @property
    def free(self) -> bool:
        """Whether the law chooses N and D."""
        return self.parameters is None or all(x is None for x in (self.compute, self.tokens, self.loss))


class LifetimeOptimum(NamedTuple):
    """N and D that reach a given loss at the lowest total cost, and the fraction of FLOPs saved.

    The cost includes training and inference.
    """

    parameters: float
    tokens: float
    flops: float
    saved: float


@record
class Point:
    """Answer from a single scaling law.

    Attributes:
        parameters: N under the law's definition.
        compute: training FLOPs, either the budget or 6·N·D.
        loss: loss in nats per token on the data that the law was fitted to, or None.
        best_tokens: optimal D for N parameters.
        least_compute: minimum FLOPs that reach the same loss.
        active: active parameters, which is N of a law that counts them, so that laws are comparable.
        worth: number of unique tokens that have the same effect as the repeated tokens.
    """

    law: Law
    parameters: float
    tokens: float
    compute: float
    loss: float | None
    outside: tuple[Outside, ...]
    active: float
    best_tokens: float | None = None
    least_compute: float | None = None
    best_parameters: float | None = None
    epochs: float | None = None
    worth: float | None = None
    served: LifetimeOptimum | None = None

    @property
    def ratio(self) -> float:
        """Tokens per parameter."""
        return self.tokens / self.parameters

    @property
    def overtraining(self) -> float | None:
        """Tokens divided by the optimal number of tokens."""
        return self.tokens / self.best_tokens if self.best_tokens else None

    @property
    def excess(self) -> float | None:
        """Compute divided by the minimum compute for the same loss."""
        return self.compute / self.least_compute if self.least_compute else None

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **own, "law": self.law.name, "title": self.law.title, "source": self.law.source, "counts": self.law.counts,
            "outside": [one.to_dict() for one in self.outside], "ratio": self.ratio, "overtraining": self.overtraining,
            "excess": self.excess, "served": self.served._asdict() if self.served else None,
        }  # fmt: skip


class NoAnswer(NamedTuple):
    """A law that has no answer because it does not cover the query or because the query is ``impossible``."""

    law: str
    reason: str
    impossible: bool


@record
class Plan(NotebookDisplay):
    """Answers from several scaling laws to one query.

    Attributes:
        silent: laws that have no answer.
        curve: plans of given sizes with the same compute, of an iso-FLOP curve.
    """

    query: Query
    setting: Conditions
    points: tuple[Point, ...]
    silent: tuple[NoAnswer, ...]
    model: Architecture | None = None
    budget: Any = None
    curve: tuple[Plan, ...] = ()

    EVIDENCE: ClassVar[dict[str, str]] = dict.fromkeys(("parameters", "tokens", "compute", "loss"), "fitted")

    @property
    def summary(self) -> str:
        """One-line summary of the answers."""
        said = (f"{point.law.name} {point.parameters:.3g} params, {point.tokens:.3g} tokens" for point in self.points)
        return "; ".join(said)

    def _values(self, name: str) -> list[float]:
        """Return the values of the laws that have one, in ascending order. Parameters are active parameters."""
        own = "active" if name == "parameters" else name
        return sorted(value for point in self.points if (value := getattr(point, own)) is not None)

    @property
    def disagrees(self) -> bool:
        """Whether the answers of the laws differ by more than a factor of ``APART``."""
        ends = [self.spread(name) for name in ("parameters", "tokens", "overtraining")]
        return any(high > APART * low for low, high in filter(None, ends))

    def spread(self, name: str) -> tuple[float, float] | None:
        """Return the minimum and maximum of an attribute over all laws, or None if no law has a value."""
        found = self._values(name)
        return (min(found), max(found)) if found else None

    def middle(self, name: str) -> float:
        """Return the median of an attribute over all laws. If there are two middle values, return their geometric
        mean.
        """
        found = self._values(name)
        half = len(found) // 2
        return float(found[half]) if len(found) % 2 else float((found[half - 1] * found[half]) ** 0.5)

    @property
    def losses(self) -> dict[str, float]:
        """Loss by each law that predicts one."""
        return {point.law.name: point.loss for point in self.points if point.loss is not None}

    @property
    def lowest_on_curve(self) -> dict[str, int]:
        """Index of the size with the lowest loss on the curve, by each law."""
        found = [one.losses for one in self.curve]
        return {law: min(range(len(found)), key=lambda at: found[at][law]) for law in self.losses} if found else {}

    @property
    def outside(self) -> tuple[Outside, ...]:
        """All values outside the fitted ranges of the laws."""
        return tuple(one for point in self.points for one in point.outside)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about extrapolation and unreachable targets."""
        beyond = [point.law.name for point in self.points if point.outside]
        never = [one.law for one in self.silent if one.impossible]
        said = f"{len(beyond)} of {len(self.points)} laws are used beyond the range they were fitted on"
        if len(self.points) == 1:
            said = f"{self.points[0].law.name} is used beyond the range it was fitted on"
        unreachable = f"unreachable according to {', '.join(never)}"
        return (f"extrapolated: {said}",) * bool(beyond) + (unreachable,) * bool(never)

    def to_dict(self) -> dict[str, Any]:
        """Return the answers as a plain dictionary."""
        names = ("parameters", "tokens", "compute", "loss", "ratio", "overtraining", "excess")
        return {
            "points": [point.to_dict() for point in self.points],
            "spread": {name: found for name in names if (found := self.spread(name))},
            "median": {name: self.middle(name) for name in names if self.spread(name)},
            "silent": [one._asdict() for one in self.silent],
            "curve": [
                {
                    "parameters": one.middle("parameters"),
                    "tokens": one.middle("tokens"),
                    "losses": one.losses,
                    "lowest_for": [law for law, place in self.lowest_on_curve.items() if place == at],
                }
                for at, one in enumerate(self.curve)
            ],
            "warnings": list(self.warnings),
            "evidence": self.evidence,
        }
