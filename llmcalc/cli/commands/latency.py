"""The ``llmcalc latency`` command for the time of a batch on GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ...inputs.serving_settings import LATENCY
from ..memory_options import settings
from ..options import ALL, MODEL, NOTES, READING, load_model, output
from ..output import Answer, printed
from ..spec import Command, option_of

if TYPE_CHECKING:
    from ...core.architecture import Architecture
    from ...serving.latency_times import Latency

SETTINGS = tuple(map(option_of, LATENCY))
OUTPUT = (*output("svg", "tree"), NOTES, ALL)
LARGER_BATCH = 8
LEAST_SAVED = 0.9  # bytes of weights in a smaller format, relative to the published one, at most
FORMAT_PEAKS = ("fp8",)  # formats that only help if the GPU computes in them


@printed
def run(model: str, **given: Any) -> Answer:
    """Print the latency. The exit code is 1 if the model does not fit."""
    from ...api.latency import latency
    from ...report.latency import latency_document

    if given["gpu"] is None:
        raise InputError("missing GPU", parameter="gpu", hint="use a name such as {gpu=h100:4}")
    architecture = load_model(model, given)
    asked = settings(given, SETTINGS)
    result = latency(architecture, **asked)
    others = (lambda: [*_alternatives(architecture, asked, result)]) if not result.too_long else tuple
    return latency_document(result, others), result.fits


def _alternatives(architecture: Architecture, asked: dict[str, Any], result: Latency) -> Iterator[tuple[str, Latency]]:
    """Yield other settings with which the batch fits, or with which it may be faster."""
    from ...api.latency import latency
    from ...serving.request_times import weight_bytes

    batch, card, times = result.workload.batch, result.accelerator, (2, 4, 8)
    changes: list[tuple[str, Any]] = []
    if not is_given_any(asked, "weights", "experts", "attention_weights"):
        formats = ("q8_0", "q4_k_m") if result.model.engine.name == "llama.cpp" else ("fp8", "awq-int4-g128")
        changes += [("weights", name) for name in formats if name not in FORMAT_PEAKS or name in card.peak]
    if not is_given_any(asked, "tp", "pp", "dp", "ep"):
        counts = [number * result.count for number in times if card.node > 1]
        changes += [("gpu", f"{card.name}:{count}") for count in counts if not result.fits or count == 2 * result.count]
    changes += [("batch", batch // number) for number in times if batch >= number and not result.fits]
    changes += [("batch", LARGER_BATCH * batch)] if result.fits else []
    done = set()
    for name, value in changes:
        if name in done:
            continue
        try:
            found = latency(architecture, **{**asked, name: value})
        except InputError:  # a layout that the model does not allow, or a format that the engine lacks
            continue
        if name == "weights" and weight_bytes(found.model) > LEAST_SAVED * weight_bytes(result.model):
            continue  # the published weights are as small
        if name == "gpu" and result.fits and found.tokens_per_s <= result.tokens_per_s:
            continue  # GPUs with different layers, which compute one after the other
        if found.fits:
            done.add(name)  # a larger change is not needed
        yield f"--{name} {value}", found


def is_given_any(settings: dict[str, Any], *names: str) -> bool:
    """Return whether one of several settings is given."""
    return not settings.keys().isdisjoint(names)


COMMANDS = (Command("latency", (MODEL, *SETTINGS, *READING, *OUTPUT), run),)
