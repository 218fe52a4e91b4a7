"""Compare the time of a point of memory as a compiled closed form with that of ``memory``, in one run.

    python benchmarks/memory_forms.py [PRESET ...]

The columns are the microseconds of processor time of a point in ``memory``, in a form of integers and in a form of
arrays, the ratios of the first to the others, and the number of points for which ``memory`` takes as long as tracing
the form. Each value is the minimum of several repetitions. The values of the points are compared.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy

import llmcalc
from llmcalc.fitting.memory import memory_of

PRESETS = (
    "llama3-8b", "gpt3", "mixtral-8x7b", "gemma2-9b", "qwen3-32b", "deepseek-v3", "gpt-oss-120b", "t5-11b", "jamba",
    "falcon-mamba-7b",
)  # fmt: skip
POINTS, COMPARED, REPETITIONS = 100_000, 30, 5
MICRO = 1e6


def least(call: Callable[[], Any], points: int) -> float:
    """Return the least microseconds per point."""
    times = []
    for _ in range(REPETITIONS):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return min(times) / points * MICRO


def main(presets: tuple[str, ...]) -> None:
    """Print a table with one row for each preset and mode."""
    print(f"{'preset':18} {'mode':10} {'memory':>9} {'integers':>9} {'array':>9} {'ratios':>15} {'trace':>6}")
    generator = numpy.random.default_rng(7)
    for preset in presets:
        model = llmcalc.load(preset)
        for mode in ("inference", "training"):
            begin = time.process_time()
            form = llmcalc.memory_form(model, mode=mode, extend=True)
            traced = (time.process_time() - begin) * MICRO
            sizes = {"batch": generator.integers(1, 512, POINTS), "seq": generator.integers(1, 2**17, POINTS)}
            some = [{name: int(column[place]) for name, column in sizes.items()} for place in range(COMPARED)]

            def pointwise(mode: str = mode, points: list[dict[str, int]] = some) -> list[int]:
                return [memory_of(model, mode=mode, extend=True, **point).peak for point in points]  # noqa: B023

            assert form(**sizes)[:COMPARED].tolist() == [form(**point) for point in some] == pointwise()
            of_memory = least(pointwise, COMPARED)
            scalar = least(lambda: [form(**point) for point in some], COMPARED)  # noqa: B023
            array = least(lambda: form(**sizes), POINTS)  # noqa: B023
            ratios = f"{of_memory / scalar:6.0f} {of_memory / array:8.0f}"
            row = f"{of_memory:9.0f} {scalar:9.2f} {array:9.3f} {ratios} {traced / of_memory:6.0f}"
            print(f"{preset:18} {mode:10} {row}", flush=True)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or PRESETS)
