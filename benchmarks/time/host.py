"""Fit how a host reads weights for llama.cpp: the share of the bandwidth, and the time of the way there and back.

    PYTHONPATH=docs python -m benchmarks.time.host

The fit is to the decode steps with a known memory in ``docs/data/latency_llama_cpp_host.csv``. Prints the values, and
the errors with each computer left out.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from host_errors import FILE, seconds, steps

from llmcalc.core.record import changed

SHARES, CROSSINGS = np.arange(0.4, 1.01, 0.05), np.arange(0, 321, 20) * 1e-6


def main() -> None:
    path = Path(__file__).parent.parent.parent / "docs" / "data" / FILE
    rows = [row for row in csv.DictReader(path.read_text("utf-8").splitlines()[1:]) if row["host_gb"]]
    models = [steps(row) for row in rows]
    measured = np.array([float(row["seconds"]) for row in rows])

    def predicted(share: float, crossing: float) -> np.ndarray:
        for model in models:
            model.host = changed(model.host, share=share, crossing=crossing)
        return np.array([seconds(model, row) for model, row in zip(models, rows, strict=True)])

    table = {(share, crossing): predicted(share, crossing) / measured for share in SHARES for crossing in CROSSINGS}

    def fit(chosen: np.ndarray) -> tuple[float, float]:
        return min(table, key=lambda values: float(np.sum(np.log(table[values][chosen]) ** 2)))

    share, crossing = fit(np.ones(len(rows), bool))
    print(f"share {share:.2f}, crossing {crossing * 1e6:.0f} us")
    computers = np.array([row["gpu"] for row in rows])
    left = np.zeros(len(rows))
    for computer in dict.fromkeys(computers):
        own = computers == computer
        left[own] = table[fit(~own)][own] - 1
        print(f"  {computer:12s} left out: {', '.join(f'{100 * each:+.1f} %' for each in left[own])}")
    print(f"mean {100 * np.mean(np.abs(left)):.1f} %")


if __name__ == "__main__":
    main()
