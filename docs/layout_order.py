"""Published step times of mixtures on several layouts of the same GPUs and batch, and their estimated order."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations, groupby
from math import log
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from measurements import Row, Section

import llmcalc
from llmcalc.training.training_time import TrainingTime

FILE = Path(__file__).resolve().parent / "data" / "moe_layouts.csv"
ALIKE = itemgetter("source", "comparison", "model", "overrides", "gpu", "gpus", "seq", "batch")
RANKS = ("tp", "cp", "pp", "ep", "etp", "virtual_stages", "zero", "micro_batch")
DIFFERENT = 1.1  # ratio of measured times from which the order of a pair counts
NAMES = {"n_experts=64 top_k=8 d_ff=2048": "mixtral-8x22b-g8t8", "n_layers=96": "qwen3-235b-a22b, 96 layers"}
LARGE = "llama3-8x70b"


class Measured(NamedTuple):
    """A row, its measured time relative to those of its comparison, and the estimate."""

    row: Mapping[str, str]
    time: float
    estimate: TrainingTime

    @property
    def layout(self) -> str:
        """Layout as a short text."""
        own = self.row
        sizes = [f"{name} {own[name]}" for name in RANKS if name == "ep" or own[name] not in ("0", "1")]
        again = "" if own["recompute"] == "none" else f"recompute {own['recompute']}"
        return ", ".join(filter(None, [*sizes, again, own["dispatcher"], own["comparison"]]))

    @property
    def model(self) -> str:
        """Name of the model, or that of the source for one with other sizes."""
        own = self.row["overrides"]
        return NAMES.get(own, LARGE if own else self.row["model"])


class Pair(NamedTuple):
    """Two rows of a comparison."""

    one: Measured
    other: Measured

    @property
    def measured(self) -> float:
        """Ratio of the measured times."""
        return self.one.time / self.other.time

    @property
    def estimated(self) -> float:
        """Ratio of the estimated times."""
        return self.one.estimate.seconds / self.other.estimate.seconds

    @property
    def counts(self) -> bool:
        """Whether the measured times differ enough."""
        return abs(log(self.measured)) > log(DIFFERENT)

    @property
    def is_right(self) -> bool:
        """Whether the estimates have the order of the measurements."""
        return (self.measured > 1) == (self.estimated > 1)


@cache
def loaded(model: str, overrides: str) -> llmcalc.Architecture:
    """Return the model of a row."""
    return llmcalc.load(model, overrides=overrides.split())


def read() -> Iterator[Measured]:
    """Yield the rows that can be compared."""
    for row in csv.DictReader(FILE.read_text("utf-8").splitlines()[1:]):
        if not row["left_out"]:
            value = float(row["value"])
            yield Measured(row, value if row["unit"] == "s" else 1 / value, estimated(row))


def estimated(row: Mapping[str, str]) -> TrainingTime:
    """Return the time of the step of a row."""
    return llmcalc.step_time(
        loaded(row["model"], row["overrides"]), f"{row['gpu']}:{row['gpus']}", batch=int(row["batch"]),
        seq=int(row["seq"]), recompute=row["recompute"], dispatcher=row["dispatcher"] or None,
        stack=row["stack"] or None, sp=row["tp"] != "1", **{name: int(row[name]) for name in RANKS},
    )  # fmt: skip


def groups(rows: Sequence[Measured]) -> Iterator[list[Measured]]:
    """Yield the rows of each comparison."""

    def key(each: Measured) -> tuple[str, ...]:
        return ALIKE(each.row)

    yield from (list(group) for _, group in groupby(sorted(rows, key=key), key))


def pairs(rows: Sequence[Measured]) -> list[Pair]:
    """Return the pairs of rows whose measured times differ enough."""
    found = (Pair(*both) for group in groups(rows) for both in combinations(group, 2))
    return [pair for pair in found if pair.counts]


def relative_times() -> Iterator[Row]:
    """Layouts are those of the sources, with micro-batches of one sequence and no recomputation where a source doesn't
    state them. All experts receive equally many tokens.
    """
    for group in groups([*read()]):
        if len(group) > 1:
            best = min(group, key=lambda each: each.time)
            for each in group:
                row, pair = each.row, Pair(each, best)
                case = (
                    f"{each.model} on {row['gpus']} {row['gpu']}, seq {row['seq']}, batch {row['batch']}: {each.layout}"
                )
                yield Row(case, pair.measured, pair.estimated, "times the fastest")


SECTIONS = {
    "Layouts of mixtures on the same GPUs": Section(
        "moe_layouts.csv",
        relative_times,
        "Times are relative to the layout that was measured as the fastest of a comparison. At least three of four "
        "pairs that differ by more than 10 % have the right order (benchmarks/time/layout_pairs.py). Some programs "
        "wait for the host in small micro-batches, so that tensor parallelism is slower than estimated. The experts "
        "of gpt-oss-20b receive unequal numbers of tokens.",
        "train",
        "step_time",
        "",
    ),
}
