"""Published measurements of requests that vLLM serves, and the estimates of ``serve`` for them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from measurements import Row, Section

import llmcalc

DATA = Path(__file__).resolve().parent / "data"


def read(name: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader((DATA / name).read_text("utf-8").splitlines()[1:])


def served(row: dict[str, str], concurrency: str) -> llmcalc.ServingResult:
    """Return the estimate for a row. All GPUs are tensor-parallel ranks."""
    command = f"vllm serve {row['checkpoint']} --tensor-parallel-size {row['gpu'].partition(':')[2] or 1}"
    command += f" --max-model-len {row['max_model_len']}" if row["max_model_len"] else ""
    sizes = {name: int(row[name]) for name in ("isl", "osl", concurrency)}
    return llmcalc.serve(
        gpu=row["gpu"], command=command, engine_version=row["engine_version"],
        isl=sizes["isl"], osl=sizes["osl"], concurrency=sizes[concurrency],
    )  # fmt: skip


def deployment(row: dict[str, str]) -> str:
    return f"{row['checkpoint'].partition('/')[2]} on {row['gpu']}"


def few_requests() -> Iterator[Row]:
    """All GPUs are tensor-parallel ranks, and all requests have the mean lengths."""
    for row in read("serving_few_requests.csv"):
        found = served(row, "concurrency")
        case = f"{deployment(row)}, {row['isl']}/{row['osl']} tokens, {row['concurrency']} at once"
        yield Row(f"{case}: time per output token", float(row["tpot_ms"]), 1e3 * found.tpot_s, "ms", "tpot_s")
        if found.ttft_s is not None:
            yield Row(f"{case}: first token", float(row["ttft_ms"]), 1e3 * found.ttft_s, "ms", "ttft_s")


def at_once() -> Iterator[Row]:
    """All GPUs are tensor-parallel ranks. The estimates assume that a request arrives as another one ends."""
    for row in read("serving_at_once.csv"):
        found = served(row, "requests")
        case = f"{deployment(row)}, {row['requests']} requests of {row['isl']}/{row['osl']} tokens"
        yield Row(case, float(row["requests_per_s"]), float(found.time.requests_per_s), "requests/s")


SECTIONS = {
    "Few requests at once in vLLM": Section(
        "serving_few_requests.csv",
        few_requests,
        "Nothing is fitted to these rows. The time to the first token of a short prompt is dominated by the server in "
        "front of the engine, whose time is fitted to other measurements. By its own rules, vLLM 0.10.2 doesn't have "
        "the memory for gpt-oss-120b on one H100, so that no time to the first token is estimated.",
        "serve",
        "tpot_s ttft_s",
        "requests",
    ),
    "Requests that arrive at once in vLLM": Section(
        "serving_at_once.csv",
        at_once,
        "Nothing is fitted to these rows. On A100, vLLM computes the attention of gpt-oss, which has sinks, in a "
        "kernel of Triton, whose coefficients are those of other GPUs with wider heads. With those of FlashAttention, "
        "the errors were up to 142 %. On H200, most prefills take longer than estimated.",
        "serve",
        "requests_per_s",
        "requests",
    ),
}
