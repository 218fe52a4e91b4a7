"""Fit the share of the bandwidth at which llama.cpp reads weights on a generation of GPUs.

    python -m benchmarks.time.reading NAME

NAME is that of the data files. The share is fitted to ``docs/data/latency_NAME_fit.csv``, such as
``latency_strix_halo_fit.csv``, and judged by ``latency_NAME.csv``. Prints the share, the errors of models that are left
out of the fit, and those of the other measurements. Needs SciPy.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

import llmcalc

from .fitting import errors

FOLDER = Path(__file__).parent.parent.parent / "docs" / "data"
RANGE = (0.3, 1.0)


def read(name: str) -> np.ndarray:
    """Return the seconds of reading at the full bandwidth, the other seconds and the measured seconds."""
    rows = []
    for row in csv.DictReader((FOLDER / name).read_text("utf-8").splitlines()[1:]):
        own = {key: row[key] for key in ("weights", "experts", "engine") if row[key]}
        found = llmcalc.latency(row["model"], row["gpu"], context=int(row["context"]), **own)
        share = found.model.engine.reading_share("", found.accelerator)
        step, _ = found.steps[0]
        read = sum(
            each.count * cost.seconds
            for each, cost in step.operations
            if cost.seconds and abs(cost.memory / cost.seconds / share - 1) < 1e-6
        )
        rows.append((read * share, found.seconds - read, float(row["seconds"])))
    return np.array(rows).T


def seconds(share: float, rows: np.ndarray) -> np.ndarray:
    return rows[0] / share + rows[1]


def fit(rows: np.ndarray) -> float:
    def deviation(share: float) -> float:
        return float(np.sum(np.log(seconds(share, rows) / rows[2]) ** 2))

    return float(minimize_scalar(deviation, bounds=RANGE, method="bounded").x)


def main(name: str) -> None:
    rows, others = read(f"latency_{name}_fit.csv"), read(f"latency_{name}.csv")
    share = fit(rows)
    print(f"reading: {share:.2f}")
    left = [seconds(fit(np.delete(rows, place, 1)), rows[:, [place]])[0] for place in range(rows.shape[1])]
    print(f"{'model left out':34s} {errors(np.array(left), rows[2])}")
    print(f"{'other measurements':34s} {errors(seconds(share, others), others[2])}")


if __name__ == "__main__":
    main(sys.argv[1])
