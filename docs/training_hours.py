"""Published accelerator-hours of training runs, and the hours that ``train`` and ``step_time`` predict for them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from measurements import Row, Section

import llmcalc
from llmcalc.estimate.cost import Span
from llmcalc.training.published_runs import published_fact, published_hours

FOLDER = Path(__file__).resolve().parent / "data"
FILE, LAYOUTS = FOLDER / "training_hours.csv", FOLDER / "training_hours_layouts.csv"
KILO, HOUR = 10**3, 3600
RANKS = ("tp", "pp", "dp", "ep", "etp", "virtual_stages", "zero", "micro_batch")
USUAL = 1024  # accelerators


def hours() -> Iterator[Row]:
    """Hours of the steps of any program on the fastest of the usual layouts, on 1,024 accelerators if their number is
    unknown. Those of models with two stacks follow from published utilisation.
    """
    for row in csv.DictReader(FILE.read_text("utf-8").splitlines()[1:]):
        model = llmcalc.load(row["model"])
        known, published = published_fact(model, "accelerators"), published_hours(model)
        predicted = llmcalc.train(model, gpu=f"{row['gpu']}:{round(float(known.value)) if known else USUAL}").hours
        assert predicted is not None, row["model"]
        assert published is not None, row["model"]
        yield Row(f"{row['model']} on {row['gpu']}", published / KILO, predicted.mid / KILO, "K hours")


def layouts() -> list[dict[str, str]]:
    """Return the runs with published layouts, and the others in the same table."""
    return list(csv.DictReader(LAYOUTS.read_text("utf-8").splitlines()[1:]))


def hours_on(row: Mapping[str, str]) -> Span:
    """Return the hours of the steps of a run on its layout, or on the fastest usual one if none is published."""
    model = llmcalc.load(row["model"], overrides=row["overrides"].split())
    count, tokens, seq = int(row["gpus"] or USUAL), float(row["tokens"]), int(row["seq"])
    gpu, batch = f"{row['gpu']}:{count}", int(row["batch"] or 0)
    if not row["tp"]:
        found = llmcalc.train(model, tokens, gpu=gpu, seq=seq, batch_tokens=batch * seq or None).hours
        assert found is not None, row["model"]
        return found
    network = float(row["network_gbytes_per_gpu"] or 0) or None
    texts = {name: row[name] or None for name in ("recompute", "attention", "precision", "stack")}
    sizes = {name: int(row[name]) if row[name] else None for name in RANKS}
    step = llmcalc.step_time(
        model, gpu, batch=batch, seq=seq, sp=bool(row["sp"]), network_gbytes_per_gpu=network, **sizes, **texts
    )
    return Span(step.low, step.seconds, step.high).times(tokens / (batch * seq) * count / HOUR)


def hours_on_layouts() -> Iterator[Row]:
    """Hours of the steps on the published layout. If none is published, the fastest of the usual layouts is used."""
    for row in layouts():
        size = row["overrides"] and " of 530B, the shape of MT-NLG"
        layout = ", ".join(f"{name} {row[name]}" for name in ("tp", "pp", "ep", "dp") if row[name]) or "unknown layout"
        gpus = f"{row['gpus']} {row['gpu']}" if row["gpus"] else row["gpu"]
        predicted = hours_on(row).mid / KILO
        yield Row(f"{row['model']}{size} on {gpus}, {layout}", float(row["hours"]) / KILO, predicted, "K hours")


SECTIONS = {
    "Training hours of published runs": Section(
        "training_hours.csv",
        hours,
        "The published hours of some runs include restarts, evaluation or later stages of training. Layouts are not "
        "used.",
        "train",
        "hours days",
        "",
    ),
    "Training hours of published runs on their layouts": Section(
        "training_hours_layouts.csv",
        hours_on_layouts,
        "The hours of some runs include restarts, evaluation or later stages of training. The programs of Llama and "
        "GPT-3 are unknown. That of DeepSeek-V3 hides the exchange of tokens beside other kernels, and its hours "
        "include the prediction of a second token.",
        "train",
        "step_time",
        "",
    ),
}
