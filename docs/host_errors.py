"""Published times of llama.cpp with experts in host memory, and the times that ``serve`` estimates for them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measurements import Row, Section

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.engines.llama_cpp_weights import read_placement
from llmcalc.inputs.gpus import read_gpus
from llmcalc.serving.step.host_steps import HostSteps
from llmcalc.serving.step.step import step_values
from llmcalc.serving.step.step_models import step_model

FILE = "latency_llama_cpp_host.csv"
BUILD, AUTO, GIGA, MILLI = 8000, "auto", 1e9, 1e-3


def steps(row: dict[str, str]) -> HostSteps:
    """Return the steps of a row. Without a known memory, it is the assumed one."""
    model, gpus, cache = llmcalc.load(row["model"]), read_gpus(row["gpu"]), row["cache"] or None
    name, _, value = row["settings"].partition("=")
    settings: dict[str, Any] = {name: int(value)}
    if name == AUTO:
        own = {"weights": row["weights"], "cache": cache, "cache_v": cache, "max_model_len": int(value)}
        settings = dict(llmcalc.serve(model, row["gpu"], engine="llama.cpp", **own).automatic)
    count = gpus.count or 1
    found = step_model(
        model, gpus.accelerator, Mesh(pp=count), "llama.cpp", weights=row["weights"], cache=cache,
        placement=read_placement(settings, BUILD, count),
    )  # fmt: skip
    return found.with_bandwidth(float(row["host_gb"]) * GIGA) if row["host_gb"] else found


def seconds(model: HostSteps, row: dict[str, str]) -> float:
    """Return the time of a decode step, or of a prefill in several steps."""
    context, chunk = int(row["context"]), int(row["step"] or 0)
    if not chunk:
        return float(model.step(step_values(1.0, 1.0, context), scheduled=True).seconds)
    keys = range(chunk, context + 1, chunk)
    return sum(float(model.step(None, step_values(1.0, float(chunk), end), scheduled=True).seconds) for end in keys)


def rows(*, in_fit: bool) -> Iterator[Row]:
    """Yield the decode steps with a known memory, or all other rows."""
    for row in csv.DictReader((Path(__file__).resolve().parent / "data" / FILE).read_text("utf-8").splitlines()[1:]):
        if bool(row["host_gb"]) != in_fit:
            continue
        memory = f"{row['host_gb']} GB/s" if row["host_gb"] else "an unknown host"
        work = f"prefill of {row['context']} in steps of {row['step']}" if row["step"] else "decode step"
        where = row["settings"].partition("=")[0] if row["settings"].startswith(AUTO) else row["settings"]
        case = f"{row['model']} in {row['weights']} on {row['gpu']} and {memory}, {where}, {work}"
        value = "ttft_s" if row["step"] else "tpot_s"
        yield Row(case, float(row["seconds"]) / MILLI, seconds(steps(row), row) / MILLI, "ms", value)


def fitted() -> Iterator[Row]:
    """The bandwidth of the host is that of two channels of the memory that the source states."""
    return rows(in_fit=True)


def others() -> Iterator[Row]:
    """The memory of the host is the assumed one, since the source states none."""
    return rows(in_fit=False)


SECTIONS = {
    "llama.cpp with experts in host memory": Section(
        FILE,
        others,
        "Prefills in short steps transfer fewer experts than independent tokens would need, and are computed too slow.",
        "serve",
        "tpot_s ttft_s",
        "requests",
    ),
    "llama.cpp with experts in host memory in the fit": Section(
        FILE,
        fitted,
        "The share of the bandwidth of host memory and the time of the way there and back are fitted to these rows "
        "(benchmarks/time/host.py). With each of the two computers left out of the fit, the mean error is 19 %.",
        "serve",
        "tpot_s",
        "requests",
        in_fit=True,
    ),
}
