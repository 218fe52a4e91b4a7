"""What is published of a training run, as a table: tokens, compute, accelerators and hours, each with its source."""

from __future__ import annotations

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
    """The facts of a model's training, in the order of their quantities; None if nothing is published."""
    order = list(TRAINING_UNITS)
    facts = sorted(architecture.facts, key=lambda fact: order.index(fact.quantity))
    return Table("training, as published", COLUMNS, [_row(fact) for fact in facts]) if facts else None


def _row(fact: TrainingFact) -> tuple[Cell, ...]:
    name = fact.quantity.removeprefix("training_").replace("_", " ")
    doubt = "" if fact.confirmed else " (not confirmed)"
    source = f"{fact.source}{doubt}"
    return name, _value(fact), TRAINING_UNITS[fact.quantity], f"{source}: {fact.note}" if fact.note else source


def _value(fact: TrainingFact) -> str:
    if fact.printed or isinstance(fact.value, str):
        return fact.printed or str(fact.value)
    number = fact.value
    if number != int(number):
        return f"{number:g}"
    return exact(int(number)) if isinstance(number, int) else human(int(number)) or exact(int(number))
