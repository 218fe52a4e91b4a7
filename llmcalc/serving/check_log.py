"""Comparison of an engine's start-up log with the prediction of ``serve``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ..core.errors import InputError, short_repr
from ..core.evidence import EXACT, weakest
from ..core.interval import Interval
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.setting import check_values
from ..data import tables
from ..engines.profile import GIB
from ..importers.engine_commands import written_command
from ..importers.engine_logs import EngineLog, read_log_file
from ..inputs.serving_settings import CHECK_LOG
from .reading import read_deployment
from .start.memory import MIB
from .start.start import Start

# figure of a log: the prediction of serve, and bytes or 1 per unit
COMPARED = {
    "vllm": {
        "weights_gib": ("weights", GIB), "activation_gib": ("activation", GIB), "non_torch_gib": ("non_torch", GIB),
        "graphs_estimated_gib": ("cuda_graphs", GIB), "kv_cache_gib": ("available", GIB),
        "kv_cache_tokens": ("tokens", 1), "concurrency": ("concurrency", 1), "request_gib": ("request", GIB),
        "longest_tokens": ("longest", 1),
    },
    "sglang": {"weights_gib": ("weights", GIB), "kv_cache_gib": ("available", GIB), "kv_cache_tokens": ("tokens", 1)},
    "tensorrt-llm": {"kv_cache_gib": ("available", GIB), "kv_cache_tokens": ("tokens", 1)},
    "llama.cpp": {
        "weights_gib": ("weights", GIB), "host_weights_gib": ("host", GIB), "kv_mib": ("cache", MIB),
        "recurrent_mib": ("states", MIB),
    },
}  # fmt: skip
STATED = ("gpu_memory_gib", "free_gib", "concurrency_tokens", "graphs_gib", "free_after_pool_gib")  # not predicted
REPEATED = {"k_gib", "v_gib", "kv_gib", "kv_buffers_mib"}  # parts of other figures
DIGIT = 0.01  # of the GiB that engines print
SLACK = 0.001  # of the memory of a GPU, for blocks that an allocator rounds up


@record
class ComparedFigure:
    """A figure of a log and its prediction, in the unit of the log.

    Attributes:
        name: name of the figure, with its unit.
        logged: value in the log.
        key: name of the prediction in the result of ``serve``.
        predicted: predicted value with its range.
        slack: what rounding in the log and in the allocator may add to the range.
    """

    name: str
    key: str
    logged: float
    predicted: Interval
    slack: float

    @property
    def difference(self) -> float:
        """Predicted minus logged value."""
        return self.predicted.best - self.logged

    @property
    def is_within(self) -> bool:
        """Whether the logged value is in the predicted range."""
        return self.predicted.low - self.slack <= self.logged <= self.predicted.high + self.slack


@record
class CheckedLog(NotebookDisplay):
    """A log beside its prediction.

    Attributes:
        log: contents of the log.
        result: prediction of ``serve``.
        figures: figures that both have.
        unread: arguments in the log that ``serve`` does not know.
        uncompared: names of figures in the log that ``serve`` does not predict.
    """

    log: EngineLog
    result: Start
    figures: tuple[ComparedFigure, ...]
    unread: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of the predicted figures."""
        classes = {"cache": EXACT, "states": EXACT, "request": EXACT, **self.result.evidence}
        return {"figures": weakest(*(classes[each.key] for each in self.figures), EXACT)}

    @property
    def ok(self) -> bool:
        """Whether the engine started, and every logged value is in the predicted range."""
        return not self.log.failure and all(figure.is_within for figure in self.figures)

    @property
    def summary(self) -> str:
        """One-line summary of the comparison."""
        outside = [figure for figure in self.figures if not figure.is_within]
        if self.log.failure:
            within = f"{len(self.figures) - len(outside)} of {len(self.figures)} figures agree with the prediction"
            return f"The start failed: {self.log.failure.rstrip('. ')}. {within}, by which it {self.result.verdict}"
        if not outside:
            return f"The log agrees with the prediction in {len(self.figures)} of {len(self.figures)} figures"
        return f"The log is outside of the prediction in {len(outside)} of {len(self.figures)} figures"

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as a plain dictionary."""
        rows = [
            {
                "name": each.name, "logged": each.logged, **each.predicted.to_dict(), "difference": each.difference,
                "within": each.is_within,
            }
            for each in self.figures
        ]  # fmt: skip
        log = self.log
        return {
            "ok": self.ok, "failure": log.failure, "engine": log.engine, "version": log.version, "model": log.model,
            "figures": rows,
            "arguments": dict(log.arguments), "unread": list(self.unread), "uncompared": list(self.uncompared),
            "predicted": self.result.to_dict(),
            "evidence": self.evidence,
        }  # fmt: skip


def compare_log(
    path: str | os.PathLike[str],
    gpu: str | None,
    model: str | None,
    engine_version: str | None,
    gpu_memory: str | None,
) -> CheckedLog:
    """Compare the start-up log of a serving engine with its prediction. The arguments are those of ``check_log``."""
    check_values(CHECK_LOG, {"gpu": gpu, "model": model, "engine_version": engine_version, "gpu_memory": gpu_memory})
    log = _read(path)
    if log.engine not in tables("engines"):
        raise InputError(f"{log.engine} is not described", where=str(path))
    name = model or log.model
    if not name:
        raise InputError("the log doesn't name the model", parameter="model", hint="add {model=MODEL}")
    words, unread = written_command(log.engine, log.arguments, name)
    memory = gpu_memory or (f"{log.figures['gpu_memory_gib']}GiB" if "gpu_memory_gib" in log.figures else None)
    result = read_deployment(
        None, gpu or (None if memory else log.device or None), command=words, gpu_memory=memory,
        engine_version=engine_version or log.version or None, settings={},
    ).start()  # fmt: skip
    if log.engine == "llama.cpp" and "kv_mib" not in log.figures and "kv_buffers_mib" in log.figures:
        log = log._replace(figures={**log.figures, "kv_mib": log.figures["kv_buffers_mib"]})
    figures = tuple(_compare(log, result))
    if not figures:
        raise InputError("none of its figures is predicted", where=str(path), hint="use the log of the whole start-up")
    named = {*COMPARED[log.engine], *STATED, *REPEATED}
    return CheckedLog(log, result, figures, tuple(unread), tuple(name for name in log.figures if name not in named))


def _read(path: str | os.PathLike[str]) -> EngineLog:
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"must be a file name, not {short_repr(path)}", parameter="path")
    log = read_log_file(path)
    if log is None or not log.figures:
        hint = "use the log from the start of vLLM, SGLang, TensorRT-LLM or llama.cpp"
        raise InputError("has no figures of a serving engine", where=str(path), hint=hint)
    return log


def _compare(log: EngineLog, result: Start) -> Iterator[ComparedFigure]:
    predicted = _predictions(result)
    slack = SLACK * result.memory.total + DIGIT * GIB / 2
    logged = dict(log.figures)
    if log.engine == "sglang" and (pools := [logged[name] for name in ("k_gib", "v_gib", "kv_gib") if name in logged]):
        logged["kv_cache_gib"] = sum(pools)
    for name, (key, unit) in COMPARED[log.engine].items():
        is_assumed = key in ("weights", "host") and any("are assumed" in note for note in result.notes)  # their format
        if name in logged and key in predicted and not (is_assumed and log.engine == "llama.cpp"):
            own = predicted[key].scaled(1 / unit)
            share = slack / unit if unit > 1 else slack / max(result.memory.available.best, slack) * own.best
            yield ComparedFigure(name, key, logged[name], own, DIGIT if unit == MIB else share)


def _predictions(result: Start) -> dict[str, Interval]:
    memory, placed = result.logged_memory, result.placed
    if placed:
        sizes = {
            "weights": sum(own.weights for own in placed.gpus), "host": placed.host.weights,
            "cache": placed.buffers.full + placed.buffers.window,
            "states": placed.buffers.states,
        }  # fmt: skip
        return {name: Interval.exact(size) for name, size in sizes.items()}
    longest = Interval(result.longest_in(0), result.longest, result.longest_in(2))
    return {
        "weights": memory.loaded, "activation": result.memory.activation, "non_torch": memory.non_torch,
        "cuda_graphs": memory.graphs, "available": memory.available, "tokens": result.tokens,
        "concurrency": result.concurrency, "longest": longest,
        "request": Interval.exact(float(result.request_blocks * result.groups.block_bytes)),
    }  # fmt: skip
