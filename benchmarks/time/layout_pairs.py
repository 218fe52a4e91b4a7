"""Order of the step times of mixtures on several layouts of the same GPUs and batch.

    python -m benchmarks.time.layout_pairs [--misses] [--rows]

Reads ``docs/data/moe_layouts.csv``, which was collected before its rows were predicted. Two rows are a pair if they
have the same source, comparison, model, GPUs, sequence length and batch. Prints the share of pairs in the right order,
of those whose measured times differ by more than 10 %, for each source. ``--misses`` lists the others, and ``--rows``
the time of each row. The fit has three rows of XTuner.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations, groupby
from math import log
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import llmcalc
from llmcalc.training.training_time import TrainingTime

FILE = Path(__file__).parent.parent.parent / "docs" / "data" / "moe_layouts.csv"
ALIKE = ("source", "comparison", "model", "overrides", "gpu", "gpus", "seq", "batch")
RANKS = ("tp", "cp", "pp", "ep", "etp", "virtual_stages", "zero", "micro_batch")
DIFFERENT = 1.1  # ratio of measured times from which the order of a pair counts


class Measured(NamedTuple):
    """A row, its measured time (relative to others with the same tokens), and the estimate."""

    row: Mapping[str, str]
    time: float
    estimate: TrainingTime


class Pair(NamedTuple):
    """Two rows, and the ratios of their measured and estimated times."""

    one: Measured
    other: Measured

    @property
    def measured(self) -> float:
        return self.one.time / self.other.time

    @property
    def estimated(self) -> float:
        return self.one.estimate.seconds / self.other.estimate.seconds

    @property
    def counts(self) -> bool:
        """Whether the measured times differ enough."""
        return abs(log(self.measured)) > log(DIFFERENT)

    @property
    def is_right(self) -> bool:
        return (self.measured > 1) == (self.estimated > 1)


@cache
def loaded(model: str, overrides: str) -> llmcalc.Architecture:
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


def pairs(rows: Sequence[Measured]) -> Iterator[Pair]:
    """Yield the pairs of rows whose measured times differ enough."""

    def key(each: Measured) -> tuple[str, ...]:
        return itemgetter(*ALIKE)(each.row)

    for _, group in groupby(sorted(rows, key=key), key):
        yield from (pair for pair in (Pair(*both) for both in combinations(group, 2)) if pair.counts)


def layout(row: Mapping[str, str]) -> str:
    """Return the layout of a row as a short text."""
    sizes = [f"{name} {row[name]}" for name in RANKS if name == "ep" or row[name] != ("0" if name == "zero" else "1")]
    return ", ".join([*sizes, row["recompute"], *filter(None, [row["dispatcher"], row["comparison"]])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--misses", action="store_true", help="list the pairs in the wrong order")
    parser.add_argument("--rows", action="store_true", help="list all rows")
    options = parser.parse_args()
    rows = [*read()]
    found = [*pairs(rows)]
    for source in dict.fromkeys(each.row["source"] for each in rows):
        own = [pair for pair in found if pair.one.row["source"] == source]
        print(f"{sum(pair.is_right for pair in own):4} of {len(own):3}  {source}")
    right = sum(pair.is_right for pair in found)
    print(f"{right:4} of {len(found):3}  {right / len(found):.0%}")
    for pair in found if options.misses else ():
        if not pair.is_right:
            one, other = pair
            print(f"{one.row['model']} {one.row['overrides']} on {one.row['gpus']}, batch {one.row['batch']}: measured "
                  f"{pair.measured:.2f}, estimated {pair.estimated:.2f}\n    {layout(one.row)}\n    {layout(other.row)}")  # fmt: skip
    for each in rows if options.rows else ():
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in each.estimate.parts.items())
        print(f"{each.row['source'][:22]:22} {each.row['model']:16} {each.row['value']:>6} {each.row['unit']:6} "
              f"{each.estimate.seconds:7.2f} s, MFU {each.estimate.mfu:5.1%} {layout(each.row)}: {parts}")  # fmt: skip


if __name__ == "__main__":
    main()
