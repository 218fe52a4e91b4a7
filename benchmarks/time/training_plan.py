"""Judge plans of training steps: the error of the ratio of two layouts, and the rank of layouts that were really used.

    python -m benchmarks.time.training_plan FILE

Each line of FILE is a published step, as for ``benchmarks.time.training``. The first table has the spread of measured
over modelled times inside a table, a model and a number of GPUs, whose root of 2 is ``ratio_error`` of
``llmcalc/data/training_plan.yaml``. The second one has the rank of each published layout among all layouts that fit on
its GPUs with its batch, and what it loses against the best. A layout that does not fit by the memory of the default
recipe has the loss of its time alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import defaultdict
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np

import llmcalc
from llmcalc.core.errors import LlmcalcError
from llmcalc.inputs.training_settings import LAYOUT_NAMES

from .training import model_key

TABLES = ("Narayanan 2021, Table 1", "Korthikanti 2022, Table 5", "MLPerf Training v3.1", "MLPerf Training v4.0",
          "MLPerf Training v5.1", "Megatron-Core H100", "torchtitan H100")  # fmt: skip
# dubey2024, Table 4: Llama 3 405B on H100 GPUs, with sequences of a step on all GPUs
LLAMA3 = (
    ({"tp": 8, "cp": 1, "pp": 16, "dp": 64}, "h100:8192", 2048, 8192),
    ({"tp": 8, "cp": 1, "pp": 16, "dp": 128}, "h100:16384", 2048, 8192),
    ({"tp": 8, "cp": 16, "pp": 16, "dp": 8}, "h100:16384", 128, 131072),
)
OF_STEP = ("attention", "precision", "network_gbytes_per_gpu", "stack")


def read(path: Path) -> list[dict[str, Any]]:
    """Return the published steps."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return [json.loads(line) for line in text.splitlines()]


def model_of(record: dict[str, Any], known: dict[str, Any]) -> Any:
    key = json.dumps(model_key(record), sort_keys=True)
    if key not in known:
        known[key] = llmcalc.load(record.get("config") or record["model"], overrides=record.get("overrides") or [])
    return known[key]


def ratio_errors(records: list[dict[str, Any]]) -> None:
    """Print the spread of measured over modelled times inside tables, and that of the ratio of two."""
    known, groups = dict[str, Any](), defaultdict[tuple[str, ...], list[float]](list)
    for record in records:
        own = record["arguments"]
        try:
            found = llmcalc.step_time(model_of(record, known), **own).seconds
        except LlmcalcError:
            continue
        key = record["table"], json.dumps(model_key(record), sort_keys=True), own["gpu"], str(own["seq"])
        groups[key].append(log(record["measured"]["seconds"] / found))
    spreads = defaultdict[str, list[tuple[float, int]]](list)
    for (table, *_), errors in groups.items():
        if len(errors) > 1:
            spreads[table].append((float(np.var(errors)) * len(errors), len(errors) - 1))
    means = []
    for table, own in spreads.items():
        free = sum(count for _, count in own)
        means.append(sum(square for square, _ in own) / free)
        print(f"{table:<28} {free + len(own):5} rows {100 * sqrt(means[-1]):5.1f} %")
    print(f"ratio_error: {sqrt(2 * float(np.median(means))):.3f} (median of the tables, times the root of 2)\n")


def ranks(
    name: str, model: Any, gpu: str, sequences: int, seq: int, layout: dict[str, Any], own: dict[str, Any]
) -> None:
    """Print the rank of a layout."""
    layout = {name: value for name, value in layout.items() if name != "sp" or layout["tp"] > 1}
    start = time.process_time()
    found = llmcalc.plan(model, gpu, batch_tokens=sequences * seq, seq=seq, **own)
    text = " ".join(f"{key} {value}" for key, value in layout.items() if value not in (1, 0, False, None, "none"))
    if not found.fits:
        print(f"{name}: {gpu} {text}: no layout fits")
        return
    try:
        ranked = found.rank(**layout)
    except LlmcalcError as error:
        print(f"{name}: {gpu} {text}: {error.message}")
        return
    best = " ".join(f"{key} {value}" for key, value in found.best.given.items())
    place = f"rank {ranked.place:,}" if ranked.place else f"does not fit ({ranked.layout.memory_bytes / 2**30:.0f} GiB)"
    span = time.process_time() - start
    print(
        f"{name}: {gpu} {text}: {place} of {ranked.of:,}, {100 * ranked.loss:+.1f} %; best {best} ({span:.1f} s)",
        flush=True,
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    records = read(parser.parse_args().file)
    ratio_errors(records)
    known: dict[str, Any] = {}
    for record in (each for each in records if each["table"] in TABLES):
        own = dict(record["arguments"])
        given = {name: own[name] for name in ("network_gbytes_per_gpu", "precision", "stack") if own.get(name)}
        layout = {name: own[name] for name in LAYOUT_NAMES if own.get(name) is not None}
        ranks(record["table"], model_of(record, known), own["gpu"], own["batch"], own["seq"], layout, given)
    for layout, gpu, sequences, seq in LLAMA3:
        ranks(
            "Llama 3, Table 4", llmcalc.load("llama3.1-405b"), gpu, sequences, seq, layout, {"stack": "megatron-core"}
        )


if __name__ == "__main__":
    main()
