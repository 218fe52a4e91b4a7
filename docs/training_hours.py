"""Published accelerator-hours of training runs, and the hours that ``train`` predicts for them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from measurements import Row, Section

import llmcalc
from llmcalc.training.published_runs import published_fact, published_hours

FILE = Path(__file__).resolve().parent / "data" / "training_hours.csv"
KILO = 10**3
USUAL = 1024  # accelerators


def hours() -> Iterator[Row]:
    """Hours of the steps of any program on the fastest of the usual layouts, on 1,024 accelerators if their number is
    unknown. Those of models with two stacks follow from published utilisation.
    """
    for row in csv.DictReader(FILE.read_text("utf-8").splitlines()[1:]):
        model = llmcalc.load(row["model"])
        known, published = published_fact(model, "accelerators"), published_hours(model)
        predicted = llmcalc.train(model, gpu=f"{row['gpu']}:{round(float(known.value)) if known else USUAL}").hours
        assert predicted is not None, row["model"]
        assert published is not None, row["model"]
        yield Row(f"{row['model']} on {row['gpu']}", published / KILO, predicted.mid / KILO, "K hours")


SECTIONS = {
    "Training hours of published runs": Section(
        "training_hours.csv",
        hours,
        "The published hours of some runs include restarts, evaluation or later stages of training. Layouts are not "
        "used.",
        "train",
        "hours days",
        "",
    ),
}
