"""Price and energy of served tokens, and the load from which own accelerators are cheaper than an API.

The time of an accelerator is charged to input tokens for prefills, and to output tokens for decode steps:

    price of a million tokens = hours per second · price · accelerators · share / tokens per second · 10^6

The interval of a price combines the range of prices with the interval of the throughput. So does that of an energy with
the error of the power.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.arrays import Number, namespace
from ..core.record import NamedTuple, record
from ..core.type_names import Any
from ..estimate.prices import Price
from ..kernels.cost import StepTime

HOUR, MILLION = 3600, 1e6
INPUT, OUTPUT = KINDS = ("input", "output")


class ApiPrice(NamedTuple):
    """Price of a million tokens of an API in US dollars."""

    input: float
    output: float


class Power(NamedTuple):
    """Watts of an accelerator while it computes prefills and decode steps, and how far they may be off.

    Attributes:
        prefill: watts in prefills.
        decode: watts in decode steps.
        error: relative error.
        source: what the watts follow from.
    """

    prefill: float
    decode: float
    error: float
    source: str


def decode_power(step: StepTime, shares: Mapping[str, Any]) -> Number:
    """Return the power in a decode step as a share of the rated power, by what the step reads and computes."""
    total, seconds = step.total, step.seconds
    share = shares["idle"] + shares["memory"] * total.memory / seconds + shares["compute"] * total.compute / seconds
    return namespace(share).minimum(share, 1.0)


@record
class Terms:
    """Prices and power that the cost and the energy of served tokens follow from.

    Attributes:
        price: price of an accelerator per hour, or None if unknown.
        rated: rated watts of an accelerator, or None if unknown.
        watts: measured watts, or None.
        api: price of an API to compare with, or None.
        shares: shares of the rated power (``data/serving_power.yaml``).
    """

    price: Price | None
    rated: int | None
    watts: float | None
    api: ApiPrice | None
    shares: Mapping[str, Any]

    def power(self, decode: float, busy: float = 1.0) -> Power | None:
        """Return the power of an accelerator, or None if its rated power is unknown.

        Args:
            decode: power in decode steps as a share of the rated power.
            busy: share of the time in which the accelerators for prefills compute.
        """
        if self.watts is not None:
            return Power(self.watts, self.watts, 0.0, f"{self.watts:g} W as set")
        if self.rated is None:
            return None
        idle, full = self.shares["idle"], self.shares["prefill"]
        prefill = idle + (full - idle) * busy
        source = f"{prefill:.0%} of the rated {self.rated} W in prefills, {decode:.0%} in decode steps"
        return Power(self.rated * prefill, self.rated * decode, self.shares["error"], source)


@record
class Money:
    """Price and energy of the tokens of a deployment.

    Attributes:
        gpus: number of accelerators.
        isl: input tokens of a request.
        osl: output tokens of a request.
        requests_per_s: requests per second.
        prefill_share: share of the accelerators' time that prefills take.
        width: ratio of an end of the interval of the throughput to the estimate.
        price: price of an accelerator per hour, or None if unknown.
        power: power of an accelerator, or None if unknown.
        api: price of an API to compare with, if given.
    """

    gpus: int
    isl: float
    osl: float
    requests_per_s: float
    prefill_share: float
    width: float
    price: Price | None
    power: Power | None
    api: ApiPrice | None = None

    def _hours(self, kind: str) -> float:
        """Return the accelerator-hours of a million tokens."""
        share, length = (self.prefill_share, self.isl) if kind == INPUT else (1 - self.prefill_share, self.osl)
        return self.gpus * share / (self.requests_per_s * length) * MILLION / HOUR

    def usd_per_million(self, kind: str) -> tuple[float, float] | None:
        """Return the lowest and highest price of a million input or output tokens, or None if unknown."""
        return self.price.within(self._hours(kind), self.width) if self.price else None

    def wh_per_million(self, kind: str) -> tuple[float, float, float] | None:
        """Return the lowest, the estimated and the highest energy of a million tokens in Wh, or None if unknown."""
        if self.power is None:
            return None
        energy = self._hours(kind) * (self.power.prefill if kind == INPUT else self.power.decode)
        error = 1 + self.power.error
        return energy / error / self.width, energy, energy * error * self.width

    @property
    def break_even_requests_per_s(self) -> tuple[float, float] | None:
        """Lowest and highest load from which own accelerators are cheaper than the API, in requests per second."""
        if self.api is None or self.price is None:
            return None
        request = (self.isl * self.api.input + self.osl * self.api.output) / MILLION
        low, high = (self.gpus * price / HOUR / request for price in (self.price.low, self.price.high))
        return low, high

    @property
    def break_even_utilisation(self) -> tuple[float, float] | None:
        """Share of the requests per second that the accelerators reach at this load. Above 1, the API is cheaper."""
        load = self.break_even_requests_per_s
        if load is None:
            return None
        return load[0] / self.requests_per_s / self.width, load[1] / self.requests_per_s * self.width

    def to_dict(self) -> dict[str, Any]:
        """Return the prices and energies as a plain dictionary."""
        found: dict[str, Any] = {}
        for kind in KINDS:
            found[f"usd_per_million_{kind}_tokens"] = self.usd_per_million(kind)
            found[f"wh_per_million_{kind}_tokens"] = self.wh_per_million(kind)
        power = self.power and self.power._asdict()
        names = ("break_even_requests_per_s", "break_even_utilisation") if self.api else ()
        return {
            **found, "prefill_share": self.prefill_share, "watts": power,
            **({"api_price": self.api._asdict()} if self.api else {}), **{name: getattr(self, name) for name in names},
        }  # fmt: skip


def token_prices(price: Price | None, tokens_per_s: float, width: float) -> tuple[float, float] | None:
    """Return the lowest and highest price of a million tokens in US dollars.

    Args:
        price: price of a GPU.
        tokens_per_s: estimated tokens per second of a GPU.
        width: ratio of an end of the interval of the time to the estimate.
    """
    return price.within(1e6 / tokens_per_s / HOUR, width) if price else None
