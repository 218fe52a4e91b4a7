"""Predict the KV cache of each log with constants that were fitted to the logs of other models.

A constant is fitted to a log by solving for the value with which ``serve`` predicts its activations, the memory of its
runtime, its weights, or its estimate of the CUDA graphs, whichever depends on the constant. The constant for a log is
the median of the values from all logs of other models.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from engine_errors import case_name, predictions
from engine_logs import Log
from measurements import Row, Section

from llmcalc.core.interval import Interval
from llmcalc.core.record import changed
from llmcalc.serving.start.memory import RULES, MemoryDivision, ModelBytes
from llmcalc.serving.start.models import model_bytes
from llmcalc.serving.start.start import Start

GIB = 2**30
STEP, LEAST = 0.01, 0.02 * GIB  # relative change of a constant, and the effect of a constant that a log can show
FEWEST = 3  # logs of other models
LIMIT = 1.0  # percent of the memory of a GPU
SLACK = 0.001  # of the memory of a GPU
FIGURES = {
    "activation_gib": "activation", "non_torch_gib": "non_torch", "weights_gib": "weights",
    "graphs_estimated_gib": "graphs",
}  # fmt: skip


class Case(NamedTuple):
    """A log, its prediction, and the sizes of the model that the constants multiply."""

    log: Log
    figures: Mapping[str, float]
    result: Start
    model: ModelBytes

    @property
    def logged(self) -> float:
        """Logged size of the KV cache in bytes."""
        return self.figures["kv_cache_gib"] * GIB

    def predict(self, constants: Mapping[str, float]) -> MemoryDivision:
        """Return the division of the memory with other constants."""
        profile = self.result.profile
        own = {**profile.constants, **{name: Interval.exact(value) for name, value in constants.items()}}
        return RULES[profile.rule](self.model, self.result.memory.total, changed(profile, constants=own))

    def implied(self, name: str) -> float | None:
        """Return the value of a constant with which the log is predicted exactly, if its figures depend on it."""
        best = self.result.profile.constants[name].best
        if not best:
            return None
        more = self.predict({name: best * (1 + STEP)})
        for figure, attribute in FIGURES.items():
            before = getattr(self.result.logged_memory, attribute).best
            slope = (getattr(more, attribute).best - before) / (best * STEP)
            if figure in self.figures and abs(slope * best) > LEAST:
                return best + (self.figures[figure] * GIB - before) / slope
        return None


class Judged(NamedTuple):
    """A log and its prediction with the constants of other models.

    Attributes:
        case: log.
        size: predicted size of the KV cache in bytes.
        kept: constants that the log depends on and fewer than ``FEWEST`` logs of other models show.
    """

    case: Case
    size: float
    kept: tuple[str, ...]

    @property
    def share(self) -> float:
        """Error in percent of the memory of the GPU."""
        return 100 * (self.size - self.case.logged) / self.case.result.memory.total


@cache
def cases(engine: str) -> tuple[Case, ...]:
    """Return the logs that state the size of the KV cache, and whose model and GPU are known."""
    found = []
    for log, result in predictions(engine, "kv_cache_gib"):
        figures = dict(log.figures)
        if "free_gib" in figures and engine == "sglang":
            figures["non_torch_gib"] = result.memory.total / GIB - figures["free_gib"]
        first = 0 if result.first_stage else None
        if result.first_stage:
            figures.pop("activation_gib", None)  # of the last stage, which samples
        model = model_bytes(result.architecture, result.profile, result.settings, number=first)
        model = changed(model, extras=result.logged_memory.extras)  # also what drafts tokens
        found.append(Case(log, figures, result, model))
    return tuple(found)


@cache
def judged(engine: str) -> tuple[Judged, ...]:
    """Predict each log with the constants of the logs of other models."""
    found = cases(engine)
    implied = {
        (place, name): case.implied(name) for place, case in enumerate(found) for name in case.result.profile.constants
    }
    return tuple(_judge(case, found, implied) for case in found)


def _judge(case: Case, found: tuple[Case, ...], implied: Mapping[tuple[int, str], float | None]) -> Judged:
    constants, kept = {}, []
    for name, constant in case.result.profile.constants.items():
        if constant.low == constant.high:  # follows from the source of the engine
            continue
        values = [
            value
            for place, other in enumerate(found)
            if (value := implied.get((place, name))) is not None
            and other.log.preset != case.log.preset
            and other.result.profile.constants[name].best == constant.best
        ]
        if len(values) >= FEWEST:
            constants[name] = statistics.median(values)
        elif case.implied(name) is not None:
            kept.append(name)
    return Judged(case, case.predict(constants).available.best, tuple(kept))


def refitted(engine: str) -> Iterator[Row]:
    """Yield the logs whose constants all follow from the logs of other models."""
    for one in judged(engine):
        if not one.kept:
            yield Row(case_name(one.case.log).strip(" ,"), one.case.logged / GIB, one.size / GIB, "GiB")


def shares(engine: str) -> list[float]:
    """Return the errors of these logs in percent of the memory of the GPU, the smallest first."""
    return sorted(abs(one.share) for one in judged(engine) if not one.kept)


def covered(engine: str) -> int:
    """Return the number of logs that are in the range of ``serve``, with ``SLACK`` for the blocks of an allocator."""
    memories = ((case.result.logged_memory, case.logged) for case in cases(engine))
    return sum(
        one.available.low - SLACK * one.total <= logged <= one.available.high + SLACK * one.total
        for one, logged in memories
    )


def vllm_refitted() -> Iterator[Row]:
    """Each constant for a log is the median of the values that the logs of all other models imply."""
    return refitted("vllm")


def sglang_refitted() -> Iterator[Row]:
    """Each constant for a log is the median of the values that the logs of all other models imply."""
    return refitted("sglang")


def _remark(engine: str) -> str:
    errors, left = shares(engine), sum(bool(one.kept) for one in judged(engine))
    rest = f"{left} other logs depend" if left > 1 else "Another log depends"
    return (
        f"As a share of the GPU's memory, the error is {statistics.median(errors):.2f} % in the median, and at most "
        f"{LIMIT:.0f} % in {sum(error <= LIMIT for error in errors)} of {len(errors)} logs. {rest} on constants that "
        f"fewer than {FEWEST} logs of other models show. With the constants as they are, {covered(engine)} of "
        f"{len(cases(engine))} logs are between low and high, or less than 0.1 % of the GPU's memory outside."
    )


def sections() -> dict[str, Section]:
    """Return the tables of both engines."""
    value = "available blocks tokens concurrency"
    return {
        f"{title}, constants fitted to other models": Section(
            f"engine_{name}.csv", rows, _remark(name), "serve", value, ""
        )
        for title, name, rows in (("vLLM", "vllm", vllm_refitted), ("SGLang", "sglang", sglang_refitted))
    }
