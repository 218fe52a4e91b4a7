"""Training budgets, converted between FLOPs, days, accelerator-hours and US dollars."""

from __future__ import annotations

from typing import Any

from ..core.errors import InputError
from ..core.record import record
from ..estimate.amounts import HOURS_A_DAY
from ..estimate.cost import AS_GIVEN, Machine, Span
from ..estimate.prices import Price, price_of
from .published_runs import shares_of_runs
from .result import ends

MOST_WRITTEN = 10**12  # larger amounts are written with an exponent


@record
class Budget:
    """A training budget in accelerator-hours and model FLOPs.

    Attributes:
        said: the budget as entered by the user.
        share: hours of a run as a multiple of those at the utilisation, such as those of published runs.
    """

    said: str
    machine: Machine
    hours: Span
    flops: Span
    price: Price | None
    share: float = 1.0

    @property
    def cost(self) -> tuple[float, float] | None:
        """Cost range in US dollars."""
        return self.price.of(self.hours) if self.price else None

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        return {
            "said": self.said, "machine": self.machine.to_dict(), "hours": self.hours._asdict(),
            "flops": self.flops._asdict(), "share": self.share,
            "price": self.price._asdict() if self.price else None,
            "cost": ends(self.cost),
        }  # fmt: skip


def budget(
    of: Machine,
    *,
    compute: float | None = None,
    days: float | None = None,
    hours: float | None = None,
    dollars: float | None = None,
    price: float | None = None,
) -> Budget:
    """Convert a training budget between FLOPs, days, accelerator-hours and US dollars on a machine.

    Published runs took longer than their utilisation says, so a published utilisation holds for a part of the time.
    """
    budgets = {"compute": compute, "days": days, "gpu-hours": hours, "dollars": dollars}
    amounts = [(name, value) for name, value in budgets.items() if value]
    if len(amounts) != 1:
        what = f"{amounts[0][0]} and {amounts[1][0]} cannot be combined" if amounts else "no budget"
        hint = "set one amount: {compute}, {days}, {hours} or {dollars}"
        raise InputError(what, parameter="" if amounts else "gpu", hint=hint)
    (name, amount), on = amounts[0], f"{of.count} × {of.accelerator.name}"
    cost = price_of(of.accelerator, price)
    shares = shares_of_runs() if of.mfu_source != AS_GIVEN else None
    longer = shares.mid if shares else 1.0
    if name == "compute":
        said, spent = f"{about(amount)} FLOPs on {on}", of.hours(amount).times(longer)
        return Budget(said, of, spent, Span(amount, amount, amount), cost, longer)
    if name == "days":
        said, worked = f"{amount:g} days on {on}", amount * HOURS_A_DAY * of.count
    elif name == "gpu-hours":
        said, worked = f"{about(amount)} accelerator-hours of {of.accelerator.name}", amount
    elif price is None:
        listed = f" (quoted: {of.accelerator.price})" if of.accelerator.price else ""
        hint = f"set the price per accelerator-hour, such as {{price=2.50}}{listed}"
        raise InputError("requires a price", parameter="dollars", hint=hint)
    else:
        said, worked = f"{about(amount)} US dollars of {of.accelerator.name}", amount / price
    return Budget(said, of, Span(worked, worked, worked), of.flops(worked / longer), cost, longer)


def about(amount: float) -> str:
    """Format an amount, using an exponent for large values.

    >>> about(1e6), about(5.76e23)
    ('1,000,000', '5.76e+23')
    """
    return f"{amount:,.0f}" if amount < MOST_WRITTEN else f"{amount:.4g}"
