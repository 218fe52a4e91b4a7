"""Published accelerator-hours of training runs, and the hours that ``train`` predicts for them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import llmcalc
from llmcalc.api.train import published_fact

FILE = Path(__file__).resolve().parent / "data" / "training_hours.csv"
HOURS_A_DAY = 24


def hours(in_fit: bool) -> Iterator[tuple[str, float, float]]:
    """Yield the name, the published hours and the predicted hours of each model. The published utilisation of its
    accelerator is that of its own run if ``in_fit``, and that of other runs otherwise.
    """
    for row in csv.DictReader(FILE.read_text("utf-8").splitlines()[1:]):
        if bool(row["in_fit"]) is in_fit:
            model = llmcalc.load(row["model"])
            predicted = llmcalc.train(model, machine=row["gpu"]).hours
            assert predicted is not None, row["model"]
            yield f"{row['model']} on {row['gpu']}", _published(model), predicted.mid


def _published(model: llmcalc.Architecture) -> float:
    """Return the published hours, or the product of accelerators and days."""
    facts = {name: published_fact(model, name) for name in ("accelerator_hours", "accelerators", "training_days")}
    values = {name: float(fact.value) for name, fact in facts.items() if fact is not None}
    return values.get("accelerator_hours") or values["accelerators"] * values["training_days"] * HOURS_A_DAY
