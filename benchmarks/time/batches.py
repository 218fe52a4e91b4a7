"""Fit how llama.cpp reads weights, and cross-validate the times of single batches.

    python -m benchmarks.time.batches FILE ... [--predictions OUT] [--write]

Each line of the files (JSON lines, optionally compressed) is a measurement: ``model``, ``arguments`` of
``llmcalc.latency``, and ``measured`` with ``seconds``. ``clean`` is false for rows that can't be right. If the share of
the bandwidth is fitted, prints the errors with each accelerator left out of the fit. Prints the deviations that give
intervals. ``--write`` replaces them in ``llmcalc/data/time_errors.yaml``. Needs SciPy.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

import llmcalc
from llmcalc.kernels.efficiencies import efficiencies

from .fitting import errors
from .intervals import coverage, inside_share, two_variances, write_errors

ENGINE, VENDOR = "llama.cpp", "NVIDIA"
USUAL = efficiencies().coefficients("gemm", "rtx-pro-6000-server", "bf16").values["memory"]  # share of the bandwidth
SPREAD = 0.05  # logarithmic deviation of the share from that of measured kernels
NOISE = 0.12  # logarithmic error of a deployment


class Rows:
    """Measurements, with the estimated times, and how much of them is the time of reading weights."""

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        count = len(records)
        self.reading, self.others = np.zeros(count), np.zeros(count)
        self.measured = np.array([record["measured"]["seconds"] for record in records])
        self.clean = np.array([record.get("clean", True) for record in records])
        names = [(record["model"], record["arguments"]) for record in records]
        self.accelerator = np.array([own["gpu"].partition(":")[0] for _, own in names])
        self.deployment = np.array([f"{model} {own['gpu']} {own['engine']} {own['weights']}" for model, own in names])
        for place, (model, own) in enumerate(names):
            found = llmcalc.latency(model, **own)
            share = found.model.engine.reading_share("", found.accelerator)
            if share:
                step = found.steps[0][0]
                read = sum(
                    operation.count * cost.seconds
                    for operation, cost in step.operations
                    if cost.seconds and abs(cost.memory / cost.seconds / share - 1) < 1e-6
                )
                self.reading[place] = read * share
            self.others[place] = found.seconds - self.reading[place] / (share or 1)

    def seconds(self, share: float) -> np.ndarray:
        return self.reading / share + self.others

    def fit(self, chosen: np.ndarray) -> float:
        """Return the share of the bandwidth at which weights are read, from the median of each deployment.

        Users publish slow times of unusual settings, which count little.
        """
        chosen = chosen & self.clean
        groups = [chosen & (self.deployment == name) for name in sorted(set(self.deployment[chosen]))]

        def deviations(share: np.ndarray) -> np.ndarray:
            found = np.log(self.seconds(np.exp(share[0])) / self.measured)
            medians = [np.median(found[group]) / NOISE for group in groups]
            return np.array([*medians, (share[0] - np.log(USUAL)) / SPREAD])

        return float(np.exp(least_squares(deviations, [np.log(USUAL)], loss="cauchy").x[0]))

    def leave_out(self) -> np.ndarray:
        """Return the times of each accelerator from a fit to the others."""
        found = np.zeros(len(self.measured))
        for name in sorted(set(self.accelerator)):
            own = self.accelerator == name
            share = self.fit(~own)
            found[own] = self.seconds(share)[own]
            errors_of = errors(found[own & self.clean], self.measured[own & self.clean])
            print(f"  {name:20s} left out, share {share:.3f}   clean {errors_of}")
        return found


def read(file: Path) -> list[dict[str, Any]]:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time.batches", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--predictions", type=Path)
    parser.add_argument("--write", action="store_true", help="replace the deviations in the data file")
    given = parser.parse_args()
    for file in given.files:
        rows = Rows(read(file))
        everything = np.ones(len(rows.measured), bool)
        is_fitted = rows.reading.any()
        if is_fitted:
            print(f"reading: {{{VENDOR.lower()}: {rows.fit(everything):.2f}}}")
        found = rows.leave_out() if is_fitted else rows.seconds(1.0)
        print(f"{file.name:34s} {errors(found, rows.measured)}")
        clean = (found[rows.clean], rows.measured[rows.clean], rows.deployment[rows.clean])
        print(f"  {'clean':32s} {errors(*clean[:2])}")
        share, width = coverage(*clean, inside_share)
        print(f"  covered {share:.2f}, median width x/÷{width:.2f}, by the deviations of other deployments")
        name = f"latency of {ENGINE}" if is_fitted else "latency"
        write_errors({name: two_variances(*clean, inside_share)}, is_written=given.write)
        if given.predictions and is_fitted:
            with given.predictions.open("w", encoding="utf-8") as stream:
                for place, value in enumerate(found):
                    own = {"file": file.name.partition(".")[0], "row": place, "what": "seconds", "value": value}
                    stream.write(json.dumps(own) + "\n")


if __name__ == "__main__":
    main()
