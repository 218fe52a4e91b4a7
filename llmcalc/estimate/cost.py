"""Throughput, energy and emissions of accelerators, based on stated assumptions."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.errors import InputError
from ..core.record import NamedTuple, fields, record
from ..core.type_names import Any
from .amounts import SECONDS_AN_HOUR
from .hardware import Accelerator

MEGA = 10**6
AS_GIVEN = "as given"  # source of a figure that the user specified
FROM_OPERATIONS = "derived from the operations of a training step"  # source of a utilisation
MEASURED = "measured"  # source of a utilisation that follows from a measured time
UNKNOWN = "unknown"  # source if no utilisation is published
SIXTEEN_BIT = ("bf16", "fp16")


class Span(NamedTuple):
    """An estimate with a lower and an upper bound. If the bounds are unknown, they equal the estimate."""

    low: float
    mid: float
    high: float

    def divide(self, value: float) -> Span:
        """Divide ``value`` by the estimate and by its bounds."""
        return Span(value / self.high, value / self.mid, value / self.low)

    def times(self, factor: float) -> Span:
        """Return the estimate multiplied by a factor."""
        return Span(self.low * factor, self.mid * factor, self.high * factor)


@record
class Machine:
    """Accelerators and their model FLOPs utilisation.

    Attributes:
        mfu_source: a citation, or "as given" if the user specified the utilisation.
        mfu_count: count of FLOPs that the utilisation refers to (``causal``, ``dense`` or ``6nd``), or None for that
            of the run.
    """

    accelerator: Accelerator
    count: int
    number_format: str
    mfu: Span
    mfu_source: str
    mfu_count: str | None = None

    def __repr__(self) -> str:
        """Return a short text with the name of the accelerator instead of its specifications."""
        own = f"{self.accelerator.name!r}, count={self.count}, number_format={self.number_format!r}"
        return f"Machine({own}, mfu={self.mfu}, mfu_source={self.mfu_source!r}, mfu_count={self.mfu_count!r})"

    @property
    def peak(self) -> int:
        """Peak dense FLOP/s of one accelerator."""
        return self.accelerator.peak[self.number_format]

    def flops(self, hours: float) -> Span:
        """Return the model FLOPs computed in the given number of accelerator-hours."""
        return self.mfu.times(hours * SECONDS_AN_HOUR * self.peak)

    def hours(self, flops: float) -> Span:
        """Return the accelerator-hours needed for the given number of model FLOPs."""
        return self.mfu.divide(flops / SECONDS_AN_HOUR / self.peak)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        return {
            "accelerator": self.accelerator.name, "count": self.count, "format": self.number_format, "peak": self.peak,
            "mfu": self.mfu._asdict(), "mfu_source": self.mfu_source, "mfu_count": self.mfu_count,
        }  # fmt: skip


def number_format_of(accelerator: Accelerator, wanted: str | None) -> str:
    """Return the requested number format for matmuls, or a 16-bit format by default."""
    for name in (wanted,) if wanted else SIXTEEN_BIT:
        if name in accelerator.peak:
            return name
    known = ", ".join(accelerator.peak) or "none"
    message = f"no confirmed peak FLOP/s for {accelerator.title} in {wanted or '16 bits'}"
    raise InputError(message, parameter="precision", hint=f"known formats: {known}")


def utilisations(accelerator: Accelerator, measured: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the published utilisation of an accelerator by number format."""
    keys = sorted((key for key in measured if accelerator.name.startswith(key)), key=len)
    return measured[keys[-1]] if keys else {}


def usual_format(accelerator: Accelerator, measured: Mapping[str, Any]) -> str:
    """Return a 16-bit format, or the first with a published utilisation if there is none in 16 bits."""
    published = utilisations(accelerator, measured)
    is_known = not published or not published.keys().isdisjoint(SIXTEEN_BIT)
    return number_format_of(accelerator, None if is_known else next(iter(published)))


def is_of_mixtures(machine: Machine, measured: Mapping[str, Any]) -> bool:
    """Return whether the published utilisation of a machine is that of mixtures of experts."""
    return bool(utilisations(machine.accelerator, measured).get(machine.number_format, {}).get("experts"))


def utilisation(accelerator: Accelerator, number_format: str, measured: Mapping[str, Any]) -> tuple[Span, str, str]:
    """Return the published utilisation of an accelerator for a number format, its source, and the count of FLOPs."""
    entry = utilisations(accelerator, measured).get(number_format)
    if entry is None:
        message = f"no published utilisation for {accelerator.title} in {number_format}"
        hint = "set the expected model FLOPs utilisation, such as {mfu=40%}"
        raise InputError(message, parameter="mfu", hint=hint)
    mid = entry["mid"]
    return Span(entry.get("low", mid), mid, entry.get("high", mid)), f"{entry['source']}: {entry['of']}", entry["count"]


@record
class Emission:
    """Energy and emissions of a training run in a data centre with power usage effectiveness ``pue``."""

    name: str
    title: str
    watts: float
    pue: float
    kg_per_kwh: float
    mwh: Span
    tonnes: Span
    source: str
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value._asdict() if isinstance(value, Span) else value for name, value in values}


def emission(name: str, entry: Mapping[str, Any], hours: Span, watts: float) -> Emission:
    """Compute energy as ``MWh = hours·W·PUE/10^6`` and emissions as ``t = MWh·kg/kWh``.

    >>> entry = {"title": "", "pue": 1.1, "kg_per_kwh": 0.385, "source": ""}
    >>> found = emission("llama1", entry, Span(*[530432] * 3), 400)
    >>> round(found.mwh.mid), round(found.tonnes.mid)
    (233, 90)
    """
    mwh = hours.times(watts * entry["pue"] / MEGA)
    doubt = "" if entry.get("checked", True) is True else "These figures come from copies of the publication."
    return Emission(
        name, entry["title"], watts, entry["pue"], entry["kg_per_kwh"], mwh, mwh.times(entry["kg_per_kwh"]),
        entry["source"], " ".join(filter(None, (entry.get("note", ""), doubt))),
    )  # fmt: skip
