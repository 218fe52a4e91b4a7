"""Fit the shares of the int8 and fp16 peaks that llama.cpp's products reach at most on each generation of GPUs.

    python -m benchmarks.time.computing

The shares are fitted to ``docs/data/latency_llama_cpp_prefill_fit.csv`` and judged by ``latency_llama_cpp_prefill.csv``
(docs/accuracy.md). Prints each share, and the errors of GPUs that are left out of the fit.
"""

from __future__ import annotations

import csv
from math import exp, log
from pathlib import Path
from statistics import mean, median

import llmcalc

FILE = Path(__file__).parent.parent.parent / "docs" / "data" / "latency_llama_cpp_prefill_fit.csv"


def read() -> dict[str, list[tuple[float, float, float]]]:
    """Return the seconds of products at the peak, the other seconds and the measured ones, by generation and format."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for row in csv.DictReader(FILE.read_text("utf-8").splitlines()[1:]):
        own = llmcalc.latency(
            row["model"], row["gpu"], mode="prefill", seq=int(row["seq"]), weights=row["weights"], engine=row["engine"]
        )
        name = "fp16" if row["weights"] == "fp16" else "int8"
        rate = own.model.engine.computing_rate(own.accelerator, row["weights"])
        share = own.model.engine.computing[own.accelerator.generation][name]
        step, _ = own.steps[0]
        bound = sum(
            each.count * cost.seconds
            for each, cost in step.operations
            if cost.seconds and abs(cost.flops / rate / cost.seconds - 1) < 1e-6
        )
        sizes = bound * share, own.seconds - bound, float(row["seconds"])
        found.setdefault(f"{own.accelerator.generation}, {name}", []).append(sizes)
    return found


def fit(rows: list[tuple[float, float, float]]) -> float:
    """Return the share with which the products take what is measured beside the others, as a geometric mean."""
    return exp(mean(log(products / (measured - others)) for products, others, measured in rows))


def main() -> None:
    errors = list[float]()
    for generation, rows in read().items():
        print(f"{generation}: {fit(rows):.2f} ({len(rows)} rows)")
        for place, (products, others, seconds) in enumerate(rows):
            if len(rows) > 1:
                left_out = fit([*rows[:place], *rows[place + 1 :]])
                errors.append(abs((products / left_out + others) / seconds - 1))
    print(f"GPU left out: mean {mean(errors):.1%}, median {median(errors):.1%}")


if __name__ == "__main__":
    main()
