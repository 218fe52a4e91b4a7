"""Scaling laws with formulas, constants, definitions of N and fitted ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any

from ...core.errors import InputError, UnsupportedError
from ...core.record import fields, record
from ...core.setting import LARGEST
from . import forms

COUNTS = {
    "total": "all parameters of a dense model, embeddings included",
    "active": "parameters that a token uses, embeddings included",
    "stored": "all parameters, including all experts",
    "stored-non-embedding": "all parameters outside embeddings and the head, including all experts",
    "non-embedding": "active parameters outside embeddings and the head",
    "with-head": "active parameters outside the input embedding, with the head",
    "flops-per-token": "non-embedding training FLOPs per token, attention included, divided by 6",
}
TOKENS = {
    "trained": "training tokens, none of them repeated",
    "repeated": "training tokens; repetitions of unique tokens count less",
    "fixed": "training tokens, the same number in every run",
}
COMPUTE = {
    "6nd": "6·N·D, of the active parameters",
    "all-flops": "all FLOPs of a run, with embeddings, attention and logits; computed as 6·N·D",
    "minimum": "fewest FLOPs, at batches far below the critical size; 6·N·D is about 1.8 times as many",
    "flops-per-token": "FLOPs per token times D, which is 6·N·D",
    "routing": "6·N·D of the active parameters, and the FLOPs of routing",
    "unstated": "training FLOPs; how they were counted is not published; computed as 6·N·D",
}
QUANTITIES = {
    "n": "parameters", "d": "tokens", "c": "FLOPs", "ratio": "tokens per parameter", "epochs": "epochs",
    "experts": "experts per active expert", "granularity": "granularity",
}  # fmt: skip
LETTERS = {**{name: name for name in QUANTITIES}, "n": "N", "d": "D", "c": "C", "ratio": "D/N"}
ACTIVE = {"stored": "active", "stored-non-embedding": "non-embedding"}  # counts of a mixture of experts
EXPERT_FORMS = ("routed", "sparse", "granular", "joint")
SLACK = 1e-6  # tolerance for rounded range limits


@record
class Conditions:
    """Conditions of training that some scaling laws depend on, besides model size and number of tokens.

    Attributes:
        experts: number of experts E, or the ratio E/K for laws with K active experts (None for a dense model).
        granularity: width of a dense feed-forward layer divided by the width of an expert.
        unique: number of distinct tokens (None if all training tokens are distinct).
    """

    experts: float | None = None
    granularity: float | None = None
    unique: float | None = None


@record
class Outside:
    """A value outside the fitted range of a law."""

    law: str
    quantity: str
    value: float
    low: float | None
    high: float | None

    @property
    def factor(self) -> float:
        """Ratio of the value to the nearest limit of the range."""
        end = self.high if self.high is not None and self.value > self.high else self.low
        return self.value / (end or 1.0)

    @property
    def brief(self) -> str:
        """Short description, such as ``N ×25``."""
        return f"{LETTERS[self.quantity]} ×{self.factor:.3g}"

    @property
    def text(self) -> str:
        """Description of how far the value lies outside the fitted range."""
        end = "largest" if self.factor > 1 else "smallest"
        return f"{QUANTITIES[self.quantity]}: ×{self.factor:.3g} the {end} value that {self.law} was fitted on"

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        return {**{field.name: getattr(self, field.name) for field in fields(self)}, "text": self.text}


@record
class Law:
    """A published scaling law.

    Attributes:
        title: authors, year and fit.
        counts: definition of N, given as a key of ``COUNTS``.
        tokens: definition of D, given as a key of ``TOKENS``.
        compute: definition of C, given as a key of ``COMPUTE``.
        unit: unit of C in FLOPs.
        checked: source of the constants (``true``: paper, ``copies``: several transcriptions, ``false``: one).
        example: published figures that the law reproduces, if any.
        gap: published figures that the law does not reproduce, or why there are none.
    """

    name: str
    title: str
    form: str
    constants: Mapping[str, float]
    uncertainty: Mapping[str, str]
    counts: str
    tokens: str
    compute: str
    range: Mapping[str, tuple[float | None, float | None]]
    unit: float
    source: str
    checked: str
    example: str
    gap: str
    note: str

    def of(self, conditions: Conditions) -> forms.ScalingForm:
        """Return the formula in N and D for the given conditions."""
        constants = self.constants
        if self.form in EXPERT_FORMS and conditions.experts is None:
            hint = "set the number of experts, such as {n_experts=8}"
            raise UnsupportedError("applies only to mixture-of-experts models", parameter="n_experts", hint=hint)
        experts = conditions.experts or 1.0
        if self.form in ("additive", "repeated"):
            base = constants["e"], ((constants["a"], constants["alpha"]),), constants["b"], constants["beta"]
            if self.form == "repeated" and conditions.unique:
                return forms.Repeated(*base, r_d=constants["r_d"], r_n=constants["r_n"], unique=conditions.unique)
            return forms.PowerSum(*base)
        if self.form == "kaplan":
            ratio = constants["alpha_n"] / constants["alpha_d"]
            term = constants["n_c"] ** ratio, ratio
            return forms.PowerSum(0.0, (term,), constants["d_c"], 1.0, outer=constants["alpha_d"])
        if self.form == "granular":
            return forms.granular(
                constants, conditions.granularity or 1.0, experts, per_active(self.counts, conditions)
            )
        if self.form == "joint":
            return forms.joint(constants, experts)
        if self.form == "sparse":
            return forms.sparse(constants, 1 / experts)
        if self.form == "routed":
            many = forms.saturated(experts, constants["e_start"], constants["e_max"])
            return forms.Routed(constants["a"], constants["b"], constants["c"], constants["d"], many)
        path = dict(constants)
        if "c_ref" in path:  # the law gives a point on the path
            path["k_n"] = path.pop("n_ref") / path.pop("c_ref") ** path["a"]
        return forms.Path(**path, unit=self.unit, over=float(forms.TRAIN) if self.counts == "flops-per-token" else 1.0)

    def per_active(self, parameters: Mapping[str, float] | None, conditions: Conditions) -> float:
        """Return the ratio of N to the active parameters in C = 6·N·D, from the model if it is known."""
        known = parameters or {}
        counted, active = known.get(self.counts), known.get(ACTIVE.get(self.counts, self.counts))
        if counted and active and counted != active:
            return counted / active
        return per_active(self.counts, conditions)

    def uncovered(self, conditions: Conditions) -> str:
        """Return why the fitted range does not cover the experts, or an empty string if it does."""
        values = {"experts": conditions.experts, "granularity": conditions.granularity}
        for one in self._beyond(values):
            return (
                f"fitted on {' to '.join(f'{end:g}' for end in {one.low: 0, one.high: 0})} {QUANTITIES[one.quantity]}"
            )
        return ""

    def outside(self, conditions: Conditions, n: float, d: float, c: float) -> tuple[Outside, ...]:
        """Return the values of a point (N, D, C) that are outside the fitted range."""
        values = {"n": n, "d": d, "c": c, "ratio": d / n, "experts": conditions.experts}
        if self.form == "granular":
            values["granularity"] = conditions.granularity or 1.0
        if self.form == "repeated" and conditions.unique:
            values["epochs"] = max(d / conditions.unique, 1.0)
        return tuple(self._beyond(values))

    def _beyond(self, values: Mapping[str, float | None]) -> Iterator[Outside]:
        for quantity, (low, high) in self.range.items():
            value = values.get(quantity)
            if value is not None and not (low or 0) * (1 - SLACK) <= value <= (high or inf) * (1 + SLACK):
                yield Outside(self.name, quantity, value, low, high)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**own, "range": {key: list(ends) for key, ends in self.range.items()}}


def per_active(counts: str, conditions: Conditions) -> float:
    """Return the ratio of N to the active parameters if the model is unknown.

    All parameters are in experts, or, if N excludes embeddings, all but an attention layer of half the size of the
    feed-forward layer [krajewski2024, Section 6.1].
    """
    experts = conditions.experts or 1.0
    return {"stored": experts, "stored-non-embedding": (2 * experts + 1) / 3}.get(counts, 1.0)


def read_law(name: str, entry: Mapping[str, Any]) -> Law:
    """Create a law from a data file entry."""
    checked = entry["checked"]
    own = {"uncertainty": {}, "unit": 1.0, "example": "", "gap": "", "note": "", **entry}
    own["checked"] = checked if isinstance(checked, str) else str(checked).lower()
    own["range"] = {quantity: (low, high) for quantity, (low, high) in entry.get("range", {}).items()}
    return Law(name=name, **own)


def positive(value: float, parameter: str, least: float = 0.0) -> float:
    """Return the value, or raise an InputError if it is below ``least`` or not positive."""
    if not (0 < value < LARGEST and value >= least):
        hint = f"must be at least {least:g}" if value > 0 and least else "must be positive"
        raise InputError(f"{value:g} is out of range", parameter=parameter, hint=hint)
    return float(value)
