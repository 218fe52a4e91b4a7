"""Published training facts as a table: tokens, compute, accelerators and hours, each with its source."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.architecture import Architecture, TrainingFact
from ..schema.facts import TRAINING_UNITS
from .document import Cell, Column, Table
from .numbers import exact, human

COLUMNS = (
    Column("training", "name"),
    Column("published", "name"),
    Column("unit", "name", optional=1),
    Column("source"),
)


def training_table(architecture: Architecture) -> Table | None:
    """The training facts of a model, ordered by quantity; None if nothing is published."""
    order = list(TRAINING_UNITS)
    facts = sorted(architecture.facts, key=lambda fact: order.index(fact.quantity))
    return Table("training, as published", COLUMNS, [_row(fact) for fact in facts]) if facts else None


def beside(architecture: Architecture, ours: Mapping[str, str]) -> list[Table]:
    """The facts with our values where we have them; no table if nothing is published."""
    table = training_table(architecture)
    if table is None:
        return []
    rows = [(*row[:2], ours.get(str(row[0]), ""), *row[2:]) for row in table.rows]
    return [Table(table.title, (*COLUMNS[:2], Column("ours", "name"), *COLUMNS[2:]), rows)]


def _row(fact: TrainingFact) -> tuple[Cell, ...]:
    name = fact.quantity.removeprefix("training_").replace("_", " ")
    doubt = "" if fact.confirmed else " (unverified)"
    source = f"{fact.source}{doubt}"
    return name, _value(fact), TRAINING_UNITS[fact.quantity], f"{source}: {fact.note}" if fact.note else source


def _value(fact: TrainingFact) -> str:
    if fact.printed or isinstance(fact.value, str):
        return fact.printed or str(fact.value)
    number = fact.value
    if number != int(number):
        return f"{number:g}"
    return exact(int(number)) if isinstance(number, int) else human(int(number)) or exact(int(number))
