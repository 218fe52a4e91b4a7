"""Comparison of published figures and training facts with calculated values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..core.architecture import Architecture, Expectation, TrainingFact
from ..core.record import record
from ..core.type_names import Any
from ..data import table
from ..schema.facts import TRAINING_UNITS
from .document import Cell, Column, Table, columns, table_of
from .numbers import exact, human, readable

ATTRIBUTES = {"params": "total"}
TRAINING_COLUMNS = columns("training: name", "published: name", "unit: name 1", "source")


@record
class Comparison:
    """A published figure and the calculated value of the same quantity."""

    expectation: Expectation
    attribute: str
    ours: int

    @property
    def relative(self) -> float:
        """Relative difference between the calculated value and the published figure."""
        value = self.expectation.value
        return (self.ours - value) / value if value else float(self.ours != 0)

    @property
    def within(self) -> bool:
        """Whether the calculated value is within the tolerance of the published figure."""
        return abs(self.relative) <= self.expectation.tolerance

    @property
    def printed(self) -> str:
        """Published figure as printed in the source."""
        known = self.expectation
        if known.printed or not float(known.value).is_integer():
            return known.printed or str(known.value)
        number = int(known.value)
        return (known.tolerance and human(number)) or exact(number)

    @property
    def verdict(self) -> str:
        """Result of the comparison as text, including any explanatory note."""
        known = self.expectation
        if self.ours == known.value:
            text = f"matches exactly ({known.source})"
        elif self.within:
            text = f"within ±{100 * known.tolerance:.3g} % of {known.source}"
        else:
            text = f"differs from {known.source}"
        return f"{text}: {known.note}" if known.note else text

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data."""
        known = self.expectation
        return {
            "quantity": self.attribute, "printed": self.printed, "published": known.value, "ours": self.ours,
            "relative_difference": self.relative, "tolerance": known.tolerance, "within": self.within,
            "source": known.source, "note": known.note,
        }  # fmt: skip


def comparisons(result: Any, expect: tuple[Expectation, ...]) -> Iterator[Comparison]:
    """Compare each published figure with the corresponding integer attribute of ``result``, if there is one."""
    for expectation in expect:
        attribute = ATTRIBUTES.get(expectation.quantity, expectation.quantity)
        ours = getattr(result, attribute, None) if attribute.isidentifier() else None
        if type(ours) is int:
            yield Comparison(expectation, attribute, ours)


def published_table(found: Iterable[Comparison]) -> Table:
    """Build a table that compares published figures with calculated values."""
    return table_of("published", found, {
        "quantity: name": lambda one: one.attribute.replace("_", "-"), "published: name": "printed",
        "ours: count": "ours",
        "difference: name 1": lambda one: f"{100 * one.relative:+.2g} %" if one.relative else "none",
        "verdict": "verdict",
    })  # fmt: skip


def training_table(architecture: Architecture, title: str = "training, as published") -> Table:
    """Return a table of training facts ordered by quantity, which has no rows if no facts are published."""
    facts = sorted(architecture.facts, key=lambda fact: list(TRAINING_UNITS).index(fact.quantity))
    return Table(title, TRAINING_COLUMNS, [_fact_row(fact) for fact in facts])


def training_comparison(architecture: Architecture, ours: Mapping[str, str]) -> Table:
    """Return a table of published and calculated values, which has no rows if no values are published."""
    facts = training_table(architecture)
    rows = [(*row[:2], ours.get(str(row[0]), ""), *row[2:]) for row in facts.rows]
    return Table(facts.title, (*TRAINING_COLUMNS[:2], Column("ours", "name"), *TRAINING_COLUMNS[2:]), rows)


def _fact_row(fact: TrainingFact) -> tuple[Cell, ...]:
    name = fact.quantity.removeprefix("training_").replace("_", " ")
    source = fact.source if fact.confirmed else f"{fact.source} (unverified)"
    return name, _fact_value(fact), TRAINING_UNITS[fact.quantity], f"{source}: {fact.note}" if fact.note else source


def _fact_value(fact: TrainingFact) -> str:
    if fact.printed or isinstance(fact.value, str):
        return fact.printed or str(fact.value)
    number = fact.value
    if number != int(number):
        return f"{number:g}"
    return exact(number) if isinstance(number, int) else readable(int(number), "")


def cite(source: str) -> str:
    """Append the full reference to a source such as ``brown2020 Table 2.1`` if its first word is a citation key."""
    entry = table("sources").get(source.split(" ", 1)[0].rstrip(",;:"))
    if entry is None:
        return source
    text = ", ".join(str(value) for value in entry.values()) if isinstance(entry, dict) else str(entry)
    return f"{source} ({text})"
