"""A scaling law: its form and constants, which N it means, what it was fitted on, and where it stops being known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import InputError, UnsupportedError
from ...core.record import fields, record
from .forms import LARGEST, TRAIN, Form, Path, Repeated, Surface
from .moe_forms import Routed, Sparse, granular, joint, saturated

COUNTS = {
    "total": "all parameters of a dense model, embeddings included",
    "active": "parameters that a token uses, embeddings included",
    "stored": "all parameters, those of all experts included",
    "non-embedding": "parameters outside of look-up tables; of routed experts those that a token uses",
    "flops-per-token": "non-embedding training FLOPs a token, attention included, over 6",
}
QUANTITIES = {
    "n": "parameters", "d": "tokens", "c": "FLOPs", "ratio": "tokens a parameter", "epochs": "epochs",
    "experts": "experts for each active one", "granularity": "granularity",
}  # fmt: skip
LETTERS = {**{name: name for name in QUANTITIES}, "n": "N", "d": "D", "c": "C", "ratio": "D/N"}
EXPERT_FORMS = ("routed", "sparse", "granular", "joint")
SLACK = 1e-6  # a range's own end is inside, however it was rounded


@record
class Setting:
    """What a law may need beside N and D.

    Attributes:
        experts: experts for each that a token uses (E, or E/K); None: a dense model.
        granularity: how much narrower an expert is than a dense feed-forward layer.
        unique: tokens that differ; None: as many as are trained on.
    """

    experts: float | None = None
    granularity: float | None = None
    unique: float | None = None


@record
class Outside:
    """A value beyond the range that a law was fitted on: a warning as a value."""

    law: str
    quantity: str
    value: float
    low: float | None
    high: float | None

    @property
    def factor(self) -> float:
        """How many times the nearest end of the range the value is."""
        end = self.high if self.high is not None and self.value > self.high else self.low
        return self.value / (end or 1.0)

    @property
    def brief(self) -> str:
        """Such as ``N ×25``, of the largest or the smallest that was fitted."""
        return f"{LETTERS[self.quantity]} ×{self.factor:.3g}"

    @property
    def text(self) -> str:
        """The same in words."""
        end = "most" if self.factor > 1 else "least"
        return f"{QUANTITIES[self.quantity]} are ×{self.factor:.3g} of the {end} that {self.law} was fitted on"

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**{field.name: getattr(self, field.name) for field in fields(self)}, "text": self.text}


@record
class Law:
    """A published scaling law.

    Attributes:
        name: what it is called here.
        title: authors, year and which of their fits.
        form: how loss or optimum follow from the constants.
        constants: by symbol.
        uncertainty: of constants or exponents, as printed.
        counts: which N is meant; a key of ``COUNTS``.
        range: (low, high) of what it was fitted on, by quantity.
        unit: FLOPs that C is counted in.
        source: where the constants stand.
        checked: ``true`` (read in the publication), ``copies`` (in several transcriptions of it) or ``false`` (in one).
        note: what else to know.
    """

    name: str
    title: str
    form: str
    constants: Mapping[str, float]
    uncertainty: Mapping[str, str]
    counts: str
    range: Mapping[str, tuple[float | None, float | None]]
    unit: float
    source: str
    checked: str
    note: str

    def of(self, setting: Setting) -> Form:
        """The law of N and D that holds in a setting.

        Raises:
            UnsupportedError: the setting lacks a size that the law needs.
        """
        held = self.constants
        if self.form in EXPERT_FORMS and setting.experts is None:
            hint = "give the number of experts, such as {experts=8}"
            raise UnsupportedError("is a law for mixtures of experts", parameter="experts", hint=hint)
        experts = setting.experts or 1.0
        if self.form == "additive":
            return Surface(**held)
        if self.form == "kaplan":
            ratio = held["alpha_n"] / held["alpha_d"]
            return Surface(0.0, held["n_c"] ** ratio, ratio, held["d_c"], 1.0, held["alpha_d"])
        if self.form == "repeated":
            return Repeated(**held, unique=setting.unique) if setting.unique else _base(held)
        if self.form == "granular":
            return granular(held, setting.granularity or 1.0)
        if self.form == "joint":
            return joint(held, experts)
        if self.form == "sparse":
            return Sparse(held, 1 / experts)
        if self.form == "routed":
            many = saturated(experts, held["e_start"], held["e_max"])
            return Routed(held["a"], held["b"], held["c"], held["d"], many)
        return _path(self)

    def outside(self, setting: Setting, n: float, d: float, c: float) -> tuple[Outside, ...]:
        """What of a point is beyond the law's range."""
        values = {"n": n, "d": d, "c": c, "ratio": d / n, "experts": setting.experts}
        if self.form == "granular":
            values["granularity"] = setting.granularity or 1.0
        if self.form == "repeated" and setting.unique:
            values["epochs"] = max(d / setting.unique, 1.0)
        found = []
        for quantity, (low, high) in self.range.items():
            value = values.get(quantity)
            if value is None:
                continue
            if (low is not None and value < low * (1 - SLACK)) or (high is not None and value > high * (1 + SLACK)):
                found.append(Outside(self.name, quantity, value, low, high))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain data whose keys are the attribute names."""
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **own,
            "constants": dict(self.constants),
            "range": {key: list(ends) for key, ends in self.range.items()},
        }


def read_law(name: str, entry: Mapping[str, Any]) -> Law:
    """The law of an entry of the data files."""
    checked = entry["checked"]
    return Law(
        name,
        entry["title"],
        entry["form"],
        dict(entry["constants"]),
        dict(entry.get("uncertainty", {})),
        entry["counts"],
        {quantity: (ends[0], ends[1]) for quantity, ends in entry.get("range", {}).items()},
        entry.get("unit", 1.0),
        entry["source"],
        checked if isinstance(checked, str) else str(checked).lower(),
        entry.get("note", ""),
    )


def _base(held: Mapping[str, float]) -> Surface:
    return Surface(held["e"], held["a"], held["alpha"], held["b"], held["beta"])


def _path(law: Law) -> Path:
    held = dict(law.constants)
    if "c_ref" in held:  # a point that the path passes
        held["k_n"] = held.pop("n_ref") / held.pop("c_ref") ** held["a"]
    over = float(TRAIN) if law.counts == "flops-per-token" else 1.0
    return Path(**held, unit=law.unit, over=over)


def positive(value: float, parameter: str, least: float = 0.0) -> float:
    """The value, if it is a positive number of bounded size, and not below ``least``.

    Raises:
        InputError: it is not.
    """
    if not (0 < value < LARGEST and value >= least):
        hint = f"must be at least {least:g}" if value > 0 and least else "must be positive"
        raise InputError(f"{value:g} is out of range", parameter=parameter, hint=hint)
    return float(value)
