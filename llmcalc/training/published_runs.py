"""Published training runs: their tokens and hours, and the hours of a run that takes as long as they did."""

from __future__ import annotations

from ..core.architecture import Architecture, TrainingFact
from ..core.errors import InputError
from ..core.type_names import TYPE_CHECKING
from ..estimate.amounts import HOURS_A_DAY
from ..estimate.cost import AS_GIVEN, MEASURED, Span
from ..inputs.gpus import accelerators_named
from ..inputs.measurements import errors_of

if TYPE_CHECKING:
    from .result import Training

OF_RUNS = (0.1, 0.5, 0.9)  # quantiles of the hours of published runs


def published_tokens(architecture: Architecture) -> int:
    """Return the published number of training tokens."""
    fact = published_fact(architecture, "training_tokens")
    if fact is None:
        message = f"the number of training tokens of {architecture.name} is unknown"
        raise InputError(message, parameter="tokens", hint="specify it, for example with {tokens=15T}")
    return round(float(fact.value))


def published_fact(architecture: Architecture, quantity: str) -> TrainingFact | None:
    """Return the first published numeric fact about a quantity, or None."""
    facts = (fact for fact in architecture.facts if fact.quantity == quantity and not isinstance(fact.value, str))
    return next(facts, None)


def published_accelerator(architecture: Architecture) -> str:
    """Return the published name of the accelerator, or an empty text."""
    return next((str(fact.value) for fact in architecture.facts if fact.quantity == "accelerator"), "")


def published_hours(architecture: Architecture) -> float | None:
    """Return the published accelerator-hours, or the product of accelerators and days, or None."""
    names = ("accelerator_hours", "accelerators", "training_days")
    hours, count, days = (fact and float(fact.value) for fact in (published_fact(architecture, one) for one in names))
    return hours or (count * days * HOURS_A_DAY if count and days else None)


def is_published_accelerator(run: Training) -> bool:
    """Return whether the published run of the model used the accelerators of this run."""
    known = accelerators_named(published_accelerator(run.architecture))
    return run.machine is not None and run.machine.accelerator.name in known


def as_other_runs(run: Training) -> Span | None:
    """Return the accelerator-hours if the run takes as long as published runs did, relative to their estimates.

    The values are at the 10th, 50th and 90th percentile of the published runs. The result is None if the user specified
    the utilisation or measured the time.
    """
    shares = shares_of_runs()
    if run.hours is None or shares is None or run.machine is None or run.machine.mfu_source in (AS_GIVEN, MEASURED):
        return None
    return shares.times(run.hours.mid)


def shares_of_runs() -> Span | None:
    """Return the hours of published runs as multiples of their estimates, at three percentiles."""
    shares = sorted(1 / (1 + error) for error in errors_of("train", "hours"))
    return Span(*(shares[round(quantile * (len(shares) - 1))] for quantile in OF_RUNS)) if shares else None
