"""Fit the coefficients of training steps to published throughput, and judge them on sources that were left out.

    python -m benchmarks.time.training [--write]

The rows are those of ``docs/data/training_steps_*.csv``. Times are linear in both coefficients, except where
collectives take longer than the computation that hides them. The fit minimises the mean absolute logarithmic error,
in which all sources, and the generations of accelerators of each, have the same weight. Prints the errors of each
source with the coefficients of the others, beside those of the published utilisation. ``--write`` replaces
``llmcalc/data/training_time.yaml``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import llmcalc
from llmcalc.estimate.amounts import SECONDS_AN_HOUR
from llmcalc.training.kernels import TrainingCoefficients

from .intervals import inside_share, two_variances

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "llmcalc" / "data" / "training_time.yaml"
sys.path.insert(0, str(ROOT / "docs"))

from training_steps import SOURCES, estimated, model, read  # noqa: E402

SUSTAINED, OPERATION_US = np.arange(1.0, 2.0, 0.01), np.arange(0.0, 100.0, 1.0)
GENERATION = re.compile(r"[a-z]+\d")  # such as h1 and h2, a1, b2 and gb2
EXAMPLES = ((1.0, 0.0), (2.0, 0.0), (1.0, 50.0))


class Steps:
    """Published steps, and their estimated times as a linear function of the coefficients."""

    def __init__(self) -> None:
        self.rows = [(source, row) for source in SOURCES for row in read(source)]
        self.source = np.array([source for source, _ in self.rows])
        self.group = np.array([f"{source} {GENERATION.match(row['gpu'])[0]}" for source, row in self.rows])
        found = [[estimated(row, TrainingCoefficients(*each)) for each in EXAMPLES] for _, row in self.rows]
        times = np.array([[each.step.seconds for each in own] for own in found])
        self.base = times[:, 0]
        self.slopes = times[:, 1] - times[:, 0], (times[:, 2] - times[:, 0]) / EXAMPLES[2][1]
        tokens = np.array([own[0].tokens / own[0].gpus for own in found])
        self.measured = tokens / np.array([float(row["tokens_per_s"]) for _, row in self.rows])

    def seconds(self, coefficients: tuple[float, float]) -> np.ndarray:
        return self.base + (coefficients[0] - 1) * self.slopes[0] + coefficients[1] * self.slopes[1]

    def fit(self, chosen: np.ndarray) -> tuple[float, float]:
        """Return the coefficients with the smallest error of the chosen rows."""
        names, sizes = np.unique(self.group[chosen], return_counts=True)
        weights = 1 / np.array([dict(zip(names, sizes, strict=True))[name] for name in self.group[chosen]])

        def loss(own: tuple[float, float]) -> float:
            return float((weights * np.abs(np.log(self.seconds(own) / self.measured)[chosen])).sum())

        return min(((float(s), float(us)) for s in SUSTAINED for us in OPERATION_US), key=loss)


def kind_of(row: Mapping[str, str]) -> str:
    """Return the class in which a row is judged."""
    return "mixtures" if int(row["ep"]) > 1 else "16-bit" if row["precision"] == "bf16" else "8-bit"


def by_published(row: Mapping[str, str]) -> float | None:
    """Return the seconds of a step by the published utilisation of other runs, or None if there is none."""
    precision = {"mxfp8": "fp8"}.get(row["precision"], row["precision"])
    try:
        machine = llmcalc.machine(f"{row['gpu']}:{row['gpus']}", precision=precision)
    except llmcalc.InputError:
        return None
    run = llmcalc.flops(model(row["model"]), seq=int(row["seq"]), batch=int(row["batch"]), mode="train",
                        attention="dense" if machine.mfu_count == "dense" else "causal", extend=True)  # fmt: skip
    return machine.hours(run.matmul).mid * SECONDS_AN_HOUR / machine.count


def error(found: np.ndarray) -> float:
    """Return the median absolute error of the throughput in percent."""
    return 100 * float(np.median(np.abs(found)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the data file")
    written = parser.parse_args().write
    steps = Steps()
    found, left_out = np.zeros(len(steps.rows)), dict[str, tuple[float, float]]()
    for source in SOURCES:
        own = steps.source == source
        left_out[source] = steps.fit(~own)
        found[own] = steps.seconds(left_out[source])[own]
    kinds = np.array([kind_of(row) for _, row in steps.rows])
    published = np.array([by_published(row) or np.nan for _, row in steps.rows])
    known = ~np.isnan(published) & ~((steps.source == "megatron_bridge") & (kinds == "8-bit"))  # source of the figures
    ours, theirs = steps.measured / found - 1, steps.measured / published - 1
    for source in SOURCES:
        for kind in ("16-bit", "8-bit", "mixtures"):
            own = (steps.source == source) & (kinds == kind)
            if own.any():
                other = f"{error(theirs[own & known]):6.1f} %" if (own & known).any() else "  none"
                bias = 100 * np.median(ours[own])
                print(
                    f"{source:16} {kind:9}{own.sum():4} rows {error(ours[own]):5.1f} % ({bias:+.1f})  published {other}"
                )
    judged = {
        kind: (error(ours[kinds == kind]), error(theirs[(kinds == kind) & known])) for kind in dict.fromkeys(kinds)
    }
    between, inside = two_variances(found, steps.measured, steps.group, inside_share)
    width = np.exp(1.2816 * np.hypot(between, inside))
    covered = np.mean(np.abs(np.log(found / steps.measured)) <= np.log(width))
    print(
        f"between {between:.3f}, inside {inside:.3f}: {covered:.0%} of the intervals of ×{width:.2f} contain the time"
    )
    sustained, operation_us = steps.fit(np.ones(len(steps.rows), bool))
    values = {"sustained": f"{sustained:.2f}", "operation_us": f"{operation_us:.0f}", "between": f"{between:.3f}",
              "inside": f"{inside:.3f}"}  # fmt: skip
    values |= {
        f"  {kind}": f"{{operations: {one:.1f}, published: {other:.1f}}}" for kind, (one, other) in judged.items()
    }
    values |= {
        f"  {source}": f"{{sustained: {own[0]:.2f}, operation_us: {own[1]:.0f}}}" for source, own in left_out.items()
    }
    text = FILE.read_text("utf-8")
    for name, value in values.items():
        print(f"{name}: {value}")
        text = re.sub(rf"^{name}: .*$", f"{name}: {value}", text, flags=re.MULTILINE)
    if written:
        FILE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
