"""Formatting of modelled figures, their ranges and the assumptions behind them."""

from __future__ import annotations

from ..core.errors import spelled
from ..estimate.cost import Machine, Span
from ..estimate.training_run import Price
from .document import Fact
from .numbers import about, human, percent

DOLLARS = "US dollars"


def span_fact(label: str, span: Span, unit: str, what: str = "") -> Fact:
    """Return a fact with the middle value of a span. If the low and high values differ, a note states the range."""
    ends = "" if span.low == span.high else span_text(span.low, span.high)
    return Fact(label, four_digits(span.mid), unit, ", ".join(filter(None, (ends, what))))


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
    if price.low == price.high and round(cost[0]) == round(cost[1]):
        return Fact("cost", four_digits(cost[0]), DOLLARS, f"at {price.low:,.2f} per hour")
    return Fact("cost", span_text(*cost), DOLLARS, f"at {price.low:,.2f} to {price.high:,.2f} per hour")


def machine_line(machine: Machine) -> str:
    """Return a line such as ``machine: 8 × NVIDIA H100 SXM5 80GB · bf16, dense peak 989.4 T FLOP/s · MFU 41.0 %``."""
    low, mid, high = machine.mfu
    ends = "" if low == high else f" ({percent(low)} to {percent(high)})"
    peak = f"{machine.number_format}, dense peak {about(machine.peak, '')} FLOP/s"
    return f"machine: {machine.count} × {machine.accelerator.title} · {peak} · MFU {percent(mid)}{ends}"


def assumptions(machine: Machine | None, price: Price | None) -> tuple[str, ...]:
    """Return notes on the sources of the utilisation and the price."""
    if machine is None:
        return ()
    lines = [f"assumed: MFU of {machine.accelerator.title} in {machine.number_format}, {machine.mfu_source}"]
    if price is not None:
        lines.append(f"assumed: price per accelerator-hour in US dollars, {price.source}")
    return tuple(lines)
