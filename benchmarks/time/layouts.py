"""Compare two layouts of experts on the GPUs of one node: which is faster, and by how much.

    python -m benchmarks.time.layouts FILE

FILE is that of ``serving.py``. Each pair has the same model, GPUs, engine, number formats and requests: once with
tensor parallelism, and once with data-parallel attention and divided experts. Prints the error of the ratio of the
times per output token, and how often the faster layout is the estimated one, by the estimated gain. Needs SciPy.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import llmcalc

from .batches import read
from .fitting import errors

SAME = ("gpu", "isl", "osl", "concurrency", "weights", "experts", "attention_weights", "cache", "engine")
GAINS = (1.0, 1.05, 1.1, 1.15, 1.2)  # least estimated ratio of the two times


def pairs(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float, float]]:
    """Yield the deployment, and the measured and estimated ratio of the times without and with divided experts."""
    groups: dict[tuple[Any, ...], dict[bool, Mapping[str, Any]]] = {}
    for record in records:
        own = record["arguments"]
        is_divided = own["dp"] > 1 and own["ep"] == own["dp"] * own["tp"]
        if is_divided or own["dp"] == own["ep"] == 1:
            key = (record["model"], *(own[name] for name in SAME))
            groups.setdefault(key, {}).setdefault(is_divided, record)
    for (model, gpu, *_, engine), group in groups.items():
        if len(group) == 2:
            ratios = []
            for times in (
                [group[one]["measured"]["tpot_s"] for one in (False, True)],
                [llmcalc.serve(model, **group[one]["arguments"]).tpot_s for one in (False, True)],
            ):
                ratios.append(times[0] / times[1])
            yield f"{model} {gpu.partition(':')[0]} {engine}", *ratios


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time.layouts", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    names, measured, found = map(np.array, zip(*pairs(read(given.file)), strict=True))
    print(f"{'ratio of both layouts':34s} {errors(found, measured)}")
    for name in sorted(set(names)):
        print(f"  {name:32s} {errors(found[names == name], measured[names == name])}")
    is_right, gains = (found > 1) == (measured > 1), np.exp(np.abs(np.log(found)))
    for gain in GAINS:
        chosen = gains > gain
        print(f"gain above {gain:.2f}: {is_right[chosen].sum()} of {chosen.sum()} pairs have the estimated order")


if __name__ == "__main__":
    main()
