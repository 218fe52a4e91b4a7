"""Compute-optimal sizes that a scaling law's publication prints, and those of the law."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from measurements import Row, Section

from llmcalc.estimate.scaling.law import Conditions
from llmcalc.inputs.laws import law

BILLION = 10**9
FILE = Path(__file__).resolve().parent / "data" / "chinchilla_table_a3.csv"


def optimal_sizes() -> Iterator[tuple[str, float, float]]:
    """Yield the law and the budget, the published optimal number of parameters, and that of the law."""
    for row in csv.DictReader(FILE.read_text("utf-8").splitlines()[1:]):
        size = float(row["parameters"])
        for name in ("hoffmann-1", "hoffmann-2", "hoffmann-3-table"):
            optimum, _ = law(name).of(Conditions()).optimum(float(row[name]))
            yield f"{name}, {float(row[name]):.3g} FLOPs", size, optimum


def chinchilla_sizes() -> Iterator[Row]:
    """The laws hoffmann-1, hoffmann-2 and hoffmann-3-table are the three approaches of the publication."""
    for case, published, predicted in optimal_sizes():
        yield Row(case, published / BILLION, predicted / BILLION, "B")


SECTIONS = {
    "Compute-optimal sizes of Chinchilla's three approaches": Section(
        "chinchilla_table_a3.csv",
        chinchilla_sizes,
        "The row of 67B contradicts itself: 6·67B·1.5T is 6.03e23 FLOPs.",
        "scale",
        "parameters",
        "",
        in_fit=True,
    ),
}
