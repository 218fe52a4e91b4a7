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


def hours(in_fit: bool) -> Iterator[tuple[str, float, float]]:
    """Yield the name, the published hours and the predicted hours of each model. The published utilisation of its
    accelerator is that of its own run if ``in_fit``, and that of other runs otherwise.
    """
    for row in csv.DictReader(FILE.read_text("utf-8").splitlines()[1:]):
        if bool(row["in_fit"]) is in_fit:
            model = llmcalc.load(row["model"])
            known = published_fact(model, "accelerators")
            predicted = llmcalc.train(model, gpu=f"{row['gpu']}:{round(float(known.value)) if known else USUAL}").hours
            assert predicted is not None, row["model"]
            published = published_hours(model)
            assert published is not None, row["model"]
            yield f"{row['model']} on {row['gpu']}", published, predicted.mid


def hours_in_fit() -> Iterator[Row]:
    """The utilisation of each accelerator is that of the same run, or is derived from its hours."""
    for case, published, predicted in hours(in_fit=True):
        yield Row(case, published / KILO, predicted / KILO, "K hours")


def hours_of_others() -> Iterator[Row]:
    """The utilisation is the middle of the published range of each accelerator, which other runs reached. That of
    mixtures of experts follows from the operations of a step, on 1,024 accelerators if their number is unknown.
    """
    for case, published, predicted in hours(in_fit=False):
        yield Row(case, published / KILO, predicted / KILO, "K hours")


SECTIONS = {
    "Training hours of runs whose utilisation is used": Section(
        "training_hours.csv",
        hours_in_fit,
        "The published hours of some runs include restarts, evaluation or later stages of training.",
        "train",
        "hours days",
        "",
        in_fit=True,
    ),
    "Training hours of other runs": Section(
        "training_hours.csv",
        hours_of_others,
        "Predictions cover only computation at the utilisation of tuned runs. Published hours include restarts, "
        "evaluation and slower code, and can be several times as high, mainly for small models. Set `--mfu` if you "
        "know the utilisation of your code. Llama 3.2 was trained with the logits of larger models, which are not "
        "counted.",
        "train",
        "hours days",
        "",
    ),
}
