"""The ``llmcalc latency`` command for the time of a batch on GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ..memory_options import FORMATS, MESH
from ..options import BATCH, MODEL, NOTES, READING, is_given, load_model, output
from ..output import Answer, printed
from ..spec import Command, Option

if TYPE_CHECKING:
    from ...core.architecture import Architecture
    from ...estimate.time.latency import Latency

SETTINGS = (
    Option("--gpu", "GPU with an optional count, such as h100:4.", "NAME[:N]", complete="accelerators"),
    Option("--mode", "Decode step, prefill of prompts, or generate (default: by the lengths that are given).",
           choices=("decode", "prefill", "generate")),
    BATCH,
    Option("--context", "Decode: number of cached tokens (default: 2048, or the model's maximum).", "TOKENS"),
    Option("--seq", "Prefill and generate: tokens per prompt (default: as for --context).", "TOKENS"),
    Option("--new-tokens", "Generate: number of new tokens per sequence (default: 128).", "TOKENS"),
    *(option for option in MESH if option.name in ("dp", "tp", "ep")),
    *(option for option in FORMATS if option.name == "weights"),
    Option("--experts", "Format of routed experts (default: --weights).", "FORMAT", complete="formats"),
    Option("--attention-weights", "Format of the matrices of attention (default: --weights).", "FORMAT",
           complete="formats"),
    *(option for option in FORMATS if option.name == "cache"),
    Option("--engine", "Inference engine (default: vllm).", default="vllm",
           choices=("vllm", "sglang", "tensorrt-llm", "torch-compile", "llama.cpp")),
)  # fmt: skip
OUTPUT = (*output("svg", "tree"), NOTES)
LARGER_BATCH = 8


@printed
def run(model: str, **given: Any) -> Answer:
    """Print the latency. The exit code is 1 if the model does not fit."""
    from ...api.latency import latency
    from ...report.latency import latency_document

    if given["gpu"] is None:
        raise InputError("missing GPU", parameter="gpu", hint="use a name such as {gpu=h100:4}")
    architecture = load_model(model, given)
    settings = {option.name: given[option.name] for option in SETTINGS if is_given(option, given)}
    result = latency(architecture, **settings)
    return latency_document(result, lambda: [*_alternatives(architecture, settings, result)]), result.fits


def _alternatives(
    architecture: Architecture, settings: dict[str, Any], result: Latency
) -> Iterator[tuple[str, Latency]]:
    """Yield other settings with which the batch is faster, or computes more tokens per second."""
    from ...api.latency import latency

    batch, name = result.workload.batch, result.accelerator.name
    changes: list[dict[str, Any]] = []
    if not is_given_any(settings, "weights", "experts", "attention_weights"):
        changes.append({"weights": "fp8" if "fp8" in result.accelerator.peak else "awq-int4-g128"})
    if not is_given_any(settings, "tp", "dp", "ep"):
        changes.append({"gpu": f"{name}:{2 * result.count}"})
    changes.append({"batch": LARGER_BATCH * batch})
    for change in changes:
        try:
            found = latency(architecture, **{**settings, **change})
        except InputError:  # a layout that the model does not allow
            continue
        yield " ".join(f"--{key.replace('_', '-')} {value}" for key, value in change.items()), found


def is_given_any(settings: dict[str, Any], *names: str) -> bool:
    """Return whether one of several settings is given."""
    return not settings.keys().isdisjoint(names)


COMMANDS = (Command("latency", (MODEL, *SETTINGS, *READING, *OUTPUT), run),)
