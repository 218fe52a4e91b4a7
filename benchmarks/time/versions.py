"""Fit what vLLM added to a step before version 0.8, in which one process scheduled all sequences and fed all ranks.

    python -m benchmarks.time.versions

Prints the microseconds of a step, of each sequence, and of each tensor-parallel rank after the first, and the errors on
the measurements that are not in the fit. The static batches are those of ``docs/data``. With multi-step scheduling, the
process runs once for 10 steps, so that the gain is 9/10 of its time. Needs SciPy.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

import llmcalc
from llmcalc.kernels.cost import ENGINE
from llmcalc.serving.step.engine_step import MICRO

from .fitting import errors

FOLDER = Path(__file__).parent.parent.parent / "docs" / "data"
# ranks, and tokens per second without and with multi-step scheduling (LambdaLabsML/vllm-benchmark, benchmark_v0.md)
GAINS = (
    (1, 3958.40, 8088.35), (4, 2291.0, 3542.88), (8, 1331.25, 1714.07),
)  # fmt: skip
SEQUENCES, STEPS = 256, 10  # of these measurements: running sequences, and steps that are scheduled together
STARTS, SPREADS = (1400, 30, 500), (1.0, 2.0, 2.0)  # usual microseconds, and logarithmic deviations from them
NOISE, GAIN_NOISE = 0.05, 0.25  # logarithmic errors


def batches(name: str) -> np.ndarray:
    """Return the seconds without the engine, steps, sequences, ranks and measured seconds of static batches."""
    rows = []
    for row in csv.DictReader((FOLDER / name).read_text("utf-8").splitlines()[1:]):
        sizes = {key: int(row[key]) for key in ("batch", "seq", "new_tokens")}
        found = llmcalc.latency(row["model"], row["gpu"], weights=row["weights"], engine="vllm", **sizes)
        without = sum(part.seconds for part in found.parts if part.name != ENGINE)
        rows.append((without, sizes["new_tokens"], sizes["batch"], found.count, float(row["seconds"])))
    return np.array(rows).T


def process(constants: np.ndarray, sequences: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the seconds of a step in which the process runs. ``constants`` are logarithmic."""
    step, sequence, rank = np.exp(constants) * MICRO
    return step + sequence * sequences + rank * (ranks - 1)


def seconds(constants: np.ndarray, rows: np.ndarray) -> np.ndarray:
    without, steps, sequences, ranks, _ = rows
    return without + steps * process(constants, sequences, ranks)


def main() -> None:
    rows, others = batches("latency_vllm_fit.csv"), batches("latency_vllm.csv")
    ranks, slow, fast = np.array(GAINS).T
    gains = SEQUENCES / slow - SEQUENCES / fast
    starts = np.log(STARTS)

    def deviations(constants: np.ndarray) -> np.ndarray:
        gained = process(constants, np.array(SEQUENCES), ranks) * (1 - 1 / STEPS)
        return np.concatenate([
            np.log(seconds(constants, rows) / rows[-1]) / NOISE, np.log(gained / gains) / GAIN_NOISE,
            (constants - starts) / SPREADS,
        ])  # fmt: skip

    constants = least_squares(deviations, starts, loss="soft_l1").x
    print("step_us: {:.0f}, sequence_us: {:.0f}, rank_us: {:.0f}".format(*np.exp(constants)))
    for name, each in {"in the fit": rows, "not in the fit": others}.items():
        print(f"{name:34s} {errors(seconds(constants, each), each[-1])}")


if __name__ == "__main__":
    main()
