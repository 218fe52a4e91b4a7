"""Formatting of modelled figures, their ranges and the assumptions behind them."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.errors import spelled
from ..core.type_names import TYPE_CHECKING
from ..estimate.cost import MEASURED
from .document import Fact
from .numbers import about, ends_text, human, percent

if TYPE_CHECKING:
    from ..estimate.cost import Machine, Span
    from ..estimate.prices import Price

SMALLEST_SHORT, LARGEST_SHORT = 10_000, 1e15  # other values are printed without a suffix
LARGEST_IN_CENTS = 10**9  # larger prices are written with an exponent


def span_fact(label: str, span: Span) -> Fact:
    """Return a fact with the range of an estimate, and with its middle value in the note."""
    text = range_text(span.low, span.high)
    return Fact(label, text, "", "" if span.low == span.high else f"middle {three_digits(span.mid)}")


def range_text(low: float, high: float, prefix: str = "") -> str:
    """Format a range with three digits, or a single value if both ends look the same.

    >>> range_text(12_040_000, 61_190_000, "$"), range_text(2.5, 2.5, "$"), range_text(310.04, 383.44)
    ('$12.0M to $61.2M', '$2.50', '310 to 383')
    """
    return ends_text(*(f"{prefix}{three_digits(value)}" for value in (low, high)))


def three_digits(value: float) -> str:
    """Format an estimate with three digits, and with a suffix (K, M, B or T) or an exponent from 10,000.

    >>> three_digits(61_194_000), three_digits(9876.5), three_digits(0.0214), three_digits(999_950), three_digits(1e17)
    ('61.2M', '9,876', '0.0214', '1.00M', '1.00e17')
    """
    size = float(f"{value:.3g}")
    if size >= LARGEST_SHORT:
        return f"{size:.2e}".replace("e+", "e")
    for scale, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if size >= max(scale, SMALLEST_SHORT):
            return f"{size / scale:.{2 - len(str(int(size / scale))) + 1}f}{letter}"
    return f"{value:,.{max(3 - len(str(int(size))), 0)}f}" if size >= 1 else f"{size:g}"


def six_digits(value: float) -> float:
    """Round a modelled value to six significant digits.

    >>> six_digits(1234567.8)
    1234570.0
    """
    return float(f"{value:.6g}")


def span_text(low: float, high: float) -> str:
    """Format a range such as ``2.990 M to 14.00 M``."""
    return f"{four_digits(low)} to {four_digits(high)}"


def four_digits(value: float) -> str:
    """Format a modelled value with four significant digits.

    >>> four_digits(375.5064), four_digits(4613962.7)
    ('375.5', '4.614 M')
    """
    return human(round(value)) or f"{value:.4g}"


def cost_fact(cost: tuple[float, float] | None, price: Price | None) -> Fact:
    """Return a fact with the cost, or with a hint to set a price if the cost is unknown."""
    if cost is None or price is None:
        return Fact("cost", "not known", "", spelled("set the price per accelerator-hour, such as {price=2.50}"))
    ends = (f"${one:,.2f}" if one < LARGEST_IN_CENTS else f"${three_digits(one)}" for one in (price.low, price.high))
    return Fact("cost", range_text(*cost, "$"), "", f"at {ends_text(*ends)} per hour")


def machine_line(machine: Machine) -> str:
    """Return a line such as ``machine: 8 × NVIDIA H100 SXM5 80GB · bf16, dense peak 989.4 T FLOP/s · MFU 41.0 %``."""
    low, mid, high = machine.mfu
    ends = "" if low == high else f" ({percent(low)} to {percent(high)})"
    peak = f"{machine.number_format}, dense peak {about(machine.peak, '')} FLOP/s"
    return f"machine: {machine.count} × {machine.accelerator.title} · {peak} · MFU {percent(mid)}{ends}"


def evidence_notes(quantity: str, value: str, mode: str = "") -> tuple[str, ...]:
    """Return a note with the error of a modelled value, or nothing if the value was never measured."""
    from ..inputs.measurements import errors_of, median

    for kind, in_fit in (("modelled", False), ("fitted", True)):
        if errors := errors_of(quantity, value, mode, in_fit=in_fit):
            size = f"median error {100 * median(errors):.2g} % on {len(errors)} measurements"
            return (f"{kind}: {value}, {size} (llmcalc evidence {quantity})",)
    return ()


def assumptions(machine: Machine | None, price: Price | None) -> Iterator[str]:
    """Yield notes on the sources of the utilisation and the price."""
    if machine is not None:
        if machine.mfu_source != MEASURED:
            yield f"assumed: MFU of {machine.accelerator.title} in {machine.number_format}, {machine.mfu_source}"
        if price is not None:
            yield f"assumed: price per accelerator-hour in US dollars, {price.source}"
