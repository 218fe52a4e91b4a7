"""A whole training run: compute from the exact count of a step, then time, cost, energy, what it writes and reads.

The compute is exact for whole sequences of one length; all else follows from assumptions, which stand beside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..calc.flops import Flops
from ..calc.memory.fit import Fit
from ..calc.params import params
from ..core.architecture import Architecture
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from .amounts import HOURS_A_DAY, PF_DAY
from .cost import Emission, Machine, Span
from .scaling.forms import TRAIN

SHORT_IDS, SHORT, LONG = 2**16, 2, 4  # vocabularies whose ids fit 2 bytes; bytes of an id


class Price(NamedTuple):
    """US dollars of an accelerator-hour, and who says so."""

    low: float
    high: float
    source: str


@record
class Budget:
    """FLOPs to spend, and what they are made of.

    Attributes:
        said: how it was said.
        machine: the accelerators.
        hours: accelerator-hours that they work.
        flops: model FLOPs of these hours.
        price: what an hour costs, or None.
    """

    said: str
    machine: Machine
    hours: Span
    flops: Span
    price: Price | None

    @property
    def cost(self) -> tuple[float, float] | None:
        """US dollars: the least and the most."""
        return (self.hours.low * self.price.low, self.hours.high * self.price.high) if self.price else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "said": self.said, "machine": self.machine.to_dict(), "hours": self.hours._asdict(),
            "flops": self.flops._asdict(), "price": self.price._asdict() if self.price else None,
            "cost": dict(zip(("low", "high"), self.cost, strict=True)) if self.cost else None,
        }  # fmt: skip


@record
class Training(NotebookDisplay):
    """A training run.

    Attributes:
        architecture: the model.
        step: the FLOPs of all sequences together.
        tokens: tokens that were asked for; whole sequences are trained on.
        batch_tokens: tokens of a step of the optimizer, or None.
        machine: the accelerators, or None.
        price: what one of them costs an hour, or None.
        emissions: energy and emissions by convention.
        weights_bytes: a checkpoint of the weights alone.
        resume_bytes: one to go on from: weights, master copy and optimizer states.
        vocabulary: rows of the token table, or None.
        fit: memory on each accelerator, where a mesh was given.
    """

    architecture: Architecture
    step: Flops
    tokens: int
    batch_tokens: int | None
    machine: Machine | None
    price: Price | None
    emissions: tuple[Emission, ...]
    weights_bytes: int
    resume_bytes: int
    vocabulary: int | None
    fit: Fit | None

    @property
    def sequences(self) -> int:
        """Whole sequences, the last one filled up."""
        return self.step.workload.batch

    @property
    def compute(self) -> int:
        """FLOPs of contractions, forward and backward: exact."""
        return self.step.matmul

    @property
    def parameters(self) -> int:
        """N of 6·N·D: the parameters that a token uses, embeddings included."""
        return params(self.architecture).active

    @property
    def six_nd(self) -> int:
        """6·N·D."""
        return TRAIN * self.parameters * self.tokens

    @property
    def pf_days(self) -> float:
        """Compute in days of 10^15 FLOP/s."""
        return self.compute / PF_DAY

    @property
    def steps(self) -> int | None:
        """Steps of the optimizer, the last one filled up."""
        return -(-self.tokens // self.batch_tokens) if self.batch_tokens else None

    @property
    def hours(self) -> Span | None:
        """Accelerator-hours."""
        return self.machine.hours(self.compute) if self.machine else None

    @property
    def days(self) -> Span | None:
        """Days on all accelerators together."""
        return self.hours.times(1 / self.machine.count / HOURS_A_DAY) if self.machine and self.hours else None

    @property
    def cost(self) -> tuple[float, float] | None:
        """US dollars: the least and the most."""
        if not self.hours or not self.price:
            return None
        return self.hours.low * self.price.low, self.hours.high * self.price.high

    @property
    def token_bytes(self) -> int | None:
        """Bytes of a token's id as data sets store it: 2 where the vocabulary allows it, else 4."""
        return None if self.vocabulary is None else SHORT if self.vocabulary <= SHORT_IDS else LONG

    @property
    def read_bytes(self) -> int | None:
        """Bytes of token ids that are read."""
        return self.tokens * self.token_bytes if self.token_bytes else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data whose keys are the attribute names."""
        names = (
            "tokens", "sequences", "steps", "batch_tokens", "compute", "six_nd", "parameters", "pf_days",
            "weights_bytes", "resume_bytes", "token_bytes", "read_bytes",
        )  # fmt: skip
        return {
            **{name: getattr(self, name) for name in names},
            "other": self.step.other,
            "per_token": self.compute / self.step.tokens,
            "machine": self.machine.to_dict() if self.machine else None,
            "hours": self.hours._asdict() if self.hours else None,
            "days": self.days._asdict() if self.days else None,
            "price": self.price._asdict() if self.price else None,
            "cost": dict(zip(("low", "high"), self.cost, strict=True)) if self.cost else None,
            "emissions": [one.to_dict() for one in self.emissions],
            "fit": self.fit.to_dict() if self.fit else None,
        }
