"""Published throughput of prefills and decode steps on GPUs of their own, and what the steps of ``serve`` give."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from measurements import Row, Section

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.inputs.gpus import accelerators
from llmcalc.serving.step.step import step_values
from llmcalc.serving.step.step_models import step_model

FILE = Path(__file__).resolve().parent / "data" / "serving_phases.csv"


def throughputs() -> Iterator[Row]:
    """The ranks have different requests, and share the experts. A step has the stated batch on each rank."""
    for row in csv.DictReader(FILE.read_text("utf-8").splitlines()[1:]):
        batch, tokens, ranks = float(row["batch"]), float(row["tokens"]), int(row["ranks"])
        steps = step_model(
            llmcalc.load(row["model"]), accelerators()[row["gpu"]], Mesh(dp=ranks, ep=ranks, tp=1, etp=1), "sglang",
            weights=row["weights"] or None, two_batch_overlap=bool(row["two_batch_overlap"]),
        )  # fmt: skip
        queries = tokens if row["phase"] == "prefill" else 1.0
        values = step_values(batch, queries, tokens)
        step = steps.step(**{row["phase"]: values}, scheduled=True)
        case = f"{row['model']} on {ranks} {row['gpu']}, {row['phase']}, batch {batch:g} of {tokens:g}: {row['what']}"
        yield Row(case, float(row["tokens_per_s_gpu"]), float(batch * queries / step.seconds), "tokens/s per GPU")


SECTIONS = {
    "Prefills and decode steps of expert-parallel ranks": Section(
        "serving_phases.csv",
        throughputs,
        "Nothing is fitted to these rows. Deployments of DeepSeek-V3 overlap two batches. 288 experts with copies are "
        "computed as 256 on fewer ranks. Experts of random tokens are assumed, with no other imbalance. The online "
        "service has a changing load, which no estimate contains.",
        "serve",
        "requests_per_s",
        "requests",
    )
}
