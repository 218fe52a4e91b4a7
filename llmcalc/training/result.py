"""Training runs with exact compute and estimated time, cost, energy and data volume.

The compute is exact for full sequences of equal length. All other figures depend on the displayed assumptions.
"""

from __future__ import annotations

from functools import cached_property

from ..calc.flops import Flops
from ..calc.memory.fit import Fit
from ..calc.memory.optimizer import Adapters
from ..calc.params import params
from ..core.architecture import Architecture
from ..core.evidence import ASSUMED
from ..core.notebook_display import NotebookDisplay
from ..core.record import NamedTuple, changed, record
from ..core.type_names import Any, ClassVar
from ..estimate.amounts import HOURS_A_DAY, PF_DAY
from ..estimate.cost import AS_GIVEN, FROM_OPERATIONS, MEASURED, Emission, Machine, Span
from ..estimate.prices import Price, usual_price
from ..estimate.scaling.forms import TRAIN
from .measured import SIX_ND, MeasuredTime
from .published_runs import as_other_runs
from .training_time import TrainingTime

STEPS, GIVEN_MFU, PUBLISHED_MFU = "steps", "given MFU", "published MFU"  # on which hours rest
SHORT_IDS, SHORT, LONG = 2**16, 2, 4  # largest vocabulary with 2-byte token ids; bytes per id


class Spending(NamedTuple):
    """Accelerator-hours, days on all accelerators, and the range of the cost in US dollars, or None if unknown."""

    hours: Span
    days: Span
    cost: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        return {"hours": self.hours._asdict(), "days": self.days._asdict(), "cost": ends(self.cost)}


def ends(cost: tuple[float, float] | None) -> dict[str, float] | None:
    """Return both ends of a cost by name."""
    return dict(zip(("low", "high"), cost, strict=True)) if cost else None


@record
class Training(NotebookDisplay):
    """A training run.

    Attributes:
        step: FLOPs of all sequences in the run.
        tokens: requested number of tokens, before rounding up to full sequences.
        resume_bytes: size of a resumable checkpoint (weights, master copy and optimizer states).
        adapters: LoRA adapters, if only these are trained and stored.
        adapter_flops: FLOPs of contractions if only these are trained.
        step_time: time of a step derived from its operations, or None if it is not computed.
        published: the machine with the published utilisation of other runs, or None.
        measured: a measured time of the run and what follows from it, or None.
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
    adapters: Adapters | None = None
    adapter_flops: int | None = None
    step_time: TrainingTime | None = None
    published: Machine | None = None
    measured: MeasuredTime | None = None

    EVIDENCE: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("compute", "pf_days"), "executed"), "six_nd": "exact", "other": "assumed",
        **dict.fromkeys(("hours", "days", "step_time"), "measured"), "cost": "assumed", "emissions": "assumed",
        **dict.fromkeys(("weights_bytes", "resume_bytes", "read_bytes"), "exact"),
    }  # fmt: skip

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value. Hours by a utilisation that the user specified are assumed."""
        found = super().evidence
        is_assumed = self.adapters is not None or (self.machine and self.machine.mfu_source == AS_GIVEN)
        given = {"hours": ASSUMED, "days": ASSUMED} if is_assumed else {}
        known: dict[str, Any] = {"days": self.hours}
        known |= {name: getattr(self, name) for name in ("hours", "cost", "emissions", "step_time")}
        return {name: each for name, each in {**found, **given}.items() if known.get(name, True)}

    @property
    def summary(self) -> str:
        """One-line summary of compute and time."""
        time = f", {self.hours.mid:,.0f} GPU-hours" if self.hours else ""
        return f"{self.architecture.name} on {self.tokens:,} tokens: {self.compute:.4g} FLOPs{time}"

    @property
    def sequences(self) -> int:
        """Number of full sequences, rounded up."""
        return self.step.workload.batch

    @property
    def compute(self) -> int:
        """Exact matmul FLOPs of the forward and backward passes."""
        return self.step.matmul if self.adapter_flops is None else self.adapter_flops

    @cached_property
    def mfu_flops(self) -> int:
        """FLOPs that the utilisation refers to, from which the hours are derived."""
        count = self.machine.mfu_count if self.machine else None
        if count is None or count == self.step.workload.attention:
            return self.compute
        by_rule = self.six_nd if self.half_six_nd is None else self.half_six_nd
        counted = by_rule if count == SIX_ND else self.step.counting(count).matmul
        return counted * self.compute // self.step.matmul

    @property
    def parameters(self) -> int:
        """Number of active parameters, including embeddings (N in 6·N·D)."""
        return params(self.architecture).active

    @property
    def six_nd(self) -> int:
        """Approximate training FLOPs (6·N·D)."""
        return TRAIN * self.parameters * self.tokens

    @property
    def half_six_nd(self) -> int | None:
        """Half of 6·N·D for an encoder-decoder model, where a token passes through one of both stacks [brown2020,
        Table D.1], or None.
        """
        return self.six_nd // 2 if self.architecture.is_encoder_decoder else None

    @property
    def pf_days(self) -> float:
        """Training compute in PF-days."""
        return self.compute / PF_DAY

    @property
    def steps(self) -> int | None:
        """Number of optimizer steps, rounded up."""
        return -(-self.tokens // self.batch_tokens) if self.batch_tokens else None

    @cached_property
    def hours(self) -> Span | None:
        """Measured or estimated accelerator-hours."""
        if self.measured:
            return Span(*[self.measured.hours] * 3)
        return self.machine.hours(self.mfu_flops) if self.machine else None

    @property
    def days(self) -> Span | None:
        """Training time in days on all accelerators."""
        return self.hours and self._days(self.hours)

    def _days(self, hours: Span) -> Span:
        assert self.machine
        return hours.times(1 / self.machine.count / HOURS_A_DAY)

    @property
    def other_hours(self) -> Span | None:
        """Accelerator-hours by the other estimate: the steps beside a given MFU, or the published MFU beside them."""
        if self.machine is None or self.step_time is None:
            return None
        if self.machine.mfu_source == FROM_OPERATIONS:
            return changed(self, machine=self.published).hours if self.published else None
        return changed(self.machine, mfu=self.step_time.utilisation).hours(self.compute)

    @property
    def cost(self) -> tuple[float, float] | None:
        """Cost range in US dollars."""
        return self.price.of(self.hours) if self.hours and self.price else None

    @cached_property
    def other_runs(self) -> Span | None:
        """Accelerator-hours of a run with as many restarts and slower phases as published ones, or None."""
        return as_other_runs(self)

    def spending(self, hours: Span) -> Spending:
        """Return the days and the range of the cost of a number of accelerator-hours."""
        return Spending(hours, self._days(hours), self.price.of(hours) if self.price else None)

    @property
    def usual_cost(self) -> float | None:
        """Cost in US dollars at the given price, or at the median of the quotes. None without a price."""
        if self.hours is None or self.price is None or self.machine is None:
            return None
        return self.hours.mid * usual_price(self.machine.accelerator, self.price)

    @property
    def answer(self) -> Spending | None:
        """What the run takes, by its steps or at the utilisation that was given or published. None without GPUs."""
        return self.spending(self.hours) if self.hours else None

    @property
    def basis(self) -> str:
        """What the hours rest on, or an empty text without GPUs."""
        if self.machine is None:
            return ""
        return {AS_GIVEN: GIVEN_MFU, FROM_OPERATIONS: STEPS, MEASURED: MEASURED}.get(
            self.machine.mfu_source, PUBLISHED_MFU
        )

    @property
    def token_bytes(self) -> int | None:
        """Bytes per token id in a data set (2 if every id fits in two bytes, otherwise 4)."""
        return None if self.vocabulary is None else SHORT if self.vocabulary <= SHORT_IDS else LONG

    @property
    def read_bytes(self) -> int | None:
        """Total size of all token ids, in bytes."""
        return self.tokens * self.token_bytes if self.token_bytes else None

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        parts = {"hours": self.hours, "days": self.days, "price": self.price, "other_hours": self.other_hours}
        return {
            **self.attributes(
                "tokens", "sequences", "steps", "batch_tokens", "compute", "six_nd", "parameters", "pf_days",
                "weights_bytes", "resume_bytes", "token_bytes", "read_bytes",
            ),
            **({} if self.half_six_nd is None else {"half_six_nd": self.half_six_nd}),
            "other": self.step.other,
            "mfu_flops": self.mfu_flops if self.machine else None,
            "per_token": self.compute / self.step.tokens,
            "machine": self.machine.to_dict() if self.machine else None,
            "step_time": self.step_time.to_dict() if self.step_time else None,
            "measured": self.measured.to_dict() if self.measured else None,
            "published": self.published.to_dict() if self.published else None,
            **{name: part and part._asdict() for name, part in parts.items()},
            "cost": ends(self.cost),
            "emissions": [one.to_dict() for one in self.emissions],
            "fit": self.fit.to_dict() if self.fit else None,
            "evidence": self.evidence,
        }  # fmt: skip
