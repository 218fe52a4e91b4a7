"""Fit the exchange of tokens between the ranks of experts to the published measurements of DeepEP.

    python -m benchmarks.time.exchange [--write]

The measurements are those of ``docs/data/expert_exchange.csv``. Prints the errors with each number of ranks left out of
the fit. ``--write`` replaces ``llmcalc/data/efficiency/exchange.yaml``. Needs SciPy.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from llmcalc.kernels import exchange

from .fitting import Rows, Start, errors, fit, select
from .tables import device_of, figures

FOLDER = Path(__file__).parent.parent.parent
GPU, NODE, HIDDEN, CHOSEN, FP8, BF16 = "h800", 8, 7168, 8, 1 + 4 / 128, 2.0
STARTS = {"latency_us": Start(30, 1, 200), "network": Start(0.8, 0.3, 1), "link": Start(0.8, 0.3, 1)}
HEAD = """# Coefficients of the exchange of tokens in kernels/exchange.py, written by benchmarks/time/exchange.py.
# errors, error: mean and median absolute error in percent on numbers of ranks that were left out
source: "deepseek-ai/DeepEP, docs/legacy.md (MIT)"
"""


def read() -> Rows:
    """Return the measurements. A normal kernel sends to the stated number of nodes, and the bandwidth counts each."""
    rows = []
    for line in csv.DictReader((FOLDER / "docs/data/expert_exchange.csv").read_text("utf-8").splitlines()[1:]):
        ranks, token = int(line["ranks"]), int(line["tokens"]) * HIDDEN * (FP8 if line["kind"] == "dispatch" else BF16)
        nodes, is_low = ranks / NODE, line["mode"] == "low-latency"
        to_nodes, to_ranks = exchange.exchanged_copies(CHOSEN, nodes, NODE, is_low_latency=is_low)
        if not is_low:
            to_nodes = min(int(line["groups"]), nodes)
            to_ranks = exchange.distinct(to_nodes * NODE, CHOSEN)
            sent = token * (to_nodes if nodes > 1 else to_ranks)
        seconds = float(line["latency_us"]) * 1e-6 if is_low else sent / (float(line["gbytes_per_s"]) * 1e9)
        rows.append({"ranks": ranks, "nodes": nodes, "token": token, "to_nodes": to_nodes, "to_ranks": to_ranks,
                     "seconds": seconds, **figures(GPU)})  # fmt: skip
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}


def form(rows: Rows, c: Mapping[str, float]) -> np.ndarray:
    copies = rows["to_nodes"], rows["to_ranks"]
    return exchange.exchange(rows["token"], rows["nodes"], NODE, copies, device_of(rows), c)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time.exchange", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--write", action="store_true", help="replace the data file")
    given = parser.parse_args()
    rows = read()
    found = np.zeros(len(rows["seconds"]))
    for ranks in sorted(set(rows["ranks"])):
        own = rows["ranks"] == ranks
        found[own] = form(select(rows, own), fit(form, select(rows, ~own), STARTS))
        print(f"  {ranks:4.0f} ranks {errors(found[own], rows['seconds'][own])}")
    own = errors(found, rows["seconds"])
    print(f"  all        {own}")
    error = [round(own.mean, 1), round(own.median, 1)]
    entry = {**fit(form, rows, STARTS), "measurements": own.rows, "error": error}
    values = ", ".join(f"{name}: {value}" for name, value in entry.items())
    print(values)
    if given.write:
        places = "".join(f"  {place}:\n    fp8-block: {{{values}}}\n" for place in (GPU, "generic"))
        text = f"{HEAD}errors: {{ranks left out: {error}}}\ncoefficients:\n{places}"
        (FOLDER / "llmcalc/data/efficiency/exchange.yaml").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
