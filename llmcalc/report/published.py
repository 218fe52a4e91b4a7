"""Published figures next to ours: whether they agree, and if not, why."""

from __future__ import annotations

from typing import Any

from ..core.architecture import Expectation
from ..core.record import record
from .document import Cell, Column, Table
from .numbers import exact, human

COLUMNS = (
    Column("quantity", "name"),
    Column("published", "name"),
    Column("ours", "count"),
    Column("difference", "name", optional=1),
    Column("verdict"),
)
ATTRIBUTES = {"params": "total"}


@record
class Comparison:
    """A published figure and our value of the same quantity."""

    expectation: Expectation
    attribute: str
    ours: int

    @property
    def relative(self) -> float:
        """Relative difference of our value from the published figure."""
        value = self.expectation.value
        return (self.ours - value) / value if value else float(self.ours != 0)

    @property
    def within(self) -> bool:
        """Whether our value is within the figure's tolerance (its rounding)."""
        return abs(self.relative) <= self.expectation.tolerance

    @property
    def printed(self) -> str:
        """The figure as the publication prints it."""
        known = self.expectation
        if known.printed or not float(known.value).is_integer():
            return known.printed or str(known.value)
        number = int(known.value)
        return (known.tolerance and human(number)) or exact(number)

    @property
    def verdict(self) -> str:
        """Whether our value agrees with the source, and if not, why."""
        known = self.expectation
        if self.ours == known.value:
            text = f"matches exactly ({known.source})"
        elif self.within:
            text = f"within ±{100 * known.tolerance:.3g} % of {known.source}"
        else:
            text = f"differs from {known.source}"
        return f"{text}: {known.note}" if known.note else text

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        known = self.expectation
        return {
            "quantity": self.attribute,
            "printed": self.printed,
            "published": known.value,
            "ours": self.ours,
            "relative_difference": self.relative,
            "tolerance": known.tolerance,
            "within": self.within,
            "source": known.source,
            "note": known.note,
        }


def comparisons(result: Any, expect: tuple[Expectation, ...]) -> list[Comparison]:
    """All published figures for quantities that ``result`` has."""
    found = []
    for expectation in expect:
        attribute = ATTRIBUTES.get(expectation.quantity, expectation.quantity)
        ours = getattr(result, attribute, None) if attribute.isidentifier() else None
        if type(ours) is int:
            found.append(Comparison(expectation, attribute, ours))
    return found


def published_table(found: list[Comparison]) -> Table:
    """The published figures as a table."""
    return Table("published", COLUMNS, [_row(comparison) for comparison in found])


def _row(comparison: Comparison) -> tuple[Cell, ...]:
    name = comparison.attribute.replace("_", "-")
    difference = f"{100 * comparison.relative:+.2g} %" if comparison.relative else "none"
    return name, comparison.printed, comparison.ours, difference, comparison.verdict
