"""Published speed-ups of speculative decoding, and those that ``serve`` estimates for them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measurements import Row, Section

import llmcalc

FILE = Path(__file__).resolve().parent / "data" / "speculation.csv"
NUMBERS = {"concurrency": int, "draft_tokens": int, "draft_steps": int, "draft_width": int, "acceptance_length": float}


def speedups() -> Iterator[Row]:
    """Requests have 100 input and 400 output tokens, as those of MT-bench have about. All GPUs are tensor-parallel
    ranks. The tokens per step are those of the source.
    """
    for row in csv.DictReader(FILE.read_text("utf-8").splitlines()[1:]):
        given = {key: value for key, value in row.items() if value and key not in ("model", "gpu", "speedup")}
        settings: dict[str, Any] = {key: NUMBERS.get(key, str)(value) for key, value in given.items()}
        ranks = int(row["gpu"].partition(":")[2] or 1)
        found = llmcalc.serve(row["model"], row["gpu"], tp=ranks, isl=100, osl=400, **settings)
        drafted = f"{row['draft_tokens']} verified" if row["engine"] == "sglang" else f"{row['draft_tokens']} drafted"
        case = f"{row['model']} on {row['gpu']} in {found.engine_title}, {row['draft_method']}, {drafted} tokens"
        case += f"{', ' + row['draft_steps'] + ' passes' if row['draft_steps'] else ''}, batch {row['concurrency']}"
        yield Row(case, float(row["speedup"]), found.speedup, "x")


SECTIONS = {
    "Speculative decoding": Section(
        "speculation.csv",
        speedups,
        "Two constants are fitted to these rows: the time of a step that verifies, and of a pass of a draft, outside "
        "the kernels. With one combination of engine, model and method left out of the fit, the mean error of its "
        "speed-up is 11 %; without the constants, it would be 36 %. The trees of pull request 4247 and the tokens per "
        "step of the MTP rows are assumed. Newer engines may take less time between two passes.",
        "serve",
        "speedup",
        "requests",
        in_fit=True,
    )
}
