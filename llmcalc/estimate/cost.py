"""What accelerators do in an hour, and what that costs: utilisation, prices, energy and emissions, all assumptions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.errors import InputError
from ..core.record import fields, record
from .amounts import SECONDS_AN_HOUR
from .hardware import Accelerator

MEGA = 10**6
SIXTEEN_BIT = ("bf16", "fp16")
_PRICE = re.compile(r"\d+\.\d+")


class Span(NamedTuple):
    """A figure with how low and how high it may be; where nothing is known of that, all three are equal."""

    low: float
    mid: float
    high: float

    def over(self, value: float) -> Span:
        """A value divided by each: the largest divisor gives the least."""
        return Span(value / self.high, value / self.mid, value / self.low)

    def times(self, factor: float) -> Span:
        """Each, so many times."""
        return Span(self.low * factor, self.mid * factor, self.high * factor)


@record
class Machine:
    """Accelerators at work.

    Attributes:
        accelerator: which.
        count: how many.
        number_format: what the matrix products are computed in.
        mfu: model FLOPs utilisation.
        mfu_source: who measured it, or that the user stated it.
    """

    accelerator: Accelerator
    count: int
    number_format: str
    mfu: Span
    mfu_source: str

    @property
    def peak(self) -> int:
        """Dense FLOP/s of one."""
        return self.accelerator.peak[self.number_format]

    def flops(self, hours: float) -> Span:
        """Model FLOPs of accelerator-hours."""
        return self.mfu.times(hours * SECONDS_AN_HOUR * self.peak)

    def hours(self, flops: float) -> Span:
        """Accelerator-hours of model FLOPs: the least at the highest utilisation."""
        return self.mfu.over(flops / SECONDS_AN_HOUR / self.peak)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "accelerator": self.accelerator.name, "count": self.count, "format": self.number_format, "peak": self.peak,
            "mfu": self.mfu._asdict(), "mfu_source": self.mfu_source,
        }  # fmt: skip


def number_format_of(accelerator: Accelerator, wanted: str | None) -> str:
    """The number format to compute in: the one asked for, else 16 bits.

    Raises:
        InputError: the accelerator has no confirmed peak in it.
    """
    for name in (wanted,) if wanted else SIXTEEN_BIT:
        if name in accelerator.peak:
            return name
    known = ", ".join(accelerator.peak) or "none"
    raise InputError(
        f"no peak of {accelerator.title} in {wanted or '16 bits'} is confirmed", parameter="precision",
        hint=f"known are: {known}",
    )  # fmt: skip


def utilisation(accelerator: Accelerator, number_format: str, measured: Mapping[str, Any]) -> tuple[Span, str]:
    """Published utilisation of an accelerator in a number format, and its source.

    Raises:
        InputError: nobody's measurement is known.
    """
    keys = sorted((key for key in measured if accelerator.name.startswith(key)), key=len)
    entry = measured[keys[-1]].get(number_format) if keys else None
    if entry is None:
        raise InputError(
            f"no published utilisation of {accelerator.title} in {number_format} is known", parameter="mfu",
            hint="give the model FLOPs utilisation you expect, such as {mfu=40%}",
        )  # fmt: skip
    mid = entry["mid"]
    return Span(entry.get("low", mid), mid, entry.get("high", mid)), f"{entry['source']}: {entry['of']}"


def quoted(accelerator: Accelerator) -> tuple[float, float] | None:
    """The least and the most of the quoted US dollars an hour; None: nothing is quoted, or it is not confirmed."""
    if "not confirmed" in accelerator.price:
        return None
    listed = accelerator.price.rpartition(" (")[0]  # the sources stand last
    found = [float(price) for price in _PRICE.findall(listed)]
    return (min(found), max(found)) if found else None


@record
class Emission:
    """Energy and emissions of a run by a publication's convention.

    Attributes:
        name: of the convention.
        title: in words.
        watts: of one accelerator.
        pue: power usage effectiveness: what the data centre takes for each of the computers'.
        kg_per_kwh: CO2e of electricity.
        mwh: energy, low, mid and high as the hours are.
        tonnes: CO2e.
        source: where the convention stands.
        note: what else to know.
    """

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
        """Plain data whose keys are the attribute names."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**own, "mwh": self.mwh._asdict(), "tonnes": self.tonnes._asdict()}


def emission(name: str, entry: Mapping[str, Any], hours: Span, watts: float) -> Emission:
    """``MWh = hours·W·PUE/10^6`` and ``t = MWh·kg/kWh``.

    >>> entry = {"title": "", "pue": 1.1, "kg_per_kwh": 0.385, "source": ""}
    >>> found = emission("llama1", entry, Span(*[530432] * 3), 400)
    >>> round(found.mwh.mid), round(found.tonnes.mid)
    (233, 90)
    """
    mwh = hours.times(watts * entry["pue"] / MEGA)
    doubt = "" if entry.get("checked", True) is True else "The figures were read in copies of the publication."
    return Emission(
        name, entry["title"], watts, entry["pue"], entry["kg_per_kwh"], mwh, mwh.times(entry["kg_per_kwh"]),
        entry["source"], " ".join(filter(None, (entry.get("note", ""), doubt))),
    )  # fmt: skip
