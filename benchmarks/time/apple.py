"""Fit how llama.cpp decodes on Apple silicon: the share of the bandwidth of one die and of two, and the gap of kernels.

    python -m benchmarks.time.apple

The fit is to ``docs/data/latency_apple_fit.csv``. Prints the values, and the errors with each chip left out.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

import llmcalc

FILE = Path(__file__).parent.parent.parent / "docs" / "data" / "latency_apple_fit.csv"
TWO_DIES = "ultra"


class Rows:
    """Measured steps, and what they take at the full bandwidth, per kernel and in other parts."""

    def __init__(self, file: Path) -> None:
        rows = list(csv.DictReader(file.read_text("utf-8").splitlines()[1:]))
        self.chips = np.array([row["gpu"] for row in rows])
        self.measured = np.array([float(row["seconds"]) for row in rows])
        parts = np.array([_parts(row) for row in rows]).T
        self.factors, self.others = np.stack([parts[0], parts[0] * self.has_two_dies, parts[1]], 1), parts[2]

    @property
    def has_two_dies(self) -> np.ndarray:
        """Whether a chip is two dies."""
        return np.char.find(self.chips, TWO_DIES) >= 0

    def fit(self, chosen: np.ndarray) -> np.ndarray:
        """Return the values with the least relative squares."""
        left = (self.factors / self.measured[:, None])[chosen]
        return np.linalg.lstsq(left, (1 - self.others / self.measured)[chosen], rcond=None)[0]

    def errors(self, values: np.ndarray) -> np.ndarray:
        """Return the relative errors."""
        return (self.factors @ values + self.others) / self.measured - 1


def _parts(row: dict[str, str]) -> tuple[float, float, float]:
    own = {name: row[name] for name in ("weights", "engine")}
    found = llmcalc.latency(row["model"], row["gpu"], context=int(row["context"]), **own)
    engine, (step, _) = found.model.engine, found.steps[0]
    share = engine.reading_share("", found.accelerator)
    read = sum(
        each.count * cost.seconds
        for each, cost in step.operations
        if cost.seconds and abs(cost.memory / cost.seconds / share - 1) < 1e-6
    )
    gap = engine.gap(found.accelerator, has_prefill=False, scheduled=False)
    return read * share, step.launches / gap, found.seconds - read - step.launches


def main() -> None:
    rows = Rows(FILE)
    one, two, gap = rows.fit(np.ones(len(rows.chips), bool))
    print(f"share of one die {1 / one:.3f}, of two {1 / (one + two):.3f}, gap {gap * 1e6:.2f} us")
    left = np.zeros(len(rows.chips))
    for chip in dict.fromkeys(rows.chips):
        own = rows.chips == chip
        left[own] = rows.errors(rows.fit(~own))[own]
        print(f"  {chip:20s} left out: {', '.join(f'{100 * each:+.1f} %' for each in left[own])}")
    print(f"mean {100 * np.mean(np.abs(left)):.1f} %, largest {100 * np.max(np.abs(left)):.1f} %")


if __name__ == "__main__":
    main()
